"""Rendered scenes: training pictures for a detector when photographs are few.

A picture is made from the back to the front:

1. `backgrounds` paints the ground.
2. `composition` chooses the blocks of text, or fills the polygons of a real picture's words (`layouts`).
3. `vocabulary`, `fonts` and `block` set a block of text.
4. `surface` bends it and puts it into perspective; `placing` finds room for it.
5. `ink` paints it.
6. `camera` changes the picture as light, lens and sensor do.
7. `legibility` finds the text that nobody can read then; it is ignored.
"""
