"""Precision, recall and hmean of detections, by the benchmarks' own protocols."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike

from dbnet_jax.geometry import Number
from dbnet_jax.matching import Match, Overlaps, match_by_deteval, match_by_iou

Flag = bool | int | np.bool_ | np.integer
# A detection with more than this share of itself on a don't-care region does not count.
MAX_IGNORED_SHARE = 0.5


@dataclass(frozen=True)
class Scores:
    """The quality of the detections of a set of pictures, each number in [0, 1].

    - `precision`: of the detections that count, the share that is right.
    - `recall`: of the truths that count, the share that is found.
    - `hmean`: 2·precision·recall / (precision + recall).
    - `per_image`: for every picture a dict: the same three for it alone; `pairs`, the matched indices as
        (truth, detection); `ignored_truths` and `ignored_detections`, the indices of those that do not count
        (don't-care, on a don't-care, or no valid polygon); `num_truths` and `num_detections`, how many do.
    """

    precision: float
    recall: float
    hmean: float
    per_image: list[dict[str, Any]]


@dataclass(frozen=True)
class Protocol:
    """What the protocols differ in.

    - `match`: pairs the truths and detections that count.
    - `repair`: whether polygons that cross themselves are mended; otherwise they do not count.
    - `empty_is_right`: whether no truths mean full recall, and no detections then full precision too.
    """

    match: Callable[[Overlaps], Match]
    repair: bool
    empty_is_right: bool


PROTOCOLS = {
    "iou": Protocol(match_by_iou, repair=False, empty_is_right=True),
    "deteval": Protocol(match_by_deteval, repair=True, empty_is_right=False),
    "pascal": Protocol(match_by_iou, repair=True, empty_is_right=False),
}


def evaluate_detections(
    detections: Sequence[Iterable[ArrayLike]],
    ground_truths: Sequence[Iterable[ArrayLike]],
    ignore: Sequence[Iterable[Flag]],
    *,
    protocol: str = "iou",
) -> Scores:
    """Scores the detections of a set of pictures; matches are counted over all pictures, not averaged.

    **Arguments:**

    - `detections`: for every picture its polygons, each `[vertices, 2]` in pixels.
    - `ground_truths`: for every picture its true polygons, likewise.
    - `ignore`: for every truth whether it is a don't-care.
    - `protocol`: "iou" is ICDAR 2015's: a match is an intersection over union above 0.5. "deteval" is
        Total-Text's, which gives part credit to split and merged words. "pascal" is Total-Text's second one.

    **Returns:** precision, recall and hmean; all 0 where there is nothing to count.

    **Raises:** `ValueError` if `protocol` is unknown, lengths differ or a polygon is not of points (x, y).
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` (={protocol!r}) must be one of {', '.join(map(repr, PROTOCOLS))}")
    if not len(detections) == len(ground_truths) == len(ignore):
        lengths = f"{len(detections)}, {len(ground_truths)} and {len(ignore)}"
        raise ValueError(f"`detections`, `ground_truths` and `ignore` must be of as many pictures, not {lengths}")
    per_image, credits = [], np.zeros(2)
    for index, picture in enumerate(zip(detections, ground_truths, ignore, strict=True)):
        try:
            entry, match = _evaluate_picture(*picture, PROTOCOLS[protocol])
        except ValueError as error:
            raise ValueError(f"picture {index}: {error}") from error
        per_image.append(entry)
        credits += match.precision, match.recall
    num_detections, num_truths = (sum(e[key] for e in per_image) for key in ("num_detections", "num_truths"))
    precision, recall = _ratio(credits[0], num_detections), _ratio(credits[1], num_truths)
    return Scores(precision, recall, harmonic_mean(precision, recall), per_image)


def harmonic_mean(precision: float, recall: float) -> float:
    """2·precision·recall / (precision + recall), 0 where both are 0."""
    return _ratio(2 * precision * recall, precision + recall)


def _ratio(numerator: float, denominator: Number) -> float:
    return float(numerator / denominator) if denominator > 0 else 0.0


def _evaluate_picture(
    detections: Iterable[ArrayLike],
    truths: Iterable[ArrayLike],
    ignore: Iterable[Flag],
    protocol: Protocol,
) -> tuple[dict[str, Any], Match]:
    """A picture's entry in `Scores.per_image`, and the match, whose credits are summed over pictures."""
    detection_regions = _regions(detections, protocol.repair)
    truth_regions = _regions(truths, protocol.repair)
    dont_care = np.array(list(ignore), dtype=bool)
    if len(dont_care) != len(truth_regions):
        raise ValueError(f"`ignore` holds {len(dont_care)} flags for {len(truth_regions)} truths")
    overlaps = _overlaps(truth_regions, detection_regions)
    on_dont_care = (overlaps.detection_shares[dont_care] > MAX_IGNORED_SHARE).any(axis=0)
    counted_truths = ~dont_care & ~shapely.is_missing(truth_regions)
    counted_detections = ~on_dont_care & ~shapely.is_missing(detection_regions)
    match = protocol.match(overlaps.select(counted_truths, counted_detections))
    truth_of, detection_of = np.flatnonzero(counted_truths), np.flatnonzero(counted_detections)
    precision, recall = _ratio(match.precision, len(detection_of)), _ratio(match.recall, len(truth_of))
    if protocol.empty_is_right and len(truth_of) == 0:
        precision, recall = float(len(detection_of) == 0), 1.0
    entry = {
        "precision": precision,
        "recall": recall,
        "hmean": harmonic_mean(precision, recall),
        "pairs": [(int(truth_of[truth]), int(detection_of[detection])) for truth, detection in match.pairs],
        "num_truths": len(truth_of),
        "num_detections": len(detection_of),
        "ignored_truths": np.flatnonzero(~counted_truths).tolist(),
        "ignored_detections": np.flatnonzero(~counted_detections).tolist(),
    }
    return entry, match


def _regions(polygons: Iterable[ArrayLike], repair: bool) -> Shaped[np.ndarray, "polygons"]:
    """A shapely geometry a polygon, None where there is no valid one."""
    regions = [_region(np.asarray(polygon, dtype=np.float64), repair) for polygon in polygons]
    # Filled by slice: from a list NumPy would try to read the geometries as sequences.
    array = np.empty(len(regions), dtype=object)
    array[:] = regions
    return array


def _region(points: Float64[np.ndarray, "..."], repair: bool) -> shapely.Geometry | None:
    if points.size and (points.ndim != 2 or points.shape[1] != 2):
        raise ValueError(f"a polygon must be of shape [vertices, 2], not {list(points.shape)}")
    if len(points) < 3 or not np.isfinite(points).all():
        return None
    polygon = shapely.Polygon(points)
    if polygon.is_valid:
        return polygon
    return polygon.buffer(0) if repair else None


def _overlaps(truths: Shaped[np.ndarray, "truths"], detections: Shaped[np.ndarray, "detections"]) -> Overlaps:
    """Areas and shared areas; a missing region (None) has no area."""
    intersections = np.zeros((len(truths), len(detections)))
    # Only where the boxes meet: most words of a picture are far apart.
    detection, truth = shapely.STRtree(truths).query(detections)
    intersections[truth, detection] = shapely.area(shapely.intersection(truths[truth], detections[detection]))
    return Overlaps(np.nan_to_num(shapely.area(truths)), np.nan_to_num(shapely.area(detections)), intersections)
