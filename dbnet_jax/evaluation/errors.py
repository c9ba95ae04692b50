"""What went wrong in a picture: truths missed, split or merged, and detections of nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbnet_jax.evaluation.protocols import Comparison

# A piece lies on its word, and a word in the detection that swallows it, with more than this share of itself.
PIECE_SHARE = 0.5


@dataclass(frozen=True)
class PictureErrors:
    """The errors of one picture, as indices of its truths and detections.

    - `missed`: truths that no detection stands for.
    - `split`: truths found in pieces, each with its pieces.
    - `merged`: detections that stand for several truths, each with those.
    - `false`: detections of none of these kinds that match nothing.
    """

    missed: list[int]
    split: dict[int, list[int]]
    merged: dict[int, list[int]]
    false: list[int]

    @property
    def count(self) -> int:
        """How many words, and detections of none, are wrong: a merged detection counts all of its words."""
        merged = {truth for truths in self.merged.values() for truth in truths}
        return len(self.missed) + len(self.split) + len(merged) + len(self.false)

    def __str__(self) -> str:
        """For example "2 missed, 1 split, 3 false"; "no errors" without any."""
        kinds = ("missed", "split", "merged", "false")
        named = [f"{len(getattr(self, kind))} {kind}" for kind in kinds if getattr(self, kind)]
        return ", ".join(named) or "no errors"


def find_errors(comparison: Comparison, entry: dict[str, Any]) -> PictureErrors:
    """Sorts what a protocol did not match one to one.

    First what the protocol itself matched as several pieces or as several words; then, of what it left over, the
    truths on which two or more detections lie with more than half of themselves (split), the detections that cover
    more than half of two or more truths (merged), and the rest (missed, false).

    **Arguments:**

    - `comparison`, `entry`: of one picture, as `compare` and `score_picture` gave them.
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
        # Of what no truth before it, which it may overlap, is made of.
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
    """The indices of the pictures by how many errors they have, equals in their order."""
    return sorted(range(len(errors)), key=lambda index: -errors[index].count)
