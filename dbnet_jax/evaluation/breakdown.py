"""The details of a score: recall by size and shape, and scores at each box threshold."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dbnet_jax.evaluation.errors import PictureErrors, find_errors
from dbnet_jax.evaluation.protocols import Comparison, Flag, Scores, compare, pool, score, score_picture
from dbnet_jax.geometry import Number, polygon_area
from dbnet_jax.typing import Polygon

# Upper bounds, in pixels, of the shorter side of the rectangle of least area around a word.
SIZES = {"small": 16.0, "medium": 32.0, "large": math.inf}
SHAPES = ("straight", "oriented", "curved")
STRAIGHT_ANGLE = math.radians(10)  # at most, from the horizontal
# A polygon of more than four points that fills less than this share of its rectangle is curved.
CURVED_FILL = 0.8
# A rectangle with a smaller ratio of its sides has no clear direction: either side may be the baseline.
LEAST_ASPECT = 1.5
SWEEP_STEP = 0.01


@dataclass(frozen=True)
class ScoreReport:
    """All scores of a set of detections. Shares are in [0, 1].

    - `scores`: over all pictures.
    - `by_size`, `by_shape`: for each of `SIZES` and of `SHAPES` the "recall" (None without truths) and the number of
        counted "truths"; see `size_of` and `shape_of`.
    - `sweep`: "threshold", and "precision", "recall" and "hmean" of the detections with at least this score.
    - `best_box_threshold`: the threshold of the greatest hmean, the lowest of equals; None without scores.
    - `errors`: of each picture.
    """

    scores: Scores
    by_size: dict[str, dict[str, Any]]
    by_shape: dict[str, dict[str, Any]]
    sweep: list[dict[str, float]]
    best_box_threshold: float | None
    errors: list[PictureErrors]

    def summary(self) -> dict[str, Any]:
        """The part for `evaluation.json`, without the scores."""
        return {key: getattr(self, key) for key in ("by_size", "by_shape", "sweep", "best_box_threshold")}


def make_score_report(
    detections: Sequence[Sequence[Polygon]],
    confidences: Sequence[Float[np.ndarray, "_"]] | None,
    truths: Sequence[Sequence[Polygon]],
    ignore: Sequence[Iterable[Flag]],
    *,
    protocol: str = "iou",
    box_threshold: Number | None = None,
) -> ScoreReport:
    """Scores the detections of a set of pictures, with all details.

    **Arguments:**

    - `detections`, `truths`, `ignore`, `protocol`: see `evaluate_detections`.
    - `confidences`: the scores of each picture's detections. Without them there is no sweep.
    - `box_threshold`: the box threshold of the detector. The sweep starts there, because detections below it are
        unknown. By default it starts at the lowest score.

    **Raises:** ValueError if lengths differ or a score is not in [0, 1].
    """
    comparisons = compare(detections, truths, ignore, protocol=protocol)
    scores = score(comparisons, protocol=protocol)
    sweep = [] if confidences is None else sweep_threshold(comparisons, confidences, protocol, box_threshold)
    best = max(sweep, key=lambda point: point["hmean"])["threshold"] if sweep else None
    errors = [find_errors(*pair) for pair in zip(comparisons, scores.per_image, strict=True)]
    return ScoreReport(scores, *_recalls(truths, comparisons, scores), sweep, best, errors)


def sweep_threshold(
    comparisons: Sequence[Comparison],
    confidences: Sequence[Float[np.ndarray, "_"]],
    protocol: str,
    lowest: Number | None = None,
) -> list[dict[str, float]]:
    """The scores at `lowest` and at every hundredth above it, up to the highest score of a detection.

    **Arguments:** see `make_score_report`.

    **Returns:** one point for each threshold, the lowest first; none without detections.
    """
    for index, (comparison, given) in enumerate(zip(comparisons, confidences, strict=True)):
        if len(given) != len(comparison.detections) or not ((given >= 0) & (given <= 1)).all():
            raise ValueError(f"`confidences` of picture {index} must be one score in [0, 1] a detection, not {given}")
    everything = np.concatenate([np.zeros(0), *confidences]).astype(np.float64)
    if not everything.size:
        return []
    start = float(everything.min() if lowest is None else lowest)
    first, last = math.floor(start / SWEEP_STEP) + 1, math.floor(float(everything.max()) / SWEEP_STEP)
    points, pictures = [], [score_picture(comparison, protocol=protocol) for comparison in comparisons]
    below = -math.inf
    for threshold in [start, *(round(step * SWEEP_STEP, 2) for step in range(first, last + 1))]:
        for index, given in enumerate(confidences):
            # Most pictures lose no detection from one threshold to the next: their scores stay.
            if ((given >= below) & (given < threshold)).any():
                pictures[index] = score_picture(comparisons[index].keep(given >= threshold), protocol=protocol)
        at = pool(pictures)
        points.append({"threshold": threshold, "precision": at.precision, "recall": at.recall, "hmean": at.hmean})
        below = threshold
    return points


def size_of(polygon: ArrayLike) -> str:
    """The first of `SIZES` with a bound above the shorter side of the rectangle of least area around a polygon."""
    shorter = min(_rectangle(np.asarray(polygon))[0])
    return next(name for name, bound in SIZES.items() if shorter < bound)


def shape_of(polygon: ArrayLike) -> str:
    """One of `SHAPES`, by the rectangle of least area around a polygon.

    - "curved": a polygon of more than four points that fills less than 0.8 of the rectangle.
    - "straight": the longer side is within 10° of the horizontal. If the sides are nearly equal (up to 1 : 1.5), either
      side may be.
    - "oriented": all others.
    """
    points = np.asarray(polygon)
    (width, height), angle = _rectangle(points)
    if len(points) > 4 and polygon_area(points) < CURVED_FILL * width * height:
        return "curved"
    tilt = abs((angle + math.pi / 2) % math.pi - math.pi / 2)  # of the width, from the horizontal
    upright = math.pi / 2 - tilt  # of the height
    longer, shorter = max(width, height), min(width, height)
    tilts = {tilt, upright} if longer < LEAST_ASPECT * shorter else {tilt if width > height else upright}
    return "straight" if min(tilts) <= STRAIGHT_ANGLE else "oriented"


def _rectangle(points: Polygon) -> tuple[tuple[float, float], float]:
    """The two sides of the rectangle of least area, and the angle of the first side in radians."""
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
    across, down = corners[1] - corners[0], corners[2] - corners[1]
    return (math.hypot(*across), math.hypot(*down)), math.atan2(across[1], across[0])


def _recalls(
    truths: Sequence[Sequence[Polygon]], comparisons: Sequence[Comparison], scores: Scores
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Recall by size and by shape."""
    tallies = [dict.fromkeys(names, (0.0, 0)) for names in (SIZES, SHAPES)]
    for polygons, comparison, entry in zip(truths, comparisons, scores.per_image, strict=True):
        for index in np.flatnonzero(comparison.truths).tolist():
            credit = entry["truth_credits"].get(index, 0.0)
            for tally, name in zip(tallies, (size_of(polygons[index]), shape_of(polygons[index])), strict=True):
                tally[name] = tally[name][0] + credit, tally[name][1] + 1
    by_size, by_shape = (
        {name: {"recall": found / count if count else None, "truths": count} for name, (found, count) in tally.items()}
        for tally in tallies
    )
    return by_size, by_shape
