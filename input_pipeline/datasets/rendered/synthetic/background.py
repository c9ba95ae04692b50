"""The grounds of synthetic text, and shapes that a detector must not take for text."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.typing import Image
from input_pipeline.datasets.rendered.synthetic.layout import TextDistances

_CLEARANCE = 8  # pixels between a distracting shape and text
_LARGEST_SHAPE = 60  # pixels, the radius of the largest shape
_SUBPIXEL = 4  # fractional bits of coordinates for OpenCV


def fill_polygon(image: Image, polygon: np.ndarray, color: tuple[int, int, int]) -> None:
    """Fills `polygon` [vertices, 2] in place, with smooth edges."""
    fixed = np.rint(polygon * 2**_SUBPIXEL).astype(np.int32)
    cv2.fillPoly(image, [fixed], color, cv2.LINE_AA, _SUBPIXEL)


def pick_color(rng: np.random.Generator) -> tuple[int, int, int]:
    """A random RGB colour; half of them are dull, as in most photographs."""
    color = rng.integers(0, 256, 3)
    if rng.random() < 0.5:
        color += ((color.mean() - color) * rng.uniform(0.5, 1)).astype(int)
    red, green, blue = color.tolist()
    return red, green, blue


def paint_background(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """A picture of `size` (height, width): gradients, grain, fibres, bricks or overlapping shapes.

    Text is legible on all of them.
    """
    picture = _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))](rng, size)
    if rng.random() < 0.5:
        amount = rng.uniform(3, 24)
        coarse = int(rng.integers(1, 4))
        shape = (size[0] // coarse + 1, size[1] // coarse + 1)
        grain = rng.integers(0, 256, shape, np.uint8)
        _add(picture, cv2.resize(grain, size[::-1], interpolation=cv2.INTER_LINEAR), amount)
    return picture


def _add(picture: Image, pattern: UInt8[np.ndarray, "height width *channels"], amount: float) -> None:
    """Adds `pattern`, whose values [0, 255] become [−amount, amount], in place."""
    if pattern.ndim == 2:
        pattern = cv2.merge([pattern] * 3)
    cv2.addWeighted(picture, 1, pattern, amount / 127.5, -amount, picture)


def _plain(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    picture = np.empty((*size, 3), np.uint8)
    picture[:] = pick_color(rng)
    return picture


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    picture = _plain(rng, size)
    knots = rng.integers(0, 256, (*rng.integers(1, 5, 2), 3), np.uint8)
    _add(picture, cv2.resize(knots, size[::-1], interpolation=cv2.INTER_CUBIC), rng.uniform(20, 90))
    return picture


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    picture = _plain(rng, size)
    for cells in (4, 12, 40):
        noise = rng.integers(0, 256, (cells, cells, 3 if cells < 40 else 1), np.uint8)
        pattern = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
        _add(picture, pattern, rng.uniform(5, 40))
    return picture


def _fibres(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    picture = _plain(rng, size)
    shape = (int(rng.integers(20, 120)), int(rng.integers(1, 6)))
    noise = rng.integers(0, 256, shape if rng.random() < 0.5 else shape[::-1], np.uint8)
    _add(picture, cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC), rng.uniform(10, 45))
    return picture


def _bricks(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    rows, columns = rng.integers(3, 14, 2).tolist()
    picture = _plain(rng, size)
    noise = rng.integers(0, 256, (rows, columns), np.uint8)
    _add(picture, cv2.resize(noise, size[::-1], interpolation=cv2.INTER_NEAREST), rng.uniform(8, 45))
    other, thickness = pick_color(rng), int(rng.integers(1, 4))
    # Joints differ little from the bricks: strong joints would hide text.
    joint = (0.7 * picture[0, 0] + 0.3 * np.array(other)).astype(int).tolist()
    for row in range(1, rows):
        y = row * size[0] // rows
        cv2.line(picture, (0, y), (size[1], y), joint, thickness)
    for column in range(1, columns):
        x = column * size[1] // columns
        cv2.line(picture, (x, 0), (x, size[0]), joint, thickness)
    return picture


def _shapes(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    picture = _plain(rng, size)
    base = np.array(picture[0, 0], int)
    for _ in range(rng.integers(2, 9)):
        color = tuple(np.clip(base + rng.integers(-60, 61, 3), 0, 255).tolist())
        center = rng.random(2) * size[::-1]
        corners = center + rng.normal(0, 0.35 * max(size), (rng.integers(3, 6), 2))
        fill_polygon(picture, corners, color)
    return picture


_BACKGROUNDS: list[Callable[[np.random.Generator, tuple[int, int]], Image]] = [
    _plain,
    _gradient,
    _gradient,
    _grain,
    _grain,
    _fibres,
    _bricks,
    _shapes,
]


def paint_distractors(rng: np.random.Generator, picture: Image, distances: TextDistances) -> None:
    """Paints up to ten shapes for each 256×256 pixels in places without text, in place."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(0, max(2, round(11 * height * width / 256**2)))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        radius = min(distances.distance(x, y) - _CLEARANCE, rng.uniform(5, _LARGEST_SHAPE))
        if radius >= 5:
            paint_shape(rng, picture, (x, y), radius)


def paint_shape(rng: np.random.Generator, picture: Image, center: tuple[int, int], radius: float) -> None:
    """Paints a ring, a polygon, strokes or a grating at most `radius` (5 or more) pixels from `center`, in place."""
    _DISTRACTORS[rng.integers(len(_DISTRACTORS))](rng, picture, center, radius)


# Each shape stays within `radius` pixels of `center` (x, y).
def _ring(rng: np.random.Generator, picture: Image, center: tuple[int, int], radius: float) -> None:
    # A thickness of -1 fills.
    thickness = -1 if rng.random() < 1 / 3 else int(rng.integers(1, 6))
    axes = (int(radius - 3), int((radius - 3) * rng.uniform(0.4, 1)))
    end = 360 if rng.random() < 0.7 else int(rng.integers(90, 300))
    cv2.ellipse(picture, center, axes, rng.uniform(0, 180), 0, end, pick_color(rng), thickness, cv2.LINE_AA)


def _corners(rng: np.random.Generator, picture: Image, center: tuple[int, int], radius: float) -> None:
    """A polygon, regular or not, filled or drawn."""
    count = int(rng.integers(3, 8))
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False) + rng.uniform(0, math.pi)
    reach = (radius - 3) * (rng.uniform(0.3, 1, count) if rng.random() < 0.4 else np.ones(count))
    points = center + np.stack([np.cos(angles), np.sin(angles)], -1) * reach[:, None]
    if rng.random() < 0.5:
        fill_polygon(picture, points, pick_color(rng))
    else:
        fixed = np.rint(points * 2**_SUBPIXEL).astype(np.int32)
        cv2.polylines(picture, [fixed], True, pick_color(rng), int(rng.integers(1, 5)), cv2.LINE_AA, _SUBPIXEL)


def _strokes(rng: np.random.Generator, picture: Image, center: tuple[int, int], radius: float) -> None:
    """A few lines."""
    color, thickness = pick_color(rng), int(rng.integers(1, 4))
    for _ in range(rng.integers(1, 5)):
        angle = rng.uniform(0, 2 * math.pi, 2)
        ends = center + np.stack([np.cos(angle), np.sin(angle)], -1) * (radius - 3)
        first, last = np.rint(ends).astype(int).tolist()
        cv2.line(picture, first, last, color, thickness, cv2.LINE_AA)


def _pattern(rng: np.random.Generator, picture: Image, center: tuple[int, int], radius: float) -> None:
    """A grating or a check pattern, within a box or a disc, turned."""
    side = int(radius)
    turn, period = rng.uniform(0, math.pi), rng.uniform(3, max(4, radius / 3))
    cos, sin = math.cos(turn), math.sin(turn)
    offset = np.arange(-side, side + 1, dtype=np.float32)
    u, v = cos * offset + sin * offset[:, None], cos * offset[:, None] - sin * offset
    if rng.random() < 0.25:
        inside = u * u + v * v < (side - 1) ** 2
    else:
        # Cosine and sine of an angle: the corners too stay within the radius.
        half = rng.uniform(0.2, 1.3)
        inside = (np.abs(u) < math.cos(half) * (side - 1)) & (np.abs(v) < math.sin(half) * (side - 1))
    odd = np.sin(u * (math.pi / period)) > 0
    if rng.random() < 0.5:
        odd ^= np.sin(v * (math.pi / period)) > 0
    colors = np.array([pick_color(rng), pick_color(rng)], np.uint8)
    top, left = max(0, center[1] - side), max(0, center[0] - side)
    target = picture[top : center[1] + side + 1, left : center[0] + side + 1]
    rows = slice(top - center[1] + side, top - center[1] + side + target.shape[0])
    columns = slice(left - center[0] + side, left - center[0] + side + target.shape[1])
    target[inside[rows, columns]] = colors[odd[rows, columns][inside[rows, columns]].astype(np.intp)]


_DISTRACTORS: list[Callable[[np.random.Generator, Image, tuple[int, int], float], None]] = [
    _ring,
    _corners,
    _strokes,
    _pattern,
]
