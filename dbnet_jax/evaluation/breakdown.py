"""Where a detector is good and where it is not: recall by size and shape, and scores over the box threshold."""

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

Polygon = Float[np.ndarray, "_ 2"]

# The shorter side of the rectangle of least area about a word, in pixels of the picture: below the bound.
SIZES = {"small": 16.0, "medium": 32.0, "large": math.inf}
SHAPES = ("straight", "oriented", "curved")
STRAIGHT_ANGLE = math.radians(10)  # at most, from the horizontal
# Of more than four points, and with less than this share of the rectangle of least area about it: curved.
CURVED_FILL = 0.8
# A rectangle less long than this has no direction: its sides are as good as its top and bottom.
LEAST_ASPECT = 1.5
SWEEP_STEP = 0.01


@dataclass(frozen=True)
class ScoreReport:
    """All that is said about a set of detections; numbers are in [0, 1].

    - `scores`: over all pictures.
    - `by_size`, `by_shape`: for each of `SIZES` and of `SHAPES` its "recall" (None without truths) and the "truths"
        that count, see `size_of` and `shape_of`.
    - `sweep`: "threshold", "precision", "recall" and "hmean" of the detections with that score or more.
    - `best_box_threshold`: the one of greatest hmean, the lowest of equals; None where detections have no scores.
    - `errors`: those of every picture.
    """

    scores: Scores
    by_size: dict[str, dict[str, Any]]
    by_shape: dict[str, dict[str, Any]]
    sweep: list[dict[str, float]]
    best_box_threshold: float | None
    errors: list[PictureErrors]

    def summary(self) -> dict[str, Any]:
        """What `evaluation.json` holds of it, beside the scores."""
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
    """Scores the detections of a set of pictures in every way there is.

    **Arguments:**

    - `detections`, `truths`, `ignore`, `protocol`: see `evaluate_detections`.
    - `confidences`: the scores of each picture's detections; without them there is no sweep.
    - `box_threshold`: the one that the detector applied, where the sweep begins: nothing is known of detections below.
        The lowest score found unless given.

    **Raises:** ValueError where lengths differ or a score is not in [0, 1].
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

    **Returns:** a point a threshold, the lowest first; none where there are no detections.
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
            # Only where a detection falls away: most pictures stay as they are from one threshold to the next.
            if ((given >= below) & (given < threshold)).any():
                pictures[index] = score_picture(comparisons[index].keep(given >= threshold), protocol=protocol)
        at = pool(pictures)
        points.append({"threshold": threshold, "precision": at.precision, "recall": at.recall, "hmean": at.hmean})
        below = threshold
    return points


def size_of(polygon: ArrayLike) -> str:
    """The first of `SIZES` whose bound is above the shorter side of the rectangle of least area about a polygon."""
    shorter = min(_rectangle(np.asarray(polygon))[0])
    return next(name for name, bound in SIZES.items() if shorter < bound)


def shape_of(polygon: ArrayLike) -> str:
    """One of `SHAPES`, by the rectangle of least area about a polygon.

    "curved" is an outline of more than four points that fills less than 0.8 of the rectangle. Of the others
    "straight" has a longer side within 10° of the horizontal; where the sides are nearly equal (1 : 1.5) either may
    be the one that lies so. All else is "oriented".
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
    """The sides, and the first one's angle in radians, of the rectangle of least area."""
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
