"""Paints text: contrasting colours, plates, shadows, strokes around letters, gradients."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.typing import Image, Polygon
from input_pipeline.datasets.rendered.scenes.block import Block
from input_pipeline.datasets.rendered.scenes.surface import Surface, outline
from input_pipeline.datasets.rendered.synthetic.background import fill_polygon, pick_color

Color = tuple[int, int, int]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_REACH = 6  # pixels by which a shadow or a stroke may exceed the block


@dataclasses.dataclass(frozen=True)
class Ink:
    """A way of painting.

    **Arguments:**

    - `contrast`: the least difference between the letters and the ground, in levels of 255.
    - `plate`: the margin of a plate around the block, in line heights; 0 is no plate.
    - `plate_opacity`: the opacity of the plate, in (0, 1].
    - `border`: whether the plate has a border.
    - `stroke`: the width of the stroke around the letters, in line heights; 0 is none.
    - `hollow`: whether only the stroke is painted.
    - `shadow`: the shift (x, y) of the shadow, in line heights.
    - `opacity`: the opacity of the letters, in (0, 1].
    - `gradient`: whether the colour of the letters changes from top to bottom.
    """

    contrast: float = 60.0
    plate: float = 0.0
    plate_opacity: float = 1.0
    border: bool = False
    stroke: float = 0.0
    hollow: bool = False
    shadow: tuple[float, float] = (0.0, 0.0)
    opacity: float = 1.0
    gradient: bool = False


def pick_ink(rng: np.random.Generator) -> Ink:
    """A random ink."""
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


@dataclasses.dataclass(frozen=True)
class Inked:
    """Text that was painted.

    **Arguments:**

    - `letters`: the opacity of the letters, or of the strokes around hollow letters, in [0, 255].
    - `first`: the pixel (x, y) of the picture at which `letters` begins.
    - `line`: the height of a line in the picture, in pixels.
    """

    letters: UInt8[np.ndarray, "_ _"]
    first: tuple[int, int]
    line: float


def plate_outline(block: Block, surface: Surface, margin: float) -> Polygon:
    """The outline of the block with `margin` line heights around it."""
    height, width = map(float, block.letters.shape)
    room = margin * block.line_height
    return outline(surface, (-room, -room, width + room, height + room))


def paint(rng: np.random.Generator, picture: Image, block: Block, surface: Surface, ink: Ink) -> Inked:
    """Paints `block` in place. A part of it, at least, must lie in the picture."""
    whole = plate_outline(block, surface, 0.0)
    half = len(whole) // 2
    high = float(np.linalg.norm(whole[:half] - whole[: half - 1 : -1], axis=1).mean())
    line = high * block.line_height / block.letters.shape[0]
    if ink.plate:
        _paint_plate(rng, picture, plate_outline(block, surface, ink.plate), ink)
    size = np.array(picture.shape[1::-1])
    x, y = np.clip(np.floor(whole.min(0)).astype(int) - _REACH, 0, size - 1).tolist()
    right, bottom = np.clip(np.ceil(whole.max(0)).astype(int) + _REACH + 1, 1, size).tolist()
    window = picture[y:bottom, x:right]
    letters = surface.draw(block.letters, (x, y), window.shape[:2])
    color = _contrasting(rng, window, letters, ink.contrast / ink.opacity)
    if ink.shadow != (0.0, 0.0):
        _cast_shadow(window, letters, ink.shadow, line, _opposite(color))
    if ink.stroke:
        radius = int(np.clip(round(ink.stroke * line), 1, _REACH))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        around = np.asarray(cv2.dilate(letters, disc), np.uint8)
        if ink.hollow:
            letters = np.asarray(cv2.subtract(around, letters), np.uint8)
        else:
            _blend(window, around, _opposite(color), ink.opacity)
    second = pick_color(rng) if ink.gradient else color
    red, green, blue = (int(0.6 * a + 0.4 * b) for a, b in zip(color, second, strict=True))
    _blend(window, letters, color, ink.opacity, (red, green, blue))
    return Inked(letters, (x, y), line)


def _cast_shadow(
    window: Image, letters: UInt8[np.ndarray, "_ _"], shadow: tuple[float, float], line: float, color: Color
) -> None:
    dx, dy = (round(float(np.clip(part * line, -_REACH, _REACH))) for part in shadow)
    moved = cv2.warpAffine(letters, np.array([[1.0, 0, dx], [0, 1.0, dy]]), letters.shape[::-1])
    _blend(window, np.asarray(cv2.GaussianBlur(moved, (0, 0), 0.6 + 0.02 * line), np.uint8), color, 0.7)


def _paint_plate(rng: np.random.Generator, picture: Image, polygon: Polygon, ink: Ink) -> None:
    color = pick_color(rng)
    ground = picture.copy() if ink.plate_opacity < 1 else picture
    fill_polygon(ground, polygon, color)
    if ink.border:
        fixed = np.rint(polygon * 16).astype(np.int32)
        cv2.polylines(ground, [fixed], True, pick_color(rng), int(rng.integers(1, 4)), cv2.LINE_AA, 4)
    if ground is not picture:
        cv2.addWeighted(ground, ink.plate_opacity, picture, 1 - ink.plate_opacity, 0, dst=picture)


def _contrasting(rng: np.random.Generator, window: Image, letters: UInt8[np.ndarray, "_ _"], least: float) -> Color:
    """A colour that contrasts with the ground under `letters`. A busy ground needs more contrast."""
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY), mask=letters)
    beneath, busy = mean.item(), deviation.item()
    candidates = rng.integers(0, 256, (12, 3))
    # Signs are black or white more often than grey.
    candidates[:4] = np.where(rng.random((4, 1)) < 0.5, candidates[:4] // 8, 255 - candidates[:4] // 8)
    good = np.flatnonzero(np.abs(candidates @ _LUMA - beneath) >= least + 0.7 * busy)
    if len(good):
        red, green, blue = candidates[good[0]].tolist()
        return red, green, blue
    return (255, 255, 255) if beneath < 128 else (0, 0, 0)


def _opposite(color: Color) -> Color:
    """Near black for light colours, near white for dark ones."""
    return (8, 8, 8) if np.dot(color, _LUMA) > 128 else (247, 247, 247)


def _blend(
    window: Image, letters: UInt8[np.ndarray, "_ _"], color: Color, opacity: float, lower: Color | None = None
) -> None:
    """Blends `color` into `window` in place. Downwards it turns into `lower`."""
    weight = letters.astype(np.float32) * np.float32(opacity / 255)
    solid = np.empty_like(window)
    if lower in (None, color):
        solid[:] = color
    else:
        ramp = np.linspace(0, 1, len(window), dtype=np.float32)[:, None]
        solid[:] = (np.array(color) + ramp * (np.array(lower) - np.array(color)))[:, None].astype(np.uint8)
    window[:] = cv2.blendLinear(window, solid, 1 - weight, weight)
