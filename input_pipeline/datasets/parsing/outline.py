"""The rules for an outline of text: in pixels, valid, of not too many vertices; turned and round outlines."""

import math

import numpy as np

from dbnet_jax.geometry import polygon_area
from dbnet_jax.geometry.validity import MAX_VERTICES, are_valid, crosses_itself, repair_polygon
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.typing import Polygon

# Far above a dense page of 5,000 words; the time and the memory for a picture grow with it.
MAX_INSTANCES = 20_000
_ELLIPSE = 24  # vertices of one


class NotPixels(ValueError):
    """Coordinates of another kind: the other lines of the file cannot be trusted either."""


class TooManyInstances(BadPicture):
    """The file of one picture states more instances than any picture has."""


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


def valid_outline(polygon: Polygon) -> tuple[Polygon, str]:
    """An outline as a valid polygon of the same region, see `repair_polygon`.

    **Arguments:**

    - `polygon`: an outline that passes `check_polygon`.

    **Returns:** the outline, and what was wrong with it; "" if nothing was.

    **Raises:** `ValueError` if the region has no area.
    """
    if are_valid([polygon])[0]:
        return polygon, ""
    repaired = repair_polygon(polygon)
    if not len(repaired):
        raise ValueError("the outline has no area")
    fault = "crosses" if crosses_itself(polygon) else "touches"
    return repaired, f"the outline {fault} itself; repaired to one valid polygon of the same region"


def check_count(file: str, count: int) -> None:
    """**Raises:** `TooManyInstances` if the file of a picture has more instances than `MAX_INSTANCES`."""
    if count > MAX_INSTANCES:
        limit = f"a picture has at most {MAX_INSTANCES:,}"
        raise TooManyInstances(f"{file}: {count:,} text instances, and {limit}: split the file by pictures")


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
