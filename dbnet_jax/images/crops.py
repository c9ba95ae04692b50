"""Words cut out of pictures, upright and of one height, as a recogniser takes them."""

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from dbnet_jax.typing import Image, Polygon

_MOST_SHRINK = 8  # times the height of a crop; a larger word is drawn at this size and shrunk


def cut_word(
    image: Image, polygon: Polygon, height: int, max_width: int, least_width: int = 8
) -> UInt8[np.ndarray, "{height} width"]:
    """The word inside a polygon, upright and grey.

    A quad is seen straight from the front. A polygon of more points, as many above as below, is straightened along its
    two long sides. Another one is cut out by the rotated rectangle of least area around it.

    **Arguments:**

    - `image`: RGB.
    - `polygon`: in reading order, from the top left of the text; it may reach outside of the picture.
    - `height`: of the result, in pixels.
    - `max_width`, `least_width`: of the result. Between them the word keeps its proportion; beyond, it is squeezed or
        stretched.
    """
    upper, lower = long_sides(polygon)
    high = max(float(np.linalg.norm(upper - lower, axis=1).mean()), 1.0)
    long = max(_length(upper), _length(lower), 1.0)
    width = int(np.clip(round(height * long / high), least_width, max_width))
    # Pixels between two samples would be lost: a large word is drawn larger, and shrunk.
    times = int(np.clip(math.ceil(min(high / height, long / width)), 1, _MOST_SHRINK))
    drawn = _draw(image, upper, lower, (times * height, times * width))
    if times > 1:
        drawn = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), np.uint8) if drawn.ndim == 3 else drawn


def long_sides(polygon: Polygon) -> tuple[Polygon, Polygon]:
    """The upper and the lower side of a text, both in reading order, as many points each."""
    points = np.asarray(polygon, np.float32)
    if len(points) % 2 or len(points) < 4:
        points = cv2.boxPoints(cv2.minAreaRect(points))
        first = int(points.sum(1).argmin())
        points = np.roll(points, -first, axis=0)
    half = len(points) // 2
    return points[:half], points[half:][::-1]


def _length(side: Polygon) -> float:
    return float(np.linalg.norm(np.diff(side, axis=0), axis=1).sum())


def _draw(image: Image, upper: Polygon, lower: Polygon, size: tuple[int, int]) -> Image:
    rows, columns = size
    if len(upper) == 2:
        source = np.stack([upper[0], upper[1], lower[1], lower[0]]).astype(np.float32)
        target = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        border = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
        return np.asarray(cv2.warpPerspective(image, matrix, (columns, rows), **border), np.uint8)
    along = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    down = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None, None]
    above, below = _walk(upper, along), _walk(lower, along)
    places = (above + down * (below - above) - 0.5).astype(np.float32)
    border = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return np.asarray(cv2.remap(image, places[..., 0], places[..., 1], **border), np.uint8)


def _walk(side: Polygon, along: Float[np.ndarray, "columns"]) -> Float[np.ndarray, "columns 2"]:
    """The points at these shares of a side's length."""
    steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
    stops = np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), 1e-6)
    return np.stack([np.interp(along, stops, side[:, axis]) for axis in (0, 1)], -1)


def padded(crop: UInt8[np.ndarray, "height _"], width: int) -> UInt8[np.ndarray, "height {width}"]:
    """The crop with its last column repeated, up to `width`."""
    return np.pad(crop, ((0, 0), (0, width - crop.shape[1])), mode="edge")
