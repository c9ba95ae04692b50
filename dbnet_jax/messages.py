"""Numbers of things, as messages say them."""


def counted(count: int, thing: str, things: str = "") -> str:
    """ "1 picture", "2 pictures".

    **Arguments:**

    - `count`: how many.
    - `thing`: one of them; `things`: more of them, where an "s" does not make it.
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
