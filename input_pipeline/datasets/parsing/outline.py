"""The rules for an outline of text (in pixels, with an area, of not too many vertices); turned and round outlines."""

import math

import numpy as np

from dbnet_jax.geometry import polygon_area
from dbnet_jax.typing import Polygon

# More than any outline of text has; the time for an outline may grow with the square of its vertices.
MAX_VERTICES = 1000
_ELLIPSE = 24  # vertices of one


class NotPixels(ValueError):
    """Coordinates of another kind: the other lines of the file cannot be trusted either."""


def check_polygon(polygon: Polygon, *, ignored: bool = False) -> None:
    """Refuses an outline that cannot be used.

    **Arguments:** `polygon`; `ignored`: whether its text is ignored. Then it may be the one pixel at the picture's
    corner, which stands for "no text" in some sets.

    **Raises:** `ValueError` if the polygon has fewer than three points, too many or no area, or is not in pixels.
    """
    if len(polygon) < 3:
        raise ValueError(f"{len(polygon)} points where at least 3 are needed")
    if len(polygon) > MAX_VERTICES:
        raise ValueError(f"{len(polygon)} points where at most {MAX_VERTICES} are usable")
    if polygon_area(polygon) == 0:
        raise ValueError("the outline has no area")
    one_pixel = ignored and bool((polygon == np.rint(polygon)).all())
    if polygon.min() >= 0 and polygon.max() <= 1 and not one_pixel:
        raise NotPixels("all numbers lie between 0 and 1, as shares of the picture's size are; pixels are expected")


def crosses_itself(polygon: Polygon) -> bool:
    """Whether two edges that are not neighbours cross in a point inside of both.

    Edges AB and CD cross exactly where C and D lie on different sides of AB, and A and B on different sides
    of CD.
    """
    starts = polygon.astype(np.float64)
    ends = np.roll(starts, -1, axis=0)
    along = ends - starts
    # sides[i, j, …]: on which side of edge i the start and the end of edge j lie.
    offsets = np.stack([starts[None] - starts[:, None], ends[None] - starts[:, None]], axis=2)
    sides = np.sign(along[:, None, None, 0] * offsets[..., 1] - along[:, None, None, 1] * offsets[..., 0])
    parted = sides[..., 0] * sides[..., 1] < 0
    return bool((parted & parted.T).any())


def turn(polygon: Polygon, center: tuple[float, float], angle: float) -> Polygon:
    """The polygon turned about a point.

    **Arguments:** `polygon`; `center`: (x, y) in pixels; `angle`: in radians, clockwise.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    # y points down, so that this matrix turns clockwise.
    offsets = (polygon - np.array(center)) @ np.array([[cosine, sine], [-sine, cosine]])
    return (offsets + center).astype(np.float32)


def ellipse(center: tuple[float, float], radius_x: float, radius_y: float) -> Polygon:
    """Vertices of an upright ellipse, in pixels, clockwise from its right."""
    angles = np.arange(_ELLIPSE) * (2 * np.pi / _ELLIPSE)
    return (np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1) + center).astype(np.float32)
