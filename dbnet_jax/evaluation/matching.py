"""How the benchmarks pair detections with truths, from areas alone.

Each protocol takes the `Overlaps` of one picture and says which truth was found by which detection and what
that counts towards recall and precision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

# Total-Text's DetEval: least shares of a truth and of a detection, and what a split or merged match counts.
TRUTH_SHARE = 0.7
DETECTION_SHARE = 0.6
SPLIT_CREDIT = 0.8
# ICDAR 2013's.
ICDAR2013_TRUTH_SHARE = 0.8
ICDAR2013_DETECTION_SHARE = 0.4
# MSRA-TD500's: directions differ by less than this, in radians.
TD500_ANGLE = math.pi / 8


@dataclass(frozen=True)
class Upright:
    """Rectangles as MSRA-TD500 compares them, each turned about its own centre until its sides are upright.

    - `angles`: in [0, π/4], between the directions of truth and detection before that.
    - `intersection_over_union`: |∩| / |∪| after it.
    """

    angles: Float[np.ndarray, "truths detections"]
    intersection_over_union: Float[np.ndarray, "truths detections"]


@dataclass(frozen=True)
class Overlaps:
    """The areas, in square pixels, of the truths and detections of one picture and of what they share.

    `upright` is there for outlines that are rectangles.
    """

    truths: Float[np.ndarray, "truths"]
    detections: Float[np.ndarray, "detections"]
    intersections: Float[np.ndarray, "truths detections"]
    upright: Upright | None = None

    def select(self, truths: Bool[np.ndarray, "all_truths"], detections: Bool[np.ndarray, "all"]) -> "Overlaps":
        """Those of these truths and detections alone."""
        both, upright = np.ix_(truths, detections), self.upright
        if upright is not None:
            upright = Upright(upright.angles[both], upright.intersection_over_union[both])
        return Overlaps(self.truths[truths], self.detections[detections], self.intersections[both], upright)

    @property
    def intersection_over_union(self) -> Float[np.ndarray, "truths detections"]:
        """|∩| / |∪|, 0 where both have no area."""
        union = self.truths[:, None] + self.detections - self.intersections
        return divide(self.intersections, union)

    @property
    def truth_shares(self) -> Float[np.ndarray, "truths detections"]:
        """σ = |∩| / |truth|, how much of a truth a detection covers; 0 for a truth without area."""
        return divide(self.intersections, np.broadcast_to(self.truths[:, None], self.intersections.shape))

    @property
    def detection_shares(self) -> Float[np.ndarray, "truths detections"]:
        """τ = |∩| / |detection|, how much of a detection lies on a truth; 0 for a detection without area."""
        return divide(self.intersections, np.broadcast_to(self.detections, self.intersections.shape))


def divide(
    numerator: Float[np.ndarray, "truths detections"], denominator: Float[np.ndarray, "truths detections"]
) -> Float[np.ndarray, "truths detections"]:
    """The quotient, 0 where the denominator is."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


@dataclass
class Match:
    """The (truth, detection) pairs of one picture, and their credit in units of instances."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    recall: float = 0.0
    precision: float = 0.0
    truth_credits: dict[int, float] = field(default_factory=dict)  # which add up to `recall`

    def add(
        self, truths: Sequence[int], detections: Sequence[int], recall: float = 1.0, precision: float = 1.0
    ) -> None:
        self.pairs += [(int(truth), int(detection)) for truth in truths for detection in detections]
        self.recall += recall
        self.precision += precision
        self.truth_credits.update({int(truth): recall / len(truths) for truth in truths})


def match_by_iou(overlaps: Overlaps, *, least: float = 0.5) -> Match:
    """ICDAR 2015: each truth takes the first free detection of which |∩| / |∪| is above `least`.

    **Arguments:**

    - `overlaps`: of the truths and detections that count.
    - `least`: in [0, 1].

    **Returns:** the pairs, each of credit one.
    """
    return _first_free(overlaps.intersection_over_union > least)


def match_by_td500(overlaps: Overlaps) -> Match:
    """MSRA-TD500: each truth takes the first free detection that is alike, see `alike_by_td500`."""
    return _first_free(alike_by_td500(overlaps))


def alike_by_td500(overlaps: Overlaps) -> Bool[np.ndarray, "truths detections"]:
    """Where two directions differ by less than π/8 and |∩| / |∪| of the upright rectangles is above 0.5.

    Yao and others, CVPR 2012: G' and D' of the overlap are G and D turned upright, each about its own centre.

    **Raises:** ValueError where the overlaps have no `upright`.
    """
    if overlaps.upright is None:
        raise ValueError("`overlaps.upright` (=None): MSRA-TD500 compares rectangles")
    return (overlaps.upright.intersection_over_union > 0.5) & (overlaps.upright.angles < TD500_ANGLE)


def _first_free(alike: Bool[np.ndarray, "truths detections"]) -> Match:
    match = Match()
    free = np.ones(alike.shape[1], bool)
    rows, columns = np.nonzero(alike)
    for truth, detection in zip(rows.tolist(), columns.tolist(), strict=True):
        if free[detection] and truth not in match.truth_credits:
            free[detection] = False
            match.add([truth], [detection])
    return match


def match_by_deteval(overlaps: Overlaps) -> Match:
    """DetEval (Wolf and Jolion, 2006) as Total-Text runs it.

    In three passes: truths found one to one, truths found in several pieces, and several truths found as one.

    **Arguments:**

    - `overlaps`: of the truths and detections that count.

    **Returns:** the pairs. One to one counts 1 in recall and precision; a truth in n pieces 0.8 in recall and
    0.8·n in precision; n truths in one piece 0.8·n in recall and 0.8 in precision.
    """
    sigma, tau = overlaps.truth_shares.round(2), overlaps.detection_shares.round(2)
    match = Match()
    free_truths, free_detections = np.ones(len(sigma), bool), np.ones(sigma.shape[1], bool)

    def take(truths: Sequence[int], detections: Sequence[int], recall: float, precision: float) -> None:
        free_truths[truths], free_detections[detections] = False, False
        match.add(truths, detections, recall, precision)

    for truth, detection in _one_to_one(sigma > TRUTH_SHARE, tau > DETECTION_SHARE):
        take([truth], [detection], 1.0, 1.0)
    for truth in range(len(sigma)):
        if not free_truths[truth] or np.count_nonzero(sigma[truth]) < 2:
            continue
        pieces = np.flatnonzero((tau[truth] >= DETECTION_SHARE) & free_detections).tolist()
        if pieces and sigma[truth, pieces].sum() >= TRUTH_SHARE:
            if len(pieces) == 1:
                take([truth], pieces, 1.0, 1.0)
            else:
                take([truth], pieces, SPLIT_CREDIT, SPLIT_CREDIT * len(pieces))
    for detection in range(sigma.shape[1]):
        if not free_detections[detection] or np.count_nonzero(tau[:, detection]) < 2:
            continue
        covered = np.flatnonzero((sigma[:, detection] >= DETECTION_SHARE) & free_truths).tolist()
        if len(covered) == 1:
            if sigma[covered[0], detection] >= TRUTH_SHARE and tau[covered[0], detection] >= DETECTION_SHARE:
                take(covered, [detection], 1.0, 1.0)
        elif tau[covered, detection].sum() >= DETECTION_SHARE:
            take(covered, [detection], SPLIT_CREDIT * len(covered), SPLIT_CREDIT)
    return match


def _one_to_one(
    covered: Bool[np.ndarray, "truths detections"], inside: Bool[np.ndarray, "truths detections"]
) -> list[tuple[int, int]]:
    """The truths with one detection that covers them and one that lies inside, neither doing so to others.

    The two may differ, a quirk of the benchmark's script: the truth then takes the one that covers it.
    """
    pairs = []
    for truth in np.flatnonzero((covered.sum(axis=1) == 1) & (inside.sum(axis=1) == 1)).tolist():
        cover, insider = covered[truth].argmax(), inside[truth].argmax()
        if covered[:, cover].sum() == 1 and inside[:, insider].sum() == 1:
            pairs.append((truth, int(cover)))
    return pairs


def match_by_icdar2013(overlaps: Overlaps) -> Match:
    """DetEval (Wolf and Jolion, 2006) for the upright rectangles of ICDAR 2013.

    Three passes, each over what the ones before have left free; σ and τ are the shares of truth and detection.

    1. One to one: σ ≥ 0.8 and τ ≥ 0.4, and neither overlaps anything else.
    2. A truth that overlaps two detections or more: the σ of those with τ ≥ 0.4 add up to 0.8 or more.
    3. A detection that overlaps two truths or more: the τ of those with σ ≥ 0.8 add up to 0.4 or more.

    Another condition of the first pass, centres nearer than half the sum of the diagonals, holds for all upright
    rectangles that overlap.

    **Arguments:**

    - `overlaps`: of the truths and detections that count; what does not is left out before all passes.

    **Returns:** the pairs. One to one counts 1 in recall and precision; a truth in n > 1 pieces 0.8 in recall and
    0.8·n in precision; n truths in one piece n in recall and 1 in precision.
    """
    sigma, tau = overlaps.truth_shares, overlaps.detection_shares
    covered, inside = sigma >= ICDAR2013_TRUTH_SHARE, tau >= ICDAR2013_DETECTION_SHARE
    touched = sigma > 0
    of_truths, of_detections = touched.sum(axis=1), touched.sum(axis=0)
    match = Match()
    alone = covered & inside & (of_truths[:, None] == 1) & (of_detections == 1)
    for truth, detection in np.argwhere(alone).tolist():
        match.add([truth], [detection])
    free_truths, free_detections = ~alone.any(axis=1), ~alone.any(axis=0)
    for truth in np.flatnonzero(free_truths & (of_truths > 1)).tolist():
        pieces = np.flatnonzero(inside[truth] & free_detections).tolist()
        if pieces and round(sigma[truth, pieces].sum(), 4) >= ICDAR2013_TRUTH_SHARE:
            free_truths[truth], free_detections[pieces] = False, False
            credit = SPLIT_CREDIT if len(pieces) > 1 else 1.0
            match.add([truth], pieces, credit, credit * len(pieces))
    for detection in np.flatnonzero(free_detections & (of_detections > 1)).tolist():
        truths = np.flatnonzero(covered[:, detection] & free_truths).tolist()
        if truths and round(tau[truths, detection].sum(), 4) >= ICDAR2013_DETECTION_SHARE:
            free_truths[truths] = False
            match.add(truths, [detection], float(len(truths)), 1.0)
    return match
