"""End-to-end scores: words that were found and read."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from dbnet_jax.evaluation.protocols import Flag, Scores, compare, harmonic_mean, pool

_MARKS = "'!?.:,*\"()·[]/"  # one of them before or after a true word may be missing in its reading


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

    **Returns:** as `evaluate_detections`; a "pair" of a picture was found and read.

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
        taken: set[int] = set()
        pairs = []
        for truth in np.flatnonzero(comparison.truths).tolist():
            for detection in np.flatnonzero(alike[truth] & comparison.detections).tolist():
                if detection not in taken and same_word(read[detection], true[truth]):
                    pairs.append((truth, detection))
                    taken.add(detection)
                    break
        pictures.append(_picture(pairs, comparison.truths, comparison.detections))
    return pool(pictures)


def same_word(reading: str, truth: str) -> bool:
    """Whether a reading is right: case does not count, and one mark before and after the truth may be missing."""
    reading, truth = reading.upper(), truth.upper()
    options = {truth}
    if truth[:1] and truth[0] in _MARKS:
        options.add(truth[1:])
    for option in list(options):
        if option[-1:] and option[-1] in _MARKS:
            options.add(option[:-1])
    return reading in options


def _picture(pairs: list[tuple[int, int]], truths: np.ndarray, detections: np.ndarray) -> dict[str, object]:
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
        "truth_credits": {truth: 1.0 for truth, _ in pairs},
        "precision_credit": float(right),
        "recall_credit": float(right),
        "num_truths": true,
        "num_detections": found,
        "ignored_truths": np.flatnonzero(~truths).tolist(),
        "ignored_detections": np.flatnonzero(~detections).tolist(),
    }
