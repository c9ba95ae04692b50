"""The errors in a picture: missed, split and merged truths, and false detections."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbnet_jax.evaluation.protocols import Comparison

# More than this share of a piece lies on its word; more than this share of a merged word lies in its detection.
PIECE_SHARE = 0.5


@dataclass(frozen=True)
class PictureErrors:
    """The errors of one picture, as indices of its truths and detections.

    - `missed`: truths without a detection.
    - `split`: truths found in pieces, each with its detections.
    - `merged`: detections of several truths, each with its truths.
    - `false`: all other detections without a match.
    """

    missed: list[int]
    split: dict[int, list[int]]
    merged: dict[int, list[int]]
    false: list[int]

    @property
    def count(self) -> int:
        """The number of errors. A merged detection counts once for each of its words."""
        merged = {truth for truths in self.merged.values() for truth in truths}
        return len(self.missed) + len(self.split) + len(merged) + len(self.false)


def find_errors(comparison: Comparison, entry: dict[str, Any]) -> PictureErrors:
    """Sorts everything that a protocol did not match one to one.

    1. Matches of the protocol with several detections (split) or several truths (merged).
    2. Split: a remaining truth on which two or more remaining detections lie with more than half of their areas.
    3. Merged: a remaining detection that covers more than half of each of two or more remaining truths.
    4. The rest is missed or false.

    **Arguments:**

    - `comparison`, `entry`: the results of `compare` and `score_picture` for one picture.
    """
    partners: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for truth, detection in entry["pairs"]:
        partners[0].setdefault(truth, []).append(detection)
        partners[1].setdefault(detection, []).append(truth)
    split, merged = ({one: many for one, many in side.items() if len(many) > 1} for side in partners)
    free_truths, free_detections = comparison.truths.copy(), comparison.detections.copy()
    free_truths[list(partners[0])], free_detections[list(partners[1])] = False, False
    lies_on = comparison.overlaps.detection_shares > PIECE_SHARE
    for truth in np.flatnonzero(free_truths).tolist():
        # A piece belongs to one truth only: an earlier, overlapping truth may have taken it.
        pieces = np.flatnonzero(lies_on[truth] & free_detections).tolist()
        if len(pieces) > 1:
            split[truth] = pieces
            free_truths[truth], free_detections[pieces] = False, False
    covered = (comparison.overlaps.truth_shares > PIECE_SHARE) & free_truths[:, None]
    for detection in np.flatnonzero(free_detections & (covered.sum(axis=0) > 1)).tolist():
        merged[detection] = np.flatnonzero(covered[:, detection]).tolist()
    free_truths[[truth for truths in merged.values() for truth in truths]] = False
    free_detections[list(merged)] = False
    return PictureErrors(np.flatnonzero(free_truths).tolist(), split, merged, np.flatnonzero(free_detections).tolist())


def worst_first(errors: Sequence[PictureErrors]) -> list[int]:
    """The indices of the pictures, most errors first. Pictures with equal numbers keep their order."""
    return sorted(range(len(errors)), key=lambda index: -errors[index].count)
