"""What the blocks of one scene have in common: sizes, directions, fonts, and how often rarer kinds of text come."""

import dataclasses
import math

import numpy as np

_MOST = 44  # blocks in 640×640 pixels; in proportion for other sizes
# A third of the scenes have none of the rarer kinds. These are shares of the others.
_PLAIN = 1 / 3
_LARGE, _FINE, _SHEET, _CLUTTERED = 0.25, 0.15, 0.15, 0.4
_COLUMNS, _SPACED, _SINGLE, _SPECIAL = 0.25, 0.25, 0.2, 0.35


@dataclasses.dataclass(frozen=True)
class Mood:
    """What the blocks of one scene have in common.

    **Arguments:**

    - `count`: how many blocks are tried.
    - `size`: the median of their font sizes, in pixels.
    - `turn`: the median direction of their lines, in radians.
    - `tilt`: their common perspective: two entries of the homography's third row, in 1/font size, and a shear.
    - `faces`: the fonts.
    - `calm`: whether the blocks stand on calm ground.
    - `dense`: whether most blocks are lines and paragraphs.
    - `large`: the font size of the first block, in pixels, if it is much larger than the others; 0 otherwise.
    - `sheet`: whether a page, a receipt or a screen comes first, with print of `size`.
    - `clutter`: how many things that are not text stand beside the text.
    - `columns`, `spaced`, `single`: the shares of columns, of words and lines whose letters stand far apart, and of
        single characters.
    - `special`: the share of blocks with one of the rarer inks.
    """

    count: int
    size: float
    turn: float
    tilt: tuple[float, float, float]
    faces: tuple[str, ...]
    calm: bool
    dense: bool
    large: float = 0.0
    sheet: bool = False
    clutter: int = 0
    columns: float = 0.05
    spaced: float = 0.0
    single: float = 0.0
    special: float = 0.0


def pick_mood(rng: np.random.Generator, size: tuple[int, int], faces: tuple[str, ...]) -> Mood:
    """A random mood for a picture of `size` (height, width)."""
    most = max(2.0, _MOST * size[0] * size[1] / 640**2)
    # Scenes with small print have more blocks.
    dense = bool(rng.random() < 0.33)
    largest = min(30 if dense else 80, min(size) / 4)
    spread = math.radians(rng.choice([4, 20, 90], p=[0.6, 0.25, 0.15]))
    mood = Mood(
        count=round(math.exp(rng.uniform(0, math.log(most)))),
        size=math.exp(rng.uniform(math.log(10), math.log(largest))),
        turn=float(rng.uniform(-spread, spread)),
        tilt=pick_tilt(rng) if rng.random() < 0.5 else (0.0, 0.0, 0.0),
        faces=tuple(faces[place] for place in rng.integers(len(faces), size=int(rng.integers(1, 5)))),
        calm=bool(rng.random() < 0.7),
        dense=dense,
    )
    return mood if rng.random() < _PLAIN else _with_rarer_kinds(rng, mood, size)


def pick_tilt(rng: np.random.Generator) -> tuple[float, float, float]:
    """A random perspective, as that of a `Mood`."""
    right, down, shear = (rng.uniform(-1, 1, 3) * (0.022, 0.022, 0.25)).tolist()
    return right, down, shear


def _with_rarer_kinds(rng: np.random.Generator, mood: Mood, size: tuple[int, int]) -> Mood:
    often = rng.random(8)
    sheet = bool(often[0] < _SHEET)
    if sheet or often[1] < _FINE:
        mood = dataclasses.replace(mood, size=float(rng.uniform(10, 16)), dense=True)
    large = min(size) * math.exp(rng.uniform(math.log(0.2), math.log(0.75)))
    return dataclasses.replace(
        mood,
        sheet=sheet,
        # A sheet fills much of the picture, with as many lines as a dozen blocks.
        count=round(0.3 * mood.count) if sheet else mood.count,
        large=large if often[2] < _LARGE and not sheet else 0.0,
        clutter=int(rng.integers(1, 6)) if often[3] < _CLUTTERED else 0,
        columns=0.5 if often[4] < _COLUMNS else mood.columns,
        spaced=0.4 if often[5] < _SPACED else 0.0,
        single=0.35 if often[6] < _SINGLE else 0.0,
        special=0.6 if often[7] < _SPECIAL else 0.0,
    )
