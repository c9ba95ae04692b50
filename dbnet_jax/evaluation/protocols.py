"""Precision, recall and hmean of detections, by the benchmarks' own protocols."""

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
# A detection with more than this share of itself on a don't-care region does not count.
MAX_IGNORED_SHARE = 0.5


@dataclass(frozen=True)
class Scores:
    """The quality of the detections of a set of pictures, each number in [0, 1].

    - `precision`: of the detections that count, the share that is right.
    - `recall`: of the truths that count, the share that is found.
    - `hmean`: 2·precision·recall / (precision + recall).
    - `per_image`: for every picture a dict: the same three for it alone; `pairs`, the matched indices as
        (truth, detection); `truth_credits`, what every matched truth counts in recall; `ignored_truths` and
        `ignored_detections`, the indices of those that do not count (don't-care, on a don't-care, or no valid
        polygon); `num_truths` and `num_detections`, how many do.
    """

    precision: float
    recall: float
    hmean: float
    per_image: list[dict[str, Any]]


@dataclass(frozen=True)
class Protocol:
    """What the protocols differ in.

    - `outline`: what of a polygon is compared.
    - `match`: pairs the truths and detections that count.
    - `set_aside`: which detections do not count if the truth is a don't-care.
    - `empty_is_right`: whether no truths mean full recall, and no detections then full precision too.
    """

    outline: Outline
    match: Callable[[Overlaps], Match]
    set_aside: Callable[[Overlaps], Bool[np.ndarray, "truths detections"]]
    empty_is_right: bool


def _lies_on_it(overlaps: Overlaps, share: float = MAX_IGNORED_SHARE) -> Bool[np.ndarray, "truths detections"]:
    return overlaps.detection_shares > share


def _lies_on_it_icdar2013(overlaps: Overlaps) -> Bool[np.ndarray, "truths detections"]:
    return _lies_on_it(overlaps, matching.ICDAR2013_DETECTION_SHARE)


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
    """Scores the detections of a set of pictures; matches are counted over all pictures, not averaged.

    **Arguments:**

    - `detections`: for every picture its polygons, each `[vertices, 2]` in pixels.
    - `ground_truths`: for every picture its true polygons, likewise.
    - `ignore`: for every truth whether it is a don't-care.
    - `protocol`: one of
        - "iou", ICDAR 2015's: a match is an intersection over union above 0.5.
        - "deteval", Total-Text's: part credit to split and merged words.
        - "pascal", Total-Text's second one: "iou" with outlines that cross themselves mended.
        - "icdar2013", ICDAR 2013's DetEval, of the upright rectangles about the polygons: `match_by_icdar2013`.
        - "td500", MSRA-TD500's (Yao and others, CVPR 2012), of the rectangles of least area about the polygons:
          nearest sides that differ by less than π/8 in direction and, with each rectangle turned upright about its own
          centre, an intersection over union above 0.5. What matches a difficult line does not count. DBNet's official
          code scores the set by "iou" instead, and so does `configs/msra_td500.py`.

    **Returns:** precision, recall and hmean; all 0 where there is nothing to count.

    **Raises:** `ValueError` if `protocol` is unknown, lengths differ or a polygon is not of points (x, y).
    """
    return score(compare(detections, ground_truths, ignore, protocol=protocol), protocol=protocol)


@dataclass(frozen=True)
class Comparison:
    """The truths and detections of one picture, compared: all that scoring needs.

    - `overlaps`: of all of them.
    - `truths`: which of the truths count.
    - `detections`: which of the detections do.
    """

    overlaps: Overlaps
    truths: Bool[np.ndarray, "truths"]
    detections: Bool[np.ndarray, "detections"]

    def keep(self, detections: Bool[np.ndarray, "detections"]) -> "Comparison":
        """The same with these detections alone."""
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
    """Matches and counts what `compare` gave; `protocol` as there."""
    return pool([score_picture(comparison, protocol=protocol) for comparison in comparisons])


def pool(pictures: Sequence[dict[str, Any]]) -> Scores:
    """The scores over all pictures, of what `score_picture` gave for each."""
    precision, recall = (
        _ratio(sum(picture[credit] for picture in pictures), sum(picture[count] for picture in pictures))
        for credit, count in (("precision_credit", "num_detections"), ("recall_credit", "num_truths"))
    )
    return Scores(precision, recall, harmonic_mean(precision, recall), list(pictures))


def harmonic_mean(precision: float, recall: float) -> float:
    """2·precision·recall / (precision + recall), 0 where both are 0."""
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
