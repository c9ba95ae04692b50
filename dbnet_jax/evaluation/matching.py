"""How the protocols pair detections with truths, from areas alone.

Each protocol takes the `Overlaps` of one picture. It returns the pairs and their credit in recall and precision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

# Total-Text's DetEval: the least shares of a truth and of a detection, and the credit of a split or merged match.
TRUTH_SHARE = 0.7
DETECTION_SHARE = 0.6
SPLIT_CREDIT = 0.8
# The same of ICDAR 2013.
ICDAR2013_TRUTH_SHARE = 0.8
ICDAR2013_DETECTION_SHARE = 0.4
# MSRA-TD500: directions differ by less than this, in radians.
TD500_ANGLE = math.pi / 8


@dataclass(frozen=True)
class Upright:
    """Rectangles as MSRA-TD500 compares them: each is turned about its own centre until its sides are upright.

    - `angles`: in [0, π/4], between the directions of truth and detection before the turn.
    - `intersection_over_union`: |∩| / |∪| after the turn.
    """

    angles: Float[np.ndarray, "truths detections"]
    intersection_over_union: Float[np.ndarray, "truths detections"]


@dataclass(frozen=True)
class Overlaps:
    """Areas in square pixels: of the truths and detections of one picture, and of their intersections.

    `upright` is set if the regions are rectangles.
    """

    truths: Float[np.ndarray, "truths"]
    detections: Float[np.ndarray, "detections"]
    intersections: Float[np.ndarray, "truths detections"]
    upright: Upright | None = None

    def select(self, truths: Bool[np.ndarray, "all_truths"], detections: Bool[np.ndarray, "all"]) -> "Overlaps":
        """The overlaps of only these truths and detections."""
        both, upright = np.ix_(truths, detections), self.upright
        if upright is not None:
            upright = Upright(upright.angles[both], upright.intersection_over_union[both])
        return Overlaps(self.truths[truths], self.detections[detections], self.intersections[both], upright)

    @property
    def intersection_over_union(self) -> Float[np.ndarray, "truths detections"]:
        """|∩| / |∪|; 0 if both have no area."""
        union = self.truths[:, None] + self.detections - self.intersections
        return divide(self.intersections, union)

    @property
    def truth_shares(self) -> Float[np.ndarray, "truths detections"]:
        """σ = |∩| / |truth|: the share of a truth that a detection covers; 0 for a truth without area."""
        return divide(self.intersections, np.broadcast_to(self.truths[:, None], self.intersections.shape))

    @property
    def detection_shares(self) -> Float[np.ndarray, "truths detections"]:
        """τ = |∩| / |detection|: the share of a detection that lies on a truth; 0 for a detection without area."""
        return divide(self.intersections, np.broadcast_to(self.detections, self.intersections.shape))


def divide(
    numerator: Float[np.ndarray, "truths detections"], denominator: Float[np.ndarray, "truths detections"]
) -> Float[np.ndarray, "truths detections"]:
    """The quotient; 0 where the denominator is 0."""
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


def match_by_iou(overlaps: Overlaps) -> Match:
    """ICDAR 2015: each truth takes the first free detection with |∩| / |∪| above 0.5. Each pair has credit one."""
    return _first_free(overlaps.intersection_over_union > 0.5)


def match_by_td500(overlaps: Overlaps) -> Match:
    """MSRA-TD500: each truth takes the first free detection that is alike; see `alike_by_td500`."""
    return _first_free(alike_by_td500(overlaps))


def alike_by_td500(overlaps: Overlaps) -> Bool[np.ndarray, "truths detections"]:
    """Marks pairs whose directions differ by less than π/8 and whose upright rectangles have |∩| / |∪| above 0.5.

    In Yao and others, CVPR 2012, G' and D' are G and D, turned upright about their own centres.

    **Raises:** ValueError if the overlaps have no `upright`.
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
    """DetEval (Wolf and Jolion, 2006) as in Total-Text's script.

    Three passes: one truth with one detection, one truth in several pieces, several truths in one detection.

    **Arguments:**

    - `overlaps`: of the truths and detections that count.

    **Returns:** the pairs with their credit:

    | match | recall | precision |
    |---|---|---|
    | one to one | 1 | 1 |
    | a truth in n pieces | 0.8 | 0.8·n |
    | n truths in one detection | 0.8·n | 0.8 |
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
    """The truths with exactly one covering detection and exactly one detection inside; neither does so to other truths.

    The two detections may differ, as in the benchmark's script. The truth then takes the covering detection.
    """
    pairs = []
    for truth in np.flatnonzero((covered.sum(axis=1) == 1) & (inside.sum(axis=1) == 1)).tolist():
        cover, insider = covered[truth].argmax(), inside[truth].argmax()
        if covered[:, cover].sum() == 1 and inside[:, insider].sum() == 1:
            pairs.append((truth, int(cover)))
    return pairs


def match_by_icdar2013(overlaps: Overlaps) -> Match:
    """DetEval (Wolf and Jolion, 2006) for the upright rectangles of ICDAR 2013.

    Three passes. Each uses only the truths and detections that are still free. σ and τ are the shares of truth and
    detection.

    1. One to one: σ ≥ 0.8 and τ ≥ 0.4, and neither overlaps anything else.
    2. A truth that overlaps two or more detections: the σ of its detections with τ ≥ 0.4 add up to 0.8 or more.
    3. A detection that overlaps two or more truths: the τ of its truths with σ ≥ 0.8 add up to 0.4 or more.

    The first pass of the original has one more condition: the centres are nearer than half the sum of the diagonals.
    All upright rectangles that overlap fulfil it.

    **Arguments:**

    - `overlaps`: of the truths and detections that count.

    **Returns:** the pairs with their credit:

    | match | recall | precision |
    |---|---|---|
    | one to one | 1 | 1 |
    | a truth in n > 1 pieces | 0.8 | 0.8·n |
    | n truths in one detection | n | 1 |
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
