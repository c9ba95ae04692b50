"""From the probability map to polygons and scores (paper section 3.5, details as in the official code)."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from dbnet_jax.geometry import Number, measure_polygons, offset_path, order_quad
from dbnet_jax.geometry.packed import Outlines, concatenate
from dbnet_jax.messages import check_choice
from dbnet_jax.typing import Map

Points = Float32[np.ndarray, "_ 2"]
Rectangle = tuple[Sequence[float], Sequence[float], float]  # as of OpenCV: the centre, the two sides, the angle
UNCLIP_RATIOS = {"quad": 1.5, "polygon": 2.0}
# Growing adds at least this many pixels to a side that is worth keeping.
MIN_GROWTH = 2


@dataclass(frozen=True)
class Detections:
    """The text found in one picture.

    - `polygons`: `[vertices, 2]` each, (x, y) in pixels of the original picture.
    - `scores`: one for each polygon: the mean probability inside it, in [0, 1].
    - `notes`: what a person should know of the picture, for example that its file has more frames.
    """

    polygons: list[Float[np.ndarray, "_ 2"]]
    scores: Float[np.ndarray, "detections"]
    notes: tuple[str, ...] = ()


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

    1. Each region where P > `threshold` becomes a polygon. Each hole in a region becomes one too.
    2. The score of a polygon is the mean of P inside it. Scores below `box_threshold` are dropped.
    3. The polygon grows by $D' = A' r' / L'$ (paper section 3.5). A' and L' are its area and perimeter, r' is the
       `unclip_ratio`.
    4. Coordinates are scaled to the original picture, rounded half to even and clipped.

    **Arguments:**

    - `probability_map`: P in [0, 1].
    - `image_size`: (height, width) of the original picture. The polygons are in its pixels.
    - `shape`: "quad" for rotated rectangles, clockwise from the top left; "polygon" for any polygon.
    - `threshold`: in [0, 1]; a pixel with a higher P is text. The paper takes 0.2.
    - `box_threshold`: in [0, 1]; the least score that is kept.
    - `unclip_ratio`: r' > 0; None is 1.5 for quads and 2.0 for polygons.
    - `max_candidates`: the most regions that are used.
    - `min_size`: pixels of the map. A quad's shorter side has at least this length before it grows. After growing, the
        shorter side of a quad or of a polygon's rectangle is at least two pixels longer.

    **Returns:** polygons within [0, width] × [0, height] and their scores, in the order of the contours.

    **Raises:** `ValueError` if `shape` is unknown, a size is empty or `unclip_ratio` is not positive.
    """
    check_choice("shape", shape, UNCLIP_RATIOS)
    if min(*image_size, *probability_map.shape) < 1:
        sizes = f"`image_size` (={image_size}) and `probability_map` (of shape {probability_map.shape})"
        raise ValueError(f"{sizes} must hold at least one pixel")
    if unclip_ratio is not None and not unclip_ratio > 0:
        raise ValueError(f"`unclip_ratio` (={unclip_ratio}) must be positive, or None for the default")
    ratio = UNCLIP_RATIOS[shape] if unclip_ratio is None else unclip_ratio
    probability_map = np.ascontiguousarray(probability_map, dtype=np.float32)
    contours = _find_contours(probability_map > threshold)[:max_candidates]
    # Each step handles all polygons at once: for a single polygon, the calls take longer than the arithmetic.
    outlines = _quads(_rectangles(contours, min_size)[0]) if shape == "quad" else _simplify(contours)
    scores = region_scores(probability_map, outlines)
    passed = scores >= box_threshold
    grown, single = _unclip(outlines.where(passed), ratio)
    rectangles, large = _rectangles(grown.parts(), min_size + MIN_GROWTH)
    # The official code scales quads in float32 and polygons in float64. The difference shows where a half is rounded.
    found = _quads(rectangles) if shape == "quad" else grown.where(large)
    vertices = found.vertices if shape == "quad" else found.vertices.astype(np.float64)
    found = Outlines(_scale(vertices, probability_map.shape, image_size), found.counts)
    return Detections(found.parts(), scores[passed][single][large].astype(np.float32))


def region_scores(probability_map: Map, outlines: Outlines) -> Float[np.ndarray, "outlines"]:
    """The mean of a map inside each outline, including its edge; 0 if no pixel is inside.

    Only the bounding box of an outline is read, so the cost does not grow with the picture. Pixels outside the map do
    not count.
    """
    height, width = probability_map.shape
    scores = []
    for polygon in Outlines(outlines.vertices.astype(np.int32), outlines.counts).parts():
        left, top, columns, rows = cv2.boundingRect(polygon)
        right, bottom = min(left + columns, width), min(top + rows, height)
        left, top = max(left, 0), max(top, 0)
        if left >= right or top >= bottom:
            scores.append(0.0)
            continue
        inside = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(inside, [polygon], 1, offset=(-left, -top))
        # In large boxes this is several times as fast as cv2.mean with a mask.
        total = cv2.norm(probability_map[top:bottom, left:right], cv2.NORM_L1, inside)
        scores.append(total / max(cv2.countNonZero(inside), 1))
    return np.array(scores, np.float64)


def _find_contours(text: Bool[np.ndarray, "height width"]) -> Sequence[Int32[np.ndarray, "_ 1 2"]]:
    # A flat list: as in the official code, the contour of a hole is a candidate too.
    contours, _ = cv2.findContours(text.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return contours


def _rectangles(shapes: Sequence[np.ndarray], min_side: Number) -> tuple[list[Rectangle], Bool[np.ndarray, "shapes"]]:
    """The rotated rectangles of least area around the shapes, if their shorter side has at least `min_side` pixels.

    A shape is an array of points, `[_, 2]` or OpenCV's `[_, 1, 2]`. The second result marks the shapes that are kept.
    """
    rectangles = [cv2.minAreaRect(points) for points in shapes]
    large = [min(sides) >= min_side for _, sides, _ in rectangles]
    return list(itertools.compress(rectangles, large)), np.array(large, bool)


def _quads(rectangles: Iterable[Rectangle]) -> Outlines:
    """The corners of rectangles in the order of detected boxes."""
    quads = concatenate([cv2.boxPoints(rectangle) for rectangle in rectangles])
    return Outlines(order_quad(quads.vertices.reshape(-1, 4, 2)).reshape(-1, 2), quads.counts)


def _simplify(contours: Sequence[Int32[np.ndarray, "_ 1 2"]]) -> Outlines:
    """Polygons that follow the contours within 1/500 of their lengths. Polygons of three vertices are dropped."""
    polygons = [cv2.approxPolyDP(contour, 0.002 * cv2.arcLength(contour, True), True) for contour in contours]
    return concatenate([polygon[:, 0] for polygon in polygons if len(polygon) >= 4])


def _unclip(outlines: Outlines, ratio: Number) -> tuple[Outlines, Bool[np.ndarray, "outlines"]]:
    """The polygons grown back to full size. The second result marks them: each has an area and stays one piece."""
    areas, perimeters = measure_polygons(outlines.vertices, outlines.counts)
    distances = np.divide(areas * ratio, perimeters, out=np.zeros_like(areas), where=areas > 0).tolist()
    grown, single = [], []
    whole = Outlines(outlines.vertices.astype(np.int64), outlines.counts)
    for polygon, distance in zip(whole.parts(), distances, strict=True):
        pieces = offset_path(polygon.tolist(), distance) if distance > 0 else []
        single.append(len(pieces) == 1)
        if single[-1]:
            # Twice as fast as np.array of nested lists.
            grown.append(np.fromiter(itertools.chain.from_iterable(pieces[0]), np.int64).reshape(-1, 2))
    return concatenate(grown), np.array(single, bool)


def _scale(vertices: Float[np.ndarray, "_ 2"], source: tuple[int, ...], target: tuple[int, int]) -> Points:
    """The points in pixels of another size; sizes are (height, width)."""
    source_extent, target_extent = np.array([source[::-1], target[::-1]], vertices.dtype)
    return np.clip(np.round(vertices / source_extent * target_extent), 0, target_extent).astype(np.float32)
