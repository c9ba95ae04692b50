"""From the probability map to polygons and scores (paper section 3.5, details as in the official code)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, Num

from dbnet_jax.geometry import Number, offset_polygon, order_quad, polygon_area, polygon_perimeter

Map = Float32[np.ndarray, "height width"]
Points = Float32[np.ndarray, "_ 2"]
UNCLIP_RATIOS = {"quad": 1.5, "polygon": 2.0}
# Growing adds at least this many pixels to a side that is worth keeping.
MIN_GROWTH = 2


@dataclass(frozen=True)
class Detections:
    """The text found in one picture.

    - `polygons`: `[vertices, 2]` each, (x, y) in pixels of the original picture.
    - `scores`: of the polygons, in their order; the mean probability inside each, in [0, 1].
    """

    polygons: list[Float[np.ndarray, "_ 2"]]
    scores: Float[np.ndarray, "detections"]


def extract_polygons(
    probability_map: Float[np.ndarray, "height width"],
    *,
    image_size: tuple[int, int],
    shape: str = "quad",
    threshold: Number = 0.3,
    box_threshold: Number = 0.7,
    unclip_ratio: Number | None = None,
    max_candidates: int = 1000,
    min_size: Number = 3,
) -> Detections:
    r"""The text instances of a probability (or binary) map.

    Regions where P > `threshold` are outlined, holes in them too. The score of an outline is the mean of P
    inside it. Those that pass are grown by $D' = A' r' / L'$ (paper section 3.5), A' and L' being area and
    perimeter of the outline and r' the `unclip_ratio`. Coordinates are then scaled to the original picture,
    rounded half to even and clipped.

    **Arguments:**

    - `probability_map`: P in [0, 1].
    - `image_size`: (height, width) of the original picture, in whose pixels the polygons are given.
    - `shape`: "quad" for rotated rectangles, clockwise from the top left; "polygon" for outlines as they are.
    - `threshold`: in [0, 1], above which P is text; the paper takes 0.2.
    - `box_threshold`: in [0, 1], the least score that is kept.
    - `unclip_ratio`: r' > 0; None is 1.5 for quads and 2.0 for polygons.
    - `max_candidates`: how many outlines are looked at.
    - `min_size`: in pixels of the map. The least side of an outline's rectangle (quads only); that of a grown
        one (quads and polygons) is two pixels more.

    **Returns:** polygons within [0, width] × [0, height] and their scores, in the order of the outlines.

    **Raises:** `ValueError` if `shape` is unknown, a size is empty or `unclip_ratio` is not positive.
    """
    if shape not in UNCLIP_RATIOS:
        raise ValueError(f"`shape` (={shape!r}) must be one of {', '.join(map(repr, UNCLIP_RATIOS))}")
    if min(*image_size, *probability_map.shape) < 1:
        sizes = f"`image_size` (={image_size}) and `probability_map` (of shape {probability_map.shape})"
        raise ValueError(f"{sizes} must hold at least one pixel")
    if unclip_ratio is not None and not unclip_ratio > 0:
        raise ValueError(f"`unclip_ratio` (={unclip_ratio}) must be positive, or None for the default")
    ratio = UNCLIP_RATIOS[shape] if unclip_ratio is None else unclip_ratio
    probability_map = np.ascontiguousarray(probability_map, dtype=np.float32)
    polygons, scores = [], []
    for contour in _find_contours(probability_map > threshold)[:max_candidates]:
        outline = _rectangle(contour, min_size) if shape == "quad" else _simplify(contour)
        if outline is None:
            continue
        score = region_score(probability_map, outline)
        if not score >= box_threshold:
            continue
        grown = _unclip(outline, ratio)
        rectangle = None if grown is None else _rectangle(grown, min_size + MIN_GROWTH)
        if grown is None or rectangle is None:
            continue
        # The official code scales quads in float32 and polygons in float64: seen where a half is rounded.
        found = rectangle if shape == "quad" else grown.astype(np.float64)
        polygons.append(_scale(found, probability_map.shape, image_size))
        scores.append(score)
    return Detections(polygons, np.array(scores, np.float32))


def region_score(probability_map: Map, polygon: Points) -> float:
    """The mean of a map inside a polygon, its edge included.

    Only the polygon's own box is looked at, so the cost does not grow with the picture.

    **Arguments:**

    - `probability_map`: any map.
    - `polygon`: in pixels of the map; what lies outside the map does not count.

    **Returns:** the mean; 0 if no pixel is inside.
    """
    last = np.array(probability_map.shape[::-1]) - 1
    left, top = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, last)
    right, bottom = np.clip(np.ceil(polygon.max(axis=0)).astype(int), 0, last) + 1
    box = probability_map[top:bottom, left:right]
    inside = np.zeros(box.shape, np.uint8)
    cv2.fillPoly(inside, [(polygon - np.array([left, top], np.float32)).astype(np.int32)], 1)
    return float(cv2.mean(box, inside)[0])


def _find_contours(text: Bool[np.ndarray, "height width"]) -> Sequence[Int32[np.ndarray, "_ 1 2"]]:
    # A flat list: the outline of a hole is a candidate as well, as in the official code.
    contours, _ = cv2.findContours(text.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return contours


def _rectangle(points: Num[np.ndarray, "_ *one 2"], min_side: Number) -> Float32[np.ndarray, "4 2"] | None:
    """The rotated rectangle of least area around the points, if its shorter side has `min_side` pixels."""
    rectangle = cv2.minAreaRect(points)
    if min(rectangle[1]) < min_side:
        return None
    return order_quad(cv2.boxPoints(rectangle))


def _simplify(contour: Int32[np.ndarray, "_ 1 2"]) -> Points | None:
    """The contour's polygon within 1/500 of its length; nothing of fewer than four vertices."""
    polygon = cv2.approxPolyDP(contour, 0.002 * cv2.arcLength(contour, True), True)
    return polygon.reshape(-1, 2).astype(np.float32) if len(polygon) >= 4 else None


def _unclip(polygon: Points, ratio: Number) -> Points | None:
    """The polygon grown back from its shrunk size; None if it has no area or grows into several pieces."""
    area = polygon_area(polygon)
    if area == 0:
        return None
    pieces = offset_polygon(polygon, area * ratio / polygon_perimeter(polygon))
    return pieces[0] if len(pieces) == 1 else None


def _scale(polygon: Float[np.ndarray, "_ 2"], source: tuple[int, ...], target: tuple[int, int]) -> Points:
    """The polygon in pixels of another size; sizes are (height, width)."""
    source_extent, target_extent = np.array([source[::-1], target[::-1]], polygon.dtype)
    return np.clip(np.round(polygon / source_extent * target_extent), 0, target_extent).astype(np.float32)
