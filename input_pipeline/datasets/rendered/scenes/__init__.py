"""Rendered scenes: a detector's training pictures when photographs are few.

A picture is made from the back to the front: a background (`backgrounds`), then blocks of text (`vocabulary`,
`fonts`, `block`) that lie on surfaces (`surface`) where there is room (`placing`), inked (`ink`), and at the end
everything that a camera does to it (`camera`); what cannot be read then is ignored (`legibility`). Which blocks there
are is up to `composition`, which may fill the outlines of a real picture's words (`layouts`).
"""
