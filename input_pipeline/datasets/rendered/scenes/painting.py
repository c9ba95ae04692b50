"""Paints text with its ink: contrasting colours, plates, shadows, strokes, glows, edges in relief, dots."""

import dataclasses
import math

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.typing import Image, Polygon
from input_pipeline.datasets.rendered.scenes.block import Block
from input_pipeline.datasets.rendered.scenes.ink import Color, Ink
from input_pipeline.datasets.rendered.scenes.surface import Surface, outline
from input_pipeline.datasets.rendered.synthetic.background import fill_polygon, pick_color

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST_DOTS = 4.0  # pixels of the block; letters with finer dots are solid
_REACH = 6  # pixels by which a shadow or a stroke may exceed the block


@dataclasses.dataclass(frozen=True)
class Inked:
    """Text that was painted.

    **Arguments:**

    - `letters`: the opacity of the letters, in [0, 255]; of the strokes around hollow letters; of the dark edges of
        letters in relief, or of the light ones on dark ground.
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


def hollow_reach(block: Block, surface: Surface, ink: Ink) -> float:
    """How far the ink of hollow letters reaches beyond that of solid ones, in pixels of the block; 0 if not hollow."""
    if ink.relief or not (ink.hollow and ink.stroke):
        return 0.0
    line = _line_height(block, plate_outline(block, surface, 0.0))
    return _stroke_width(ink, line) * block.line_height / line


def paint(rng: np.random.Generator, picture: Image, block: Block, surface: Surface, ink: Ink) -> Inked:
    """Paints `block` in place. A part of it, at least, must lie in the picture."""
    whole = plate_outline(block, surface, 0.0)
    line = _line_height(block, whole)
    if ink.plate:
        _paint_plate(rng, picture, plate_outline(block, surface, ink.plate), ink)
    size = np.array(picture.shape[1::-1])
    reach = max(_REACH, math.ceil(2 * ink.glow * line))
    x, y = np.clip(np.floor(whole.min(0)).astype(int) - reach, 0, size - 1).tolist()
    right, bottom = np.clip(np.ceil(whole.max(0)).astype(int) + reach + 1, 1, size).tolist()
    window = picture[y:bottom, x:right]
    pitch = ink.dots * block.line_height
    drawn = _in_dots(block.letters, pitch) if pitch >= _FINEST_DOTS else block.letters
    letters = surface.draw(drawn, (x, y), window.shape[:2])
    if ink.relief:
        return Inked(_carve(window, letters, ink.relief * line), (x, y), line)
    color = _contrasting(rng, window, letters, ink.contrast / ink.opacity)
    if ink.shadow != (0.0, 0.0):
        _cast_shadow(window, letters, ink.shadow, line, _opposite(color))
    if ink.glow:
        spread = cv2.GaussianBlur(letters, (0, 0), max(1.0, ink.glow * line))
        _blend(window, np.asarray(cv2.convertScaleAbs(spread, alpha=1.5), np.uint8), color, 0.7)
    if ink.stroke:
        radius = _stroke_width(ink, line)
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


def _line_height(block: Block, whole: Polygon) -> float:
    """The height of a line in the picture, in pixels, of a block with the outline `whole` there."""
    half = len(whole) // 2
    high = float(np.linalg.norm(whole[:half] - whole[: half - 1 : -1], axis=1).mean())
    return high * block.line_height / block.letters.shape[0]


def _stroke_width(ink: Ink, line: float) -> int:
    return int(np.clip(round(ink.stroke * line), 1, _REACH))


def _cast_shadow(
    window: Image, letters: UInt8[np.ndarray, "_ _"], shadow: tuple[float, float], line: float, color: Color
) -> None:
    dx, dy = (round(float(np.clip(part * line, -_REACH, _REACH))) for part in shadow)
    moved = cv2.warpAffine(letters, np.array([[1.0, 0, dx], [0, 1.0, dy]]), letters.shape[::-1])
    _blend(window, np.asarray(cv2.GaussianBlur(moved, (0, 0), 0.6 + 0.02 * line), np.uint8), color, 0.7)


def _carve(window: Image, letters: UInt8[np.ndarray, "_ _"], depth: float) -> UInt8[np.ndarray, "_ _"]:
    """Engraves letters, or raises them where `depth` (pixels) is less than 0; returns the opacity of the edges.

    The light comes from the upper left.
    """
    shift = math.copysign(float(np.clip(abs(depth), 1.0, _REACH)), depth)
    upper, lower = (
        cv2.warpAffine(letters, np.array([[1.0, 0, way * shift], [0, 1.0, way * shift]]), letters.shape[::-1])
        for way in (-1, 1)
    )
    # In the light, the upper left edge of a hole is dark. The two edges lie on the letters or beside them.
    dark = np.asarray(cv2.subtract(letters, lower), np.uint8)
    light = np.asarray(cv2.subtract(letters, upper), np.uint8)
    dim = cv2.mean(window)[1] < 60  # dark edges hardly show there
    _blend(window, light, (255, 255, 255), 0.6)
    _blend(window, dark, (0, 0, 0), 0.6)
    return light if dim else dark


def _in_dots(letters: UInt8[np.ndarray, "_ _"], pitch: float) -> UInt8[np.ndarray, "_ _"]:
    """The letters as round dots, `pitch` pixels of the block apart. Thin strokes keep their dots."""
    height, width = letters.shape
    cells = max(2, round(width / pitch)), max(2, round(height / pitch))
    shares = cv2.resize(letters, cells, interpolation=cv2.INTER_AREA)
    lit = cv2.resize((shares > 75).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    across, down = (
        (np.arange(side) + 0.5) * count / side % 1 - 0.5 for side, count in ((width, cells[0]), (height, cells[1]))
    )
    return np.where(across**2 + down[:, None] ** 2 < 0.18, 255 * lit, 0).astype(np.uint8)


def _paint_plate(rng: np.random.Generator, picture: Image, polygon: Polygon, ink: Ink) -> None:
    color = ink.plate_color or pick_color(rng)
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
