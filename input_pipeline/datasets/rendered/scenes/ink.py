"""Kinds of ink: contrast, plates, shadows and strokes; engraved, glass, neon, outlined and dotted letters."""

import dataclasses
from collections.abc import Callable

import numpy as np

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Ink:
    """A way of painting.

    **Arguments:**

    - `contrast`: the least difference between the letters and the ground, in levels of 255.
    - `plate`: the margin of a plate around the block, in line heights; 0 is no plate.
    - `plate_color`: the colour of the plate; None is a random colour.
    - `plate_opacity`: the opacity of the plate, in (0, 1].
    - `border`: whether the plate has a border.
    - `stroke`: the width of the stroke around the letters, in line heights; 0 is none.
    - `hollow`: whether only the stroke is painted.
    - `shadow`: the shift (x, y) of the shadow, in line heights.
    - `opacity`: the opacity of the letters, in (0, 1].
    - `gradient`: whether the colour of the letters changes from top to bottom.
    - `relief`: the depth of engraved letters, in line heights; less than 0 for raised letters, 0 for flat ones. They
        have the colour of the ground, with a light and a dark edge.
    - `glow`: the standard deviation of the glow around the letters, in line heights; 0 is none.
    - `dots`: the distance of the dots that the letters consist of, in line heights; 0 is no dots. Small letters
        are solid.
    """

    contrast: float = 60.0
    plate: float = 0.0
    plate_color: Color | None = None
    plate_opacity: float = 1.0
    border: bool = False
    stroke: float = 0.0
    hollow: bool = False
    shadow: tuple[float, float] = (0.0, 0.0)
    opacity: float = 1.0
    gradient: bool = False
    relief: float = 0.0
    glow: float = 0.0
    dots: float = 0.0


def pick_ink(rng: np.random.Generator) -> Ink:
    """A random ink of the usual kinds."""
    often = rng.random(6)
    stroked = often[0] < 0.15
    return Ink(
        contrast=float(rng.choice([25, 45, 70, 110], p=[0.15, 0.3, 0.35, 0.2])),
        plate=float(rng.uniform(0.1, 0.9)) if often[1] < 0.3 else 0.0,
        plate_opacity=1.0 if often[2] < 0.8 else float(rng.uniform(0.4, 0.9)),
        border=bool(rng.random() < 0.35),
        stroke=float(rng.uniform(0.02, 0.08)) if stroked else 0.0,
        hollow=bool(stroked and rng.random() < 0.2),
        shadow=(float(rng.uniform(-0.1, 0.1)), float(rng.uniform(0.02, 0.12))) if often[3] < 0.15 else (0.0, 0.0),
        opacity=1.0 if often[4] < 0.75 else float(rng.uniform(0.6, 1.0)),
        gradient=bool(often[5] < 0.15),
    )


def pick_special_ink(rng: np.random.Generator) -> Ink:
    """A random ink of the rarer kinds: engraved or raised, faint, glass, neon, outlined, dotted."""
    return _SPECIAL[rng.integers(len(_SPECIAL))](rng)


def _relief(rng: np.random.Generator) -> Ink:
    plate = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.3 else 0.0
    return Ink(relief=float(rng.choice([-1, 1]) * rng.uniform(0.03, 0.07)), plate=plate)


def _faint(rng: np.random.Generator) -> Ink:
    return Ink(contrast=float(rng.uniform(18, 30)))


def _glass(rng: np.random.Generator) -> Ink:
    return Ink(contrast=float(rng.uniform(25, 40)), opacity=float(rng.uniform(0.3, 0.6)))


def _neon(rng: np.random.Generator) -> Ink:
    return Ink(
        contrast=120.0,
        plate=float(rng.uniform(0.4, 1.2)),
        plate_color=_dark(rng),
        plate_opacity=float(rng.uniform(0.75, 1.0)),
        stroke=float(rng.uniform(0.025, 0.05)) if rng.random() < 0.4 else 0.0,
        hollow=True,
        glow=float(rng.uniform(0.08, 0.25)),
    )


def _outlined(rng: np.random.Generator) -> Ink:
    plate = float(rng.uniform(0.2, 0.9)) if rng.random() < 0.3 else 0.0
    return Ink(
        contrast=float(rng.choice([45, 70, 110])), stroke=float(rng.uniform(0.02, 0.06)), hollow=True, plate=plate
    )


def _dotted(rng: np.random.Generator) -> Ink:
    """Letters of lamps on a dark display, or of holes in any ground."""
    lamps = rng.random() < 0.7
    return Ink(
        contrast=100.0,
        plate=float(rng.uniform(0.2, 0.8)) if lamps else 0.0,
        plate_color=_dark(rng) if lamps else None,
        glow=0.05 if lamps and rng.random() < 0.5 else 0.0,
        dots=1 / float(rng.uniform(8, 14)),
    )


_SPECIAL: list[Callable[[np.random.Generator], Ink]] = [_relief, _relief, _faint, _glass, _neon, _outlined, _dotted]


def _dark(rng: np.random.Generator) -> Color:
    red, green, blue = rng.integers(0, 45, 3).tolist()
    return red, green, blue
