"""End-to-end scores: words that were found and read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dbnet_jax.characters import composed
from dbnet_jax.evaluation.protocols import Flag, Scores, compare, harmonic_mean, pool

_MARKS = "'!?.:,*\"()·[]/"  # one of them before or after a true word may be missing in its reading


@dataclass(frozen=True)
class ReadWord:
    """A word of a picture: a truth, a detection, or a pair of both.

    - `truth`: what it says; "" of a detection on nothing. `reading`: what was read; "" where nothing was found.
    - `verdict`: "right", "misread", "missed" or "false".
    """

    truth: str
    reading: str
    verdict: str


@dataclass(frozen=True)
class EndToEnd:
    """The end-to-end scores of an evaluation.

    - `scores`: see `evaluate_reading`; `words`: of each picture, in the order of the evaluation.
    - `recognizer`: the name of the recogniser.
    """

    scores: Scores
    words: list[list[ReadWord]]
    recognizer: str

    @property
    def metrics(self) -> dict[str, float]:
        """Precision, recall and hmean of the words, each in [0, 1]."""
        return {f"word_{key}": getattr(self.scores, key) for key in ("precision", "recall", "hmean")}

    @property
    def errors(self) -> list[int]:
        """The number of wrong words of each picture."""
        return [sum(word.verdict != "right" for word in words) for words in self.words]


def evaluate_reading(
    found: Sequence[Iterable[ArrayLike]],
    truths: Sequence[Iterable[ArrayLike]],
    ignore: Sequence[Iterable[Flag]],
    texts_found: Sequence[Sequence[str]],
    texts_true: Sequence[Sequence[str]],
) -> Scores:
    """Scores words by ICDAR 2015's end-to-end protocol: IoU above 0.5 and the same word, without regard to case.

    A detection with more than half of its area on an ignored word does not count.

    **Arguments:** of each picture

    - `found`, `truths`: the polygons, each `[vertices, 2]`; `ignore`: for each truth, whether it is ignored;
    - `texts_found`, `texts_true`: what each of them says.

    **Returns:** as `evaluate_detections`; a "pair" of a picture was found and read. "misread" are pairs that were found
    and read wrongly.

    **Raises:** ValueError if lengths differ.
    """
    comparisons = compare(found, truths, ignore, protocol="iou")
    if not len(texts_found) == len(texts_true) == len(comparisons):
        raise ValueError(
            f"`texts_found` ({len(texts_found)}) and `texts_true` ({len(texts_true)}) must be of as many pictures as "
            f"`found` ({len(comparisons)})"
        )
    pictures = []
    for index, (comparison, read, true) in enumerate(zip(comparisons, texts_found, texts_true, strict=True)):
        counted = len(true), len(read)
        if comparison.overlaps.intersections.shape != counted:
            raise ValueError(f"picture {index}: {counted} texts, {comparison.overlaps.intersections.shape} polygons")
        alike = comparison.overlaps.intersection_over_union > 0.5
        matches = [
            (truth, detection)
            for truth, detection in np.argwhere(alike).tolist()
            if comparison.truths[truth] and comparison.detections[detection]
        ]
        pairs = _each_once(pair for pair in matches if same_word(read[pair[1]], true[pair[0]]))
        misread = _each_once(matches, but=pairs)
        pictures.append(_picture(pairs, misread, comparison.truths, comparison.detections))
    return pool(pictures)


def _each_once(pairs: Iterable[tuple[int, int]], but: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """The pairs, the first of each truth and of each detection, without those of pairs that are made already."""
    truths, detections = {truth for truth, _ in but}, {detection for _, detection in but}
    kept = []
    for truth, detection in pairs:
        if truth not in truths and detection not in detections:
            kept.append((truth, detection))
            truths.add(truth)
            detections.add(detection)
    return kept


def same_word(reading: str, truth: str) -> bool:
    """Whether a reading is right: case does not count, and one mark before and after the truth may be missing."""
    reading, truth = composed(reading).upper(), composed(truth).upper()
    options = {truth}
    if truth[:1] and truth[0] in _MARKS:
        options.add(truth[1:])
    for option in list(options):
        if option[-1:] and option[-1] in _MARKS:
            options.add(option[:-1])
    return reading in options


def _picture(
    pairs: list[tuple[int, int]], misread: list[tuple[int, int]], truths: np.ndarray, detections: np.ndarray
) -> dict[str, object]:
    true, found, right = int(truths.sum()), int(detections.sum()), len(pairs)
    precision = right / found if found else float(true == 0)
    recall = right / true if true else 1.0
    if not true:
        precision = float(found == 0)
    return {
        "precision": precision,
        "recall": recall,
        "hmean": harmonic_mean(precision, recall),
        "pairs": pairs,
        "misread": misread,
        "truth_credits": {truth: 1.0 for truth, _ in pairs},
        "precision_credit": float(right),
        "recall_credit": float(right),
        "num_truths": true,
        "num_detections": found,
        "ignored_truths": np.flatnonzero(~truths).tolist(),
        "ignored_detections": np.flatnonzero(~detections).tolist(),
    }
