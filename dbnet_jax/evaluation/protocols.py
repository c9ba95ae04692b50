"""Precision, recall and hmean of detections, by the protocols of the benchmarks."""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

from dbnet_jax.evaluation import matching
from dbnet_jax.evaluation.matching import Match, Overlaps
from dbnet_jax.evaluation.regions import (
    Outline,
    Points,
    bounding_rectangles,
    min_area_rectangles,
    read_polygons,
    repaired_polygons,
    valid_polygons,
)
from dbnet_jax.geometry import Number
from dbnet_jax.messages import check_choice

Flag = bool | int | np.bool_ | np.integer
# A detection does not count if more than this share of its area lies on an ignored truth.
MAX_IGNORED_SHARE = 0.5
# Of detections and truths in one picture: a pair takes some 30 bytes.
MAX_PAIRS = 10_000 * 10_000


@dataclass(frozen=True)
class Scores:
    """The quality of the detections in a set of pictures. Every share is in [0, 1].

    - `precision`: the share of the counted detections that are right.
    - `recall`: the share of the counted truths that are found.
    - `hmean`: 2·precision·recall / (precision + recall).
    - `per_image`: a dict for each picture:
        - "precision", "recall", "hmean" of this picture,
        - "pairs": the matched indices (truth, detection),
        - "truth_credits": the credit of each matched truth in recall,
        - "ignored_truths", "ignored_detections": indices that do not count: ignored, on an ignored truth, or no polygon
          that counts by the protocol,
        - "num_truths", "num_detections": the numbers that count.
    """

    precision: float
    recall: float
    hmean: float
    per_image: list[dict[str, Any]]


@dataclass(frozen=True)
class Protocol:
    """The rules of a protocol.

    - `outline`: makes the regions that are compared from the polygons.
    - `match`: pairs the counted truths and detections.
    - `set_aside`: marks the detections that do not count if the truth is ignored.
    - `empty_is_right`: without truths, recall is 1, and precision is 1 if there are no detections either.
    """

    outline: Outline
    match: Callable[[Overlaps], Match]
    set_aside: Callable[[Overlaps], Bool[np.ndarray, "truths detections"]]
    empty_is_right: bool


def _lies_on_it(overlaps: Overlaps, share: float = MAX_IGNORED_SHARE) -> Bool[np.ndarray, "truths detections"]:
    return overlaps.detection_shares > share


_lies_on_it_icdar2013 = functools.partial(_lies_on_it, share=matching.ICDAR2013_DETECTION_SHARE)

PROTOCOLS = {
    "iou": Protocol(valid_polygons, matching.match_by_iou, _lies_on_it, empty_is_right=True),
    "deteval": Protocol(repaired_polygons, matching.match_by_deteval, _lies_on_it, empty_is_right=False),
    "pascal": Protocol(repaired_polygons, matching.match_by_iou, _lies_on_it, empty_is_right=False),
    "icdar2013": Protocol(bounding_rectangles, matching.match_by_icdar2013, _lies_on_it_icdar2013, empty_is_right=True),
    "td500": Protocol(min_area_rectangles, matching.match_by_td500, matching.alike_by_td500, empty_is_right=True),
}


def evaluate_detections(
    detections: Sequence[Iterable[ArrayLike]],
    ground_truths: Sequence[Iterable[ArrayLike]],
    ignore: Sequence[Iterable[Flag]],
    *,
    protocol: str = "iou",
) -> Scores:
    """Scores the detections of a set of pictures. Matches are counted over all pictures; pictures are not averaged.

    **Arguments:**

    - `detections`: the polygons of each picture, each `[vertices, 2]` in pixels.
    - `ground_truths`: the true polygons of each picture, likewise.
    - `ignore`: for each truth, whether it is ignored.
    - `protocol`: one of
        - "iou" (ICDAR 2015): a match has an intersection over union above 0.5. A polygon that crosses itself does not
          count; the readers and `--mode=score` repair such polygons before.
        - "deteval" (Total-Text): split and merged words get part of the credit.
        - "pascal" (Total-Text): "iou", but polygons that cross themselves are repaired.
        - "icdar2013": ICDAR 2013's DetEval on the upright rectangles around the polygons, see `match_by_icdar2013`.
        - "td500" (MSRA-TD500; Yao and others, CVPR 2012): compares the rectangles of least area around the polygons.
          A match has two conditions: the nearest sides differ by less than π/8 in direction, and after each rectangle
          is turned upright about its own centre, the intersection over union is above 0.5. Detections that match an
          ignored line do not count. DBNet's official code and `configs/msra_td500.py` use "iou" instead.

    A polygon without area does not count by "iou" and "td500". By "deteval" and "pascal" it counts as a miss or a
    false alarm. "icdar2013" compares the rectangle around it.

    **Returns:** precision, recall and hmean; all 0 if nothing counts.

    **Raises:** `ValueError` if `protocol` is unknown, lengths differ, a polygon does not consist of points (x, y), or a
    picture has more than `MAX_PAIRS` pairs of a detection and a truth.
    """
    return score(compare(detections, ground_truths, ignore, protocol=protocol), protocol=protocol)


@dataclass(frozen=True)
class Comparison:
    """The truths and detections of one picture, compared. Scoring needs nothing else.

    - `overlaps`: of all truths and detections.
    - `truths`: marks the truths that count.
    - `detections`: marks the detections that count.
    """

    overlaps: Overlaps
    truths: Bool[np.ndarray, "truths"]
    detections: Bool[np.ndarray, "detections"]

    def keep(self, detections: Bool[np.ndarray, "detections"]) -> "Comparison":
        """The same comparison with only these detections."""
        return Comparison(self.overlaps, self.truths, self.detections & detections)


def compare(
    detections: Sequence[Iterable[ArrayLike]],
    ground_truths: Sequence[Iterable[ArrayLike]],
    ignore: Sequence[Iterable[Flag]],
    *,
    protocol: str,
) -> list[Comparison]:
    """Areas and overlaps, picture by picture. **Arguments** and **Raises:** as `evaluate_detections`."""
    check_choice("protocol", protocol, PROTOCOLS)
    if not len(detections) == len(ground_truths) == len(ignore):
        lengths = f"{len(detections)}, {len(ground_truths)} and {len(ignore)}"
        raise ValueError(f"`detections`, `ground_truths` and `ignore` must be of as many pictures, not {lengths}")
    polygons: list[Points] = []
    ends, flags = [], []
    for index, picture in enumerate(zip(detections, ground_truths, ignore, strict=True)):
        try:
            found, truths = read_polygons(picture[0]), read_polygons(picture[1])
            flags.append(np.array(list(picture[2]), dtype=bool))
            if len(flags[-1]) != len(truths):
                raise ValueError(f"`ignore` holds {len(flags[-1])} flags for {len(truths)} truths")
            if len(found) * len(truths) > MAX_PAIRS:
                raise ValueError(f"{len(found):,} detections and {len(truths):,} truths are too many to compare")
        except ValueError as error:
            raise ValueError(f"picture {index}: {error}") from error
        polygons += found
        ends.append(len(polygons))
        polygons += truths
        ends.append(len(polygons))
    regions = PROTOCOLS[protocol].outline(polygons)
    parts = [regions.part(start, stop) for start, stop in itertools.pairwise([0, *ends])]
    set_aside = PROTOCOLS[protocol].set_aside
    comparisons = []
    for found_regions, truth_regions, dont_care in zip(parts[::2], parts[1::2], flags, strict=True):
        overlaps = Overlaps(
            truth_regions.areas,
            found_regions.areas,
            truth_regions.shared_with(found_regions),
            truth_regions.upright_with(found_regions),
        )
        on_dont_care = set_aside(overlaps)[dont_care].any(axis=0)
        counted = truth_regions.exist & ~dont_care, found_regions.exist & ~on_dont_care
        comparisons.append(Comparison(overlaps, *counted))
    return comparisons


def score(comparisons: Sequence[Comparison], *, protocol: str) -> Scores:
    """Matches the results of `compare` and counts; `protocol` is that of the comparison."""
    return pool([score_picture(comparison, protocol=protocol) for comparison in comparisons])


def pool(pictures: Sequence[dict[str, Any]]) -> Scores:
    """The scores over all pictures, from the results of `score_picture`."""
    precision, recall = (
        _ratio(sum(picture[credit] for picture in pictures), sum(picture[count] for picture in pictures))
        for credit, count in (("precision_credit", "num_detections"), ("recall_credit", "num_truths"))
    )
    return Scores(precision, recall, harmonic_mean(precision, recall), list(pictures))


def harmonic_mean(precision: float, recall: float) -> float:
    """2·precision·recall / (precision + recall); 0 if both are 0."""
    return _ratio(2 * precision * recall, precision + recall)


def _ratio(numerator: Number, denominator: Number) -> float:
    return float(numerator / denominator) if denominator > 0 else 0.0


def score_picture(comparison: Comparison, *, protocol: str) -> dict[str, Any]:
    """A picture's entry in `Scores.per_image`; `protocol` is that of the comparison."""
    rules = PROTOCOLS[protocol]
    match = rules.match(comparison.overlaps.select(comparison.truths, comparison.detections))
    truth_of, detection_of = (np.flatnonzero(counted) for counted in (comparison.truths, comparison.detections))
    precision, recall = _ratio(match.precision, len(detection_of)), _ratio(match.recall, len(truth_of))
    if rules.empty_is_right and len(truth_of) == 0:
        precision, recall = float(len(detection_of) == 0), 1.0
    return {
        "precision": precision,
        "recall": recall,
        "hmean": harmonic_mean(precision, recall),
        "pairs": [(int(truth_of[truth]), int(detection_of[detection])) for truth, detection in match.pairs],
        "truth_credits": {int(truth_of[truth]): credit for truth, credit in match.truth_credits.items()},
        "precision_credit": match.precision,
        "recall_credit": match.recall,
        "num_truths": len(truth_of),
        "num_detections": len(detection_of),
        "ignored_truths": np.flatnonzero(~comparison.truths).tolist(),
        "ignored_detections": np.flatnonzero(~comparison.detections).tolist(),
    }
