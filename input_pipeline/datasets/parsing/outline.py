"""The rules for an outline of text: it is in pixels, has an area, and has not too many vertices."""

import numpy as np

from dbnet_jax.geometry import polygon_area
from dbnet_jax.typing import Polygon

# More than any outline of text has; the time for an outline may grow with the square of its vertices.
MAX_VERTICES = 1000


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
