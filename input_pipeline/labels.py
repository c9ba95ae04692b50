"""Label maps from polygons: the targets of the network for a picture (paper section 3.5, figure 4)."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Num, Shaped

from dbnet_jax.geometry import Number, clip_to_image, measure_polygons, offset_polygon
from dbnet_jax.typing import Map, Polygon
from input_pipeline.edge_distance import DISTANCES, lower_to_edges


def make_labels(
    polygons: Sequence[Polygon] | Num[np.ndarray, "instances vertices 2"],
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
    - `threshold_distance`: "true" is the distance d to an edge. "official" is the official code's: outside of
        the circle over the edge it is the distance to the nearer end, which is longer near corners.

    **Returns:** "shrink_map" and its loss mask "shrink_mask", both of {0, 1}; "threshold_map" in
    [`threshold_min`, `threshold_max`] and its mask "threshold_mask" of {0, 1}, 1 on the whole of every Gd.

    **Raises:** `ValueError` if a ratio or a size is out of its range, if `polygons` and `ignore` differ in length or
    if `threshold_distance` is unknown.
    """
    _check_arguments(len(polygons), len(ignore), height, width, shrink_ratio, threshold_min, threshold_max)
    if threshold_distance not in DISTANCES:
        raise ValueError(f"`threshold_distance` (={threshold_distance!r}) must be one of {DISTANCES}")
    # One piece of memory is kept from picture to picture; of several the system takes and clears the pages each time.
    maps = np.empty((4, height, width), np.float32)
    maps[:] = np.array([0, 1, 1, 0], np.float32).reshape(4, 1, 1)
    shrink_map, shrink_mask, threshold_map, threshold_mask = maps
    texts, distances, boxes = [], [], []
    for polygon, distance in _measured(polygons, ignore, height, width, shrink_ratio, min_text_size):
        shrunk, grown = (
            (offset_polygon(polygon, -distance), offset_polygon(polygon, distance)) if distance else ([], [])
        )
        if not (shrunk and grown):
            _fill(shrink_mask, polygon, 0)
            continue
        # As in the official code: only the first piece, where a shrink splits a polygon.
        _fill(shrink_map, shrunk[0], 1)
        _fill(threshold_mask, grown[0], 1)
        texts.append(polygon)
        distances.append(distance)
        boxes.append(_box(grown[0], height, width))
    lower_to_edges(threshold_map, texts, distances, boxes, threshold_distance)
    np.subtract(1, threshold_map, out=threshold_map)
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


def _measured(
    polygons: Sequence[Polygon] | Num[np.ndarray, "instances vertices 2"],
    ignore: Sequence[bool | int | np.bool_ | np.integer] | Shaped[np.ndarray, "instances"],
    height: int,
    width: int,
    shrink_ratio: Number,
    min_text_size: Number,
) -> Iterator[tuple[Polygon, float]]:
    """The polygons clipped to the picture, and the D of each, 0 where it is ignored; none that are skipped.

    All are measured together: of a few vertices each, the calls would take longer than the arithmetic.
    """
    kept = [index for index, polygon in enumerate(polygons) if len(polygon) and np.isfinite(polygon).all()]
    if not kept:
        return
    counts = np.array([len(polygons[index]) for index in kept])
    vertices = clip_to_image(np.concatenate([polygons[index] for index in kept]), height, width)
    ends = np.cumsum(counts)
    areas, perimeters = measure_polygons(vertices, counts)
    sides = np.maximum.reduceat(vertices, ends - counts) - np.minimum.reduceat(vertices, ends - counts)
    text = ~np.array(ignore, bool)[kept] & (sides.min(axis=1) >= min_text_size) & (areas >= 1)
    distances = np.divide(areas * (1 - shrink_ratio**2), perimeters, out=np.zeros_like(areas), where=text)
    for start, end, distance in zip((ends - counts).tolist(), ends.tolist(), distances.tolist(), strict=True):
        yield vertices[start:end], distance


def _box(polygon: Polygon, height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a polygon's upright box in the picture: left, top, and, exclusive, right and bottom."""
    left, top, columns, rows = cv2.boundingRect(polygon.astype(np.int32))
    return max(left, 0), max(top, 0), min(left + columns, width), min(top + rows, height)


def _fill(canvas: Map, polygon: Polygon, value: int) -> None:
    cv2.fillPoly(canvas, [polygon.astype(np.int32)], value)
