"""Rendered scenes: training pictures for a detector when photographs are few.

A picture is made from the back to the front:

1. `backgrounds` paints the ground.
2. `mood` chooses what the blocks of text have in common. `clutter` paints things that are not text.
   `composition` chooses the blocks, or fills the polygons of a real picture's words (`layouts`); `sheet` sets pages.
3. `vocabulary`, `fonts` and `block` set a block of text.
4. `surface` bends it and puts it into perspective; `placing` finds room for it.
5. `painting` paints it with an `ink`.
6. `camera` changes the picture as light, lens and sensor do.
7. `legibility` finds the text that nobody can read then; it is ignored.
"""
