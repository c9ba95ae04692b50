"""Label maps from polygons: what the network is to answer for a picture (paper section 3.5, figure 4)."""

import itertools
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, Num, Shaped

from dbnet_jax.geometry import Number, clip_to_image, offset_distance, offset_polygon, polygon_area

Map = Float32[np.ndarray, "height width"]
Points = Float[np.ndarray, "_ 2"]
Point = Sequence[float]
# In pixels. Edges are not cut shorter than this: one more call then costs more than the pixels it saves.
MIN_WINDOW = 128
DISTANCES = ("true", "official")


def make_labels(
    polygons: Sequence[Num[np.ndarray, "_ 2"]] | Num[np.ndarray, "instances vertices 2"],
    ignore: Sequence[bool | int | np.bool_ | np.integer] | Shaped[np.ndarray, "instances"],
    height: int,
    width: int,
    *,
    shrink_ratio: Number = 0.4,
    threshold_min: Number = 0.3,
    threshold_max: Number = 0.7,
    min_text_size: Number = 8,
    threshold_distance: str = "true",
) -> dict[str, Map]:
    r"""The four label maps of one picture.

    With area A, perimeter L and shrink ratio r, a polygon G is shrunk to Gs and grown to Gd by
    $D = A (1 - r^2) / L$ (paper equation 10). The shrink map is 1 on Gs. On the threshold map a pixel at
    distance d from the nearest edge of G has $t_{min} + (t_{max} - t_{min}) \max(0, 1 - d / D)$, the largest
    value where several instances meet.

    A polygon is clipped to the picture first. It counts as ignored if it is flagged, if a side of its
    upright box is under `min_text_size`, if its area is under one square pixel or if nothing is left of it
    after the shrink; ignored polygons only clear the shrink mask. One without vertices, or with a coordinate
    that is not finite, is skipped: there is no place to clear.

    **Arguments:**

    - `polygons`: (x, y) in pixels, closed by themselves, in either orientation.
    - `ignore`: for each polygon, whether it must be neither text nor background.
    - `height`, `width`: of the picture in pixels.
    - `shrink_ratio`: r in (0, 1).
    - `threshold_min`, `threshold_max`: the range of the threshold map, in [0, 1].
    - `min_text_size`: in pixels.
    - `threshold_distance`: "true" is the distance d to an edge. "official" is what the official code computes: outside
        of the circle over the edge that to its nearer end, which is longer near corners.

    **Returns:** "shrink_map" and its loss mask "shrink_mask", both of {0, 1}; "threshold_map" in
    [`threshold_min`, `threshold_max`] and its mask "threshold_mask" of {0, 1}, 1 on the whole of every Gd.

    **Raises:** `ValueError` if a ratio or a size is out of its range, if `polygons` and `ignore` differ in length or
    if `threshold_distance` is unknown.
    """
    _check_arguments(len(polygons), len(ignore), height, width, shrink_ratio, threshold_min, threshold_max)
    if threshold_distance not in DISTANCES:
        raise ValueError(f"`threshold_distance` (={threshold_distance!r}) must be one of {DISTANCES}")
    shrink_map = np.zeros((height, width), np.float32)
    shrink_mask = np.ones((height, width), np.float32)
    threshold_map = np.zeros((height, width), np.float32)
    threshold_mask = np.zeros((height, width), np.float32)
    for polygon, ignored in zip(polygons, ignore, strict=True):
        if len(polygon) == 0 or not np.isfinite(polygon).all():
            continue
        polygon = clip_to_image(polygon, height, width)
        distance = offset_distance(polygon, shrink_ratio)
        if ignored or np.ptp(polygon, axis=0).min() < min_text_size or polygon_area(polygon) < 1:
            shrunk, grown = [], []
        else:
            shrunk, grown = offset_polygon(polygon, -distance), offset_polygon(polygon, distance)
        if not (shrunk and grown):
            _fill(shrink_mask, polygon, 0)
            continue
        # As in the official code: only the first piece, where a shrink splits a polygon.
        _fill(shrink_map, shrunk[0], 1)
        _fill(threshold_mask, grown[0], 1)
        _draw_threshold(threshold_map, polygon, distance, grown[0], threshold_distance)
    threshold_map *= threshold_max - threshold_min
    threshold_map += threshold_min
    return {
        "shrink_map": shrink_map,
        "shrink_mask": shrink_mask,
        "threshold_map": threshold_map,
        "threshold_mask": threshold_mask,
    }


def _check_arguments(
    num_polygons: int,
    num_flags: int,
    height: int,
    width: int,
    shrink_ratio: Number,
    threshold_min: Number,
    threshold_max: Number,
) -> None:
    if num_polygons != num_flags:
        raise ValueError(f"`ignore` must hold one flag a polygon, not {num_flags} for {num_polygons} polygons")
    if height < 1 or width < 1:
        raise ValueError(f"`height` (={height}) and `width` (={width}) must be at least one pixel")
    if not 0 < shrink_ratio < 1:
        raise ValueError(f"`shrink_ratio` (={shrink_ratio}) must be in (0, 1)")
    if not 0 <= threshold_min < threshold_max <= 1:
        limits = f"`threshold_min` (={threshold_min}) and `threshold_max` (={threshold_max})"
        raise ValueError(f"{limits} must be ascending in [0, 1]")


def _fill(canvas: Map, polygon: Points, value: int) -> None:
    cv2.fillPoly(canvas, [polygon.astype(np.int32)], value)


def _draw_threshold(canvas: Map, polygon: Points, distance: float, grown: Points, kind: str) -> None:
    """Raises `canvas` to 1 − d/D in the box of `grown`; d is the distance to the polygon's nearest edge."""
    last = np.array(canvas.shape[::-1]) - 1
    left, top = np.clip(grown.min(axis=0), 0, last).astype(int)
    right, bottom = np.clip(grown.max(axis=0), 0, last).astype(int) + 1
    box = canvas[top:bottom, left:right]
    # Squared and in units of D until the end: one square root a pixel, not one a pixel and edge.
    nearest = np.ones(box.shape, np.float32)
    vertices = (polygon - (left, top)).tolist()
    for start, end in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        # The official distance is one of the whole edge.
        window = max(2 * distance, MIN_WINDOW) if kind == "true" else math.inf
        for piece_start, piece_end in _split_edge(start, end, window):
            _lower_to_segment(nearest, piece_start, piece_end, distance, kind)
    np.sqrt(nearest, out=nearest)
    np.subtract(1, nearest, out=nearest)
    np.maximum(box, nearest, out=box)


def _split_edge(start: Point, end: Point, window: Number) -> Iterator[tuple[Point, Point]]:
    """An edge in pieces of at most `window` pixels wide or high: a long slanted edge's box is mostly void."""
    (x0, y0), (x1, y1) = start, end
    count = max(1, math.ceil(min(abs(x1 - x0), abs(y1 - y0)) / window))
    return itertools.pairwise((x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count + 1))


def _lower_to_segment(nearest: Map, start: Point, end: Point, distance: float, kind: str) -> None:
    """Lowers `nearest` to (d/D)², d being the distance to one segment, at the pixels within D of it.

    d² = across² + beyond²: the distance from the line, and that along the line past the nearer end (0 between the
    ends, or, of the official `kind`, inside of the circle that they span). Both coordinates of a pixel are a sum of
    one term for its column and one for its row.
    """
    (x0, y0), (x1, y1) = start, end
    left, right = max(0, math.ceil(min(x0, x1) - distance)), max(0, math.floor(max(x0, x1) + distance) + 1)
    top, bottom = max(0, math.ceil(min(y0, y1) - distance)), max(0, math.floor(max(y0, y1) + distance) + 1)
    window = nearest[top:bottom, left:right]
    rows, columns = window.shape
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = ((x1 - x0) / length, (y1 - y0) / length) if length > 0 else (1.0, 0.0)
    x = (np.arange(left, left + columns) - x0) / distance
    y = ((np.arange(top, top + rows) - y0) / distance)[:, None]
    across = (ux * y).astype(np.float32) - (uy * x).astype(np.float32)
    beyond = (uy * y).astype(np.float32) + (ux * x).astype(np.float32)
    span = np.float32(length / distance)
    across *= across
    if kind == "true":
        beyond -= np.clip(beyond, 0, span)
    else:
        inside = beyond * (beyond - span) + across <= 0
        beyond = np.where(inside, np.float32(0), np.minimum(np.abs(beyond), np.abs(beyond - span)))
    beyond *= beyond
    across += beyond
    np.minimum(window, across, out=window)
