"""Words cut out of pictures, upright and of one height, as a recogniser takes them."""

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from dbnet_jax.typing import Polygon

Pixels = UInt8[np.ndarray, "_ _ *_"]  # RGB, or grey without a third axis

LEAST_WIDTH = 8
"""The least width of a word's picture, in pixels."""
_LONGEST_REMAP = 32_766  # pixels of a side that `cv2.remap` takes
_MOST_SHRINK = 8  # times the height of a crop; a larger word is drawn at this size and shrunk


def cut_word(
    image: Pixels, polygon: Polygon, height: int, max_width: int, least_width: int = LEAST_WIDTH
) -> UInt8[np.ndarray, "{height} width"]:
    """The word inside a polygon in reading order, as annotations have it; see `cut_between` and `long_sides`."""
    return cut_between(image, *long_sides(polygon), height, max_width, least_width)


def cut_between(
    image: Pixels, upper: Polygon, lower: Polygon, height: int, max_width: int, least_width: int = LEAST_WIDTH
) -> UInt8[np.ndarray, "{height} width"]:
    """The word between two sides, upright and grey.

    A quad is seen straight from the front. Between sides of more points the word is straightened.

    **Arguments:**

    - `image`: RGB, or grey.
    - `upper`, `lower`: of the text, in reading order, as many points each; they may reach outside of the picture.
    - `height`: of the result, in pixels.
    - `max_width`, `least_width`: of the result. Between them the word keeps its proportion; beyond, it is squeezed or
        stretched.
    """
    high, long = _extent(upper, lower)
    width = int(np.clip(round(height * long / high), least_width, max_width))
    # Pixels between two samples would be lost: a large word is drawn larger, and shrunk.
    times = int(np.clip(math.ceil(min(high / height, long / width)), 1, _MOST_SHRINK))
    drawn = _draw(image, upper, lower, (times * height, times * width))
    if times > 1:
        drawn = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), np.uint8) if drawn.ndim == 3 else drawn


def word_width(polygon: Polygon, height: int, max_width: int) -> int:
    """The width of what `cut_word` returns, in pixels."""
    high, long = _extent(*long_sides(polygon))
    return int(np.clip(round(height * long / high), LEAST_WIDTH, max_width))


def _extent(upper: Polygon, lower: Polygon) -> tuple[float, float]:
    """The height and the length of the text between two sides, in pixels, at least 1."""
    high = float(np.linalg.norm(upper - lower, axis=1).mean())
    return max(high, 1.0), max(_length(upper), _length(lower), 1.0)


def long_sides(polygon: Polygon) -> tuple[Polygon, Polygon]:
    """The upper and the lower side of an annotated text, both in reading order, as many points each.

    As many points of the polygon are above as below, from the top left of the text. Another polygon is taken as the
    rotated rectangle of least area around it.
    """
    points = np.asarray(polygon, np.float32)
    if len(points) % 2 or len(points) < 4:
        points = np.asarray(cv2.boxPoints(cv2.minAreaRect(points)), np.float32)
        first = int(points.sum(1).argmin())
        points = np.roll(points, -first, axis=0)
    half = len(points) // 2
    return points[:half], points[half:][::-1]


def _length(side: Polygon) -> float:
    return float(np.linalg.norm(np.diff(side, axis=0), axis=1).sum())


def _draw(image: Pixels, upper: Polygon, lower: Polygon, size: tuple[int, int]) -> Pixels:
    rows, columns = size
    if len(upper) == 2:
        source = np.stack([upper[0], upper[1], lower[1], lower[0]]).astype(np.float32)
        target = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        warped = cv2.warpPerspective(
            image, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8)
    along = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    down = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None, None]
    above, below = _walk(upper, along), _walk(lower, along)
    places = (above + down * (below - above) - 0.5).astype(np.float32)
    if max(image.shape[:2]) > _LONGEST_REMAP:
        image, places = _surroundings(image, places)
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _surroundings(image: Pixels, places: Float[np.ndarray, "rows columns 2"]) -> tuple[Pixels, np.ndarray]:
    """The part of a picture around places in it, and the places in this part; too large a part is thinned out."""
    last = np.array([image.shape[1] - 1, image.shape[0] - 1])
    low = np.clip(np.floor(places.min((0, 1))), 0, last).astype(int)
    high = np.clip(np.floor(places.max((0, 1))) + 1, 0, last).astype(int)
    step = 1 + int((high - low).max()) // _LONGEST_REMAP
    part = image[low[1] : high[1] + 1 : step, low[0] : high[0] + 1 : step]
    return part, ((places - low) / step).astype(np.float32)


def _walk(side: Polygon, along: Float[np.ndarray, "columns"]) -> Float[np.ndarray, "columns 2"]:
    """The points at these shares of a side's length."""
    steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
    stops = np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), 1e-6)
    return np.stack([np.interp(along, stops, side[:, axis]) for axis in (0, 1)], -1)


def padded(crop: UInt8[np.ndarray, "height _"], width: int) -> UInt8[np.ndarray, "height {width}"]:
    """The crop with its last column repeated, up to `width`."""
    return np.pad(crop, ((0, 0), (0, width - crop.shape[1])), mode="edge")


def text_sides(polygon: Polygon) -> tuple[Polygon, Polygon]:
    """The upper and the lower side of a detected text, whose outline begins anywhere, in reading order.

    A shape that is nearly its rotated rectangle is taken as that. Of another one the two ends are where the outline
    falls into two sides that run closest to each other.
    """
    points = np.asarray(polygon, np.float32)
    centre, extent, angle = cv2.minAreaRect(points)
    corners = cv2.boxPoints((centre, extent, angle))
    filled = cv2.contourArea(points) / max(extent[0] * extent[1], 1e-6)
    if len(points) <= 4 or filled > _STRAIGHT or max(extent) < 1.5 * min(extent):
        return _upright(*_rectangle_sides(corners))
    return _upright(*_ribbon_sides(points))


_STRAIGHT = 0.8  # of its rectangle's area that a straight text's outline fills
_STOPS = 64  # points of an outline among which the ends are looked for
_SHIFT = 10  # of those points by which one side may have more than the half
_SIDE = 9  # points of each side of a curved text


def _rectangle_sides(corners: Polygon) -> tuple[Polygon, Polygon]:
    """The long sides of a rectangle, side by side in one direction."""
    first = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
    if first[0] < first[1]:
        corners = np.roll(corners, -1, axis=0)
    return corners[:2], corners[[3, 2]]


def _ribbon_sides(points: Polygon) -> tuple[Polygon, Polygon]:
    closed = np.concatenate([points, points[:1]])
    stops = _walk(closed, np.arange(_STOPS, dtype=np.float32) / _STOPS)
    half, share = _STOPS // 2, np.linspace(0, 1, 2 * _SIDE)
    starts = np.arange(half)[:, None]
    ends = starts + half + np.arange(-_SHIFT, _SHIFT + 1)
    one = starts[..., None] + share * (ends - starts)[..., None]
    other = starts[..., None] + _STOPS - share * (starts + _STOPS - ends)[..., None]
    apart = stops[np.rint(one).astype(int) % _STOPS] - stops[np.rint(other).astype(int) % _STOPS]
    place = np.unravel_index(np.linalg.norm(apart, axis=-1).mean(-1).argmin(), ends.shape)
    start, end = int(starts[place[0], 0]), int(ends[place])
    sides = [
        stops[np.arange(start, end + 1) % _STOPS],
        stops[np.arange(start + _STOPS, end - 1, -1) % _STOPS],
    ]
    high = float(np.median(np.linalg.norm(_walk(sides[0], share)[4:-4] - _walk(sides[1], share)[4:-4], axis=1)))
    # The outline's ends belong to both sides until half a height is cut off each.
    trimmed = []
    for side in sides:
        cut = min(0.5 * high / max(_length(side), 1e-6), 0.3)
        trimmed.append(_walk(side, np.linspace(cut, 1 - cut, _SIDE, dtype=np.float32)).astype(np.float32))
    return trimmed[0], trimmed[1]


def _upright(one: Polygon, other: Polygon) -> tuple[Polygon, Polygon]:
    """Two sides that run in one direction as (upper, lower), from left to right; of an upright text downwards."""
    middle = (one + other) / 2
    along = middle[len(middle) // 2] - middle[len(middle) // 2 - 1]
    if abs(along[0]) * 1.5 < abs(along[1]):
        forwards = along[1] > 0
    else:
        forwards = along[0] > 0
    if not forwards:
        one, other, along = one[::-1], other[::-1], -along
    across = (other - one).mean(0)
    if along[0] * across[1] - along[1] * across[0] < 0:
        one, other = other, one
    return one.astype(np.float32), other.astype(np.float32)
