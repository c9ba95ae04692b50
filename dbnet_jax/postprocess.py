"""From the probability map to polygons and scores (paper section 3.5, details as in the official code)."""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from dbnet_jax.geometry import Number, measure_polygons, offset_path, order_quad
from dbnet_jax.geometry.packed import Outlines, concatenate
from dbnet_jax.geometry.rings import Contour, Grown, grow_ring, outline_and_holes, split_rings
from dbnet_jax.geometry.validity import MAX_VERTICES, are_valid, repair_polygon
from dbnet_jax.messages import check_choice, check_least, plural
from dbnet_jax.typing import Map

Points = Float32[np.ndarray, "_ 2"]
Rectangle = tuple[Sequence[float], Sequence[float], float]  # as of OpenCV: the centre, the two sides, the angle
UNCLIP_RATIOS = {"quad": 1.5, "polygon": 2.0}
# Far above the words of a dense page. The regions beyond it are counted, never dropped silently.
MAX_CANDIDATES = 10_000
# Growing adds at least this many pixels to a side that is worth keeping.
MIN_GROWTH = 2


@dataclass(frozen=True)
class Detections:
    """The text found in one picture.

    - `polygons`: `[vertices, 2]` each, (x, y) in pixels of the original picture.
    - `scores`: one for each polygon: the mean probability inside it, in [0, 1].
    - `notes`: what a person should know of the picture, for example that its file has more frames.
    - `left_out`: the number of regions beyond `max_candidates`. They are the smallest, and may be text; a note says so.
    """

    polygons: list[Float[np.ndarray, "_ 2"]]
    scores: Float[np.ndarray, "detections"]
    notes: tuple[str, ...] = ()
    left_out: int = 0


def extract_polygons(
    probability_map: Float[np.ndarray, "height width"],
    *,
    image_size: tuple[int, int],
    shape: str = "quad",
    threshold: Number = 0.3,
    box_threshold: Number = 0.7,
    unclip_ratio: Number | None = None,
    max_candidates: int = MAX_CANDIDATES,
    min_size: Number = 3,
    rings: bool = False,
) -> Detections:
    r"""The text instances of a probability (or binary) map.

    1. Each region where P > `threshold` becomes a polygon. Each hole in a region becomes one too.
    2. The score of a polygon is the mean of P inside it. Scores below `box_threshold` are dropped.
    3. The polygon grows by $D' = A' r' / L'$ (paper section 3.5). A' and L' are its area and perimeter, r' is the
       `unclip_ratio`.
    4. Coordinates are scaled to the original picture, rounded half to even and clipped. Where this makes a polygon
       touch or cross itself, the polygon is repaired. A polygon without area is dropped.

    **Arguments:**

    - `probability_map`: P in [0, 1].
    - `image_size`: (height, width) of the original picture. The polygons are in its pixels.
    - `shape`: "quad" for rotated rectangles, clockwise from the top left; "polygon" for any polygon.
    - `threshold`: in [0, 1]; a pixel with a higher P is text. The paper takes 0.2.
    - `box_threshold`: in [0, 1]; the least score that is kept.
    - `unclip_ratio`: r' > 0; None is 1.5 for quads and 2.0 for polygons.
    - `max_candidates`: the most regions that grow, at least 1. If more have a sufficient score, the largest are used,
        and `Detections.left_out` is the number of the others.
    - `min_size`: pixels of the map, at least 0. A quad's shorter side has at least this length before it grows. After
        growing, the shorter side of a quad or of a polygon's rectangle is at least two pixels longer.
    - `rings`: with `shape` "polygon", finds text all around a ring, for example of a seal. A region whose hole stays
        open when it grows becomes a polygon with a narrow cut from the outside to the hole. Its score is the mean of P
        in the region, without the hole. Without `rings`, such a region is dropped, as in the official code.

    **Returns:** valid polygons within [0, width] × [0, height] and their scores, in the order of the contours. Closed
    rings come last.

    **Raises:** `ValueError` if `shape` is unknown, a size is empty, a number is out of its range or `rings` is given
    for quads.
    """
    check_choice("shape", shape, UNCLIP_RATIOS)
    check_least("max_candidates", max_candidates, 1)
    check_least("min_size", min_size, 0)
    for name, share in (("threshold", threshold), ("box_threshold", box_threshold)):
        if not 0 <= share <= 1:
            raise ValueError(f"`{name}` (={share}) must be in [0, 1]")
    if min(*image_size, *probability_map.shape) < 1:
        sizes = f"`image_size` (={image_size}) and `probability_map` (of shape {probability_map.shape})"
        raise ValueError(f"{sizes} must hold at least one pixel")
    if unclip_ratio is not None and not 0 < unclip_ratio < math.inf:
        raise ValueError(f"`unclip_ratio` (={unclip_ratio}) must be positive and finite, or None for the default")
    if rings and shape != "polygon":
        raise ValueError(f"`rings` (=True) needs `shape` (={shape!r}) to be 'polygon'")
    ratio = UNCLIP_RATIOS[shape] if unclip_ratio is None else unclip_ratio
    probability_map = np.ascontiguousarray(probability_map, dtype=np.float32)
    text = probability_map > threshold
    contours, closed = split_rings(text, ratio) if rings else (_find_contours(text), [])
    # Each step handles all polygons at once: for a single polygon, the calls take longer than the arithmetic.
    outlines = _quads(_rectangles(contours, min_size)[0]) if shape == "quad" else _simplify(contours, rings=rings)
    scores = region_scores(probability_map, outlines)
    passed = scores >= box_threshold
    if passed.sum() > max_candidates:
        passed[passed] = _grow_large(outlines.where(passed), ratio, min_size + MIN_GROWTH)
    kept = _largest(outlines, passed, max_candidates)
    grown, whole = _unclip(outlines.where(kept), ratio, with_holes=rings)
    closed_scores = np.array([_mean_inside(probability_map, region) for region in closed], np.float64)
    grown += [grow_ring(region, ratio) for region in itertools.compress(closed, closed_scores >= box_threshold)]
    scores = np.concatenate([scores[kept][whole], closed_scores[closed_scores >= box_threshold]])
    rectangles, large = _rectangles([pieces[0] for pieces in grown], min_size + MIN_GROWTH)
    grown, scores = list(itertools.compress(grown, large)), scores[large].astype(np.float32)
    # The official code scales quads in float32 and polygons in float64. The difference shows where a half is rounded.
    found = _quads(rectangles) if shape == "quad" else concatenate([pieces[0] for pieces in grown])
    exact = np.float32 if shape == "quad" else np.float64
    scale = functools.partial(_scale, source=probability_map.shape, target=image_size)
    found = Outlines(scale(found.vertices.astype(exact)), found.counts)
    holes = [[scale(hole.astype(exact)) for hole in pieces[1:]] for pieces in grown]
    polygons = _valid(found.parts(), holes, shape, image_size)
    exist = np.array([len(polygon) > 0 for polygon in polygons], bool)
    left_out = int(passed.sum() - kept.sum())
    note = f"`max_candidates` leaves out {plural(left_out, 'text region')}, the smallest; raise it"
    return Detections(list(itertools.compress(polygons, exist)), scores[exist], (note,) if left_out else (), left_out)


def region_scores(probability_map: Map, outlines: Outlines) -> Float[np.ndarray, "outlines"]:
    """The mean of a map inside each outline, including its edge; 0 if no pixel is inside.

    Only the bounding box of an outline is read, so the cost does not grow with the picture. Pixels outside the map do
    not count.
    """
    polygons = Outlines(outlines.vertices.astype(np.int32), outlines.counts).parts()
    return np.array([_mean_inside(probability_map, [polygon]) for polygon in polygons], np.float64)


def _mean_inside(probability_map: Map, region: Sequence[np.ndarray]) -> float:
    """The mean of a map inside an outline, without the holes that follow it; edges belong to the inside."""
    height, width = probability_map.shape
    left, top, columns, rows = cv2.boundingRect(region[0])
    right, bottom = min(left + columns, width), min(top + rows, height)
    left, top = max(left, 0), max(top, 0)
    if left >= right or top >= bottom:
        return 0.0
    inside = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(inside, region, 1, offset=(-left, -top))
    # In large boxes this is several times as fast as cv2.mean with a mask.
    total = cv2.norm(probability_map[top:bottom, left:right], cv2.NORM_L1, inside)
    return total / max(cv2.countNonZero(inside), 1)


def _find_contours(text: Bool[np.ndarray, "height width"]) -> Sequence[Contour]:
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


def _simplify(contours: Sequence[Contour], *, rings: bool) -> Outlines:
    """Polygons that follow the contours within 1/500 of their lengths. Polygons of three vertices are dropped.

    Where 1/500 of the length is more than half of the thickness of a line, the line would be lost: it is followed
    within an eighth of its thickness. With `rings`, thin arcs are followed so closely too.
    """

    def tolerance(contour: Contour) -> float:
        length, area = cv2.arcLength(contour, True), cv2.contourArea(contour)
        usual, half_thickness = 0.002 * length, area / max(length, 1.0)
        is_arc = rings and 2 * area < cv2.contourArea(cv2.convexHull(contour))
        is_thin = usual > max(half_thickness, 1.0) and _is_line(contour, length)  # one pixel loses nothing
        return min(usual, half_thickness / 4) if is_arc or is_thin else usual

    # The polygon has no more points than the contour.
    usable = (contour for contour in contours if len(contour) >= 4)
    polygons = [cv2.approxPolyDP(contour, tolerance(contour), True) for contour in usable]
    return concatenate([polygon[:, 0] for polygon in polygons if len(polygon) >= 4])


def _is_line(contour: Contour, length: float) -> bool:
    """Whether a contour of this length goes along a line and back, straight or bent, and not around a net."""
    _, _, width, height = cv2.boundingRect(contour)
    return length < 4 * math.hypot(width, height)


def _grow_large(outlines: Outlines, ratio: Number, min_side: Number) -> Bool[np.ndarray, "outlines"]:
    """Marks the outlines whose shorter side becomes `min_side` when they grow, but for rounding. Most specks do not."""
    areas, perimeters = measure_polygons(outlines.vertices, outlines.counts)
    sides = np.array([min(cv2.minAreaRect(points)[1]) for points in outlines.parts()])
    return sides * perimeters + 2 * areas * ratio >= min_side * perimeters


def _largest(outlines: Outlines, passed: Bool[np.ndarray, "outlines"], most: int) -> Bool[np.ndarray, "outlines"]:
    """Marks the outlines that passed. If there are more than `most`, it marks the largest: specks are no text."""
    if passed.sum() <= most:
        return passed
    areas, _ = measure_polygons(outlines.vertices, outlines.counts)
    kept = np.zeros_like(passed)
    kept[np.argsort(np.where(passed, areas, -1.0), kind="stable")[-most:]] = True
    return kept


def _unclip(
    outlines: Outlines, ratio: Number, *, with_holes: bool
) -> tuple[list[list[Grown]], Bool[np.ndarray, "outlines"]]:
    """The polygons grown back to full size, each with its holes. The second result marks them.

    A polygon needs an area, and stays one piece. With `with_holes`, it may become a ring.
    """
    areas, perimeters = measure_polygons(outlines.vertices, outlines.counts)
    distances = np.divide(areas * ratio, perimeters, out=np.zeros_like(areas), where=areas > 0).tolist()
    grown, kept = [], []
    whole = Outlines(outlines.vertices.astype(np.int64), outlines.counts)
    for polygon, distance in zip(whole.parts(), distances, strict=True):
        pieces = offset_path(polygon.tolist(), distance) if distance > 0 else []
        kept.append(len(pieces) == 1 or (with_holes and len(pieces) > 1))
        if kept[-1]:
            grown.append(outline_and_holes(pieces))
    return grown, np.array(kept, bool)


def _scale(vertices: Float[np.ndarray, "_ 2"], source: tuple[int, ...], target: tuple[int, int]) -> Points:
    """The points in pixels of another size; sizes are (height, width)."""
    source_extent, target_extent = np.array([source[::-1], target[::-1]], vertices.dtype)
    return np.clip(np.round(vertices / source_extent * target_extent), 0, target_extent).astype(np.float32)


def _valid(
    polygons: list[Points], holes: Sequence[Sequence[Points]], shape: str, image_size: tuple[int, int]
) -> list[Points]:
    """The polygons, repaired where rounding and clipping made them touch or cross themselves, and with holes cut open.

    A polygon has at most `MAX_VERTICES` vertices, and none if it has no area.
    """
    usual = [not inner and len(polygon) <= MAX_VERTICES for polygon, inner in zip(polygons, holes, strict=True)]
    for index in np.flatnonzero(~(are_valid(polygons) & np.array(usual, bool))).tolist():
        if shape == "quad":
            polygons[index] = _convex_quad(polygons[index])
        else:
            polygons[index] = repair_polygon(polygons[index], holes[index], extent=image_size[::-1])
    return polygons


def _convex_quad(quad: Points) -> Points:
    """The convex hull as four vertices, clockwise from the top left; without vertices if it has no area."""
    hull = cv2.convexHull(quad)[:, 0]
    if cv2.contourArea(hull) == 0:
        return hull[:0]
    return np.roll(hull, -int(hull.sum(axis=1).argmin()), axis=0)[[0, 1, 2, len(hull) - 1]]
