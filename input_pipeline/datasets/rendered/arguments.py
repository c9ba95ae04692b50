"""Checks the arguments of rendered data sets."""

from collections.abc import Sequence
from numbers import Integral
from typing import get_args

from input_pipeline.datasets.rendered.synthetic.words import Split


def check_rendered(count: object, seed: object, split: object, size: object, smallest: int) -> None:
    """Refuses arguments of a rendered data set before anything is drawn.

    **Arguments:** `count`, `seed`, `split`, `size`: of the data set; `smallest`: the least side of a picture, pixels.

    **Raises:** ValueError with the argument and its value.
    """
    if not isinstance(count, Integral) or int(count) < 0:
        raise ValueError(f"`count` (={count}) must be a whole number, not negative")
    if not isinstance(seed, Integral) or not 0 <= int(seed) < 2**32:
        raise ValueError(f"`seed` (={seed}) must be a whole number in [0, 2**32)")
    if split not in get_args(Split):
        raise ValueError(f"`split` (={split!r}) must be train or test")
    sides = size if isinstance(size, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) >= smallest for side in sides):
        raise ValueError(f"`size` (={size}) must be (height, width), whole numbers of pixels, at least {smallest} each")
