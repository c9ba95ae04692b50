"""How the benchmarks pair detections with truths, from areas alone.

Each protocol takes the `Overlaps` of one picture and says which truth was found by which detection and what
that counts towards recall and precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

# Total-Text's DetEval: least shares of a truth and of a detection, and what a split or merged match counts.
TRUTH_SHARE = 0.7
DETECTION_SHARE = 0.6
SPLIT_CREDIT = 0.8


@dataclass(frozen=True)
class Overlaps:
    """The areas, in square pixels, of the truths and detections of one picture and of what they share."""

    truths: Float[np.ndarray, "truths"]
    detections: Float[np.ndarray, "detections"]
    intersections: Float[np.ndarray, "truths detections"]

    def select(self, truths: Bool[np.ndarray, "truths"], detections: Bool[np.ndarray, "detections"]) -> "Overlaps":
        """The areas of those truths and detections alone."""
        return Overlaps(
            self.truths[truths], self.detections[detections], self.intersections[np.ix_(truths, detections)]
        )

    @property
    def intersection_over_union(self) -> Float[np.ndarray, "truths detections"]:
        """|∩| / |∪|, 0 where both have no area."""
        union = self.truths[:, None] + self.detections - self.intersections
        return _divide(self.intersections, union)

    @property
    def truth_shares(self) -> Float[np.ndarray, "truths detections"]:
        """σ = |∩| / |truth|, how much of a truth a detection covers; 0 for a truth without area."""
        return _divide(self.intersections, np.broadcast_to(self.truths[:, None], self.intersections.shape))

    @property
    def detection_shares(self) -> Float[np.ndarray, "truths detections"]:
        """τ = |∩| / |detection|, how much of a detection lies on a truth; 0 for a detection without area."""
        return _divide(self.intersections, np.broadcast_to(self.detections, self.intersections.shape))


def _divide(
    numerator: Float[np.ndarray, "truths detections"], denominator: Float[np.ndarray, "truths detections"]
) -> Float[np.ndarray, "truths detections"]:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


@dataclass
class Match:
    """The (truth, detection) pairs of one picture, and their credit in units of instances."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    recall: float = 0.0
    precision: float = 0.0

    def add(
        self, truths: Sequence[int], detections: Sequence[int], recall: float = 1.0, precision: float = 1.0
    ) -> None:
        self.pairs += [(int(truth), int(detection)) for truth in truths for detection in detections]
        self.recall += recall
        self.precision += precision


def match_by_iou(overlaps: Overlaps, *, least: float = 0.5) -> Match:
    """ICDAR 2015: each truth takes the first free detection of which |∩| / |∪| is above `least`.

    **Arguments:**

    - `overlaps`: of the truths and detections that count.
    - `least`: in [0, 1].

    **Returns:** the pairs, each of credit one.
    """
    match = Match()
    free = np.ones(len(overlaps.detections), bool)
    for truth, row in enumerate(overlaps.intersection_over_union > least):
        candidates = np.flatnonzero(row & free)
        if candidates.size:
            free[candidates[0]] = False
            match.add([truth], candidates[:1].tolist())
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
