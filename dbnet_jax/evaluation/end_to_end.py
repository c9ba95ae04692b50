"""End-to-end scores of a detector and a recogniser on a data set: words that were found and read."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dbnet_jax.evaluation.evaluator import Evaluation
from dbnet_jax.evaluation.reading import EndToEnd, ReadWord, evaluate_reading
from dbnet_jax.postprocess import Detections
from dbnet_jax.sharding import gather
from dbnet_jax.typing import Image


def check_texts(dataset: Any, argument: str) -> None:
    """Refuses a data set in which no word that counts has a text.

    **Arguments:** `dataset`: see `Evaluator`; `argument`: what asks for texts, for the message.

    **Raises:** ValueError.
    """
    for index in range(len(dataset)):
        try:
            annotation = dataset.annotation(index) or dataset[index]
        except ValueError:
            continue  # the evaluation lists it
        if any(text and not ignored for text, ignored in zip(annotation.texts, annotation.ignore, strict=False)):
            return
    raise ValueError(f"{argument} needs a data set with texts, and no word of the evaluation split has one")


def with_readings(
    evaluation: Evaluation, dataset: Any, read: Callable[[Image, Detections], Any], recognizer: str
) -> Evaluation:
    """The evaluation of a detector with the end-to-end scores of its words. Processes share the work.

    A truth without text is ignored.

    **Arguments:**

    - `evaluation`: of a detector on `dataset`.
    - `read`: returns a `Page` of a picture and its detections, as `Reader.read_words` does.
    - `recognizer`: its name, for the report.
    """
    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for row in range(jax.process_index(), evaluation.count, jax.process_count()):
        sample = dataset[evaluation.indices[row]]
        words = read(sample.image, evaluation.detections[row]).words
        rows.append(
            {
                "row": row,
                "polygons": [word.polygon.tolist() for word in words],
                "read": [word.text for word in words],
                "true": list(sample.texts) or [""] * len(sample.polygons),
            }
        )
    rows = sorted(gather(rows), key=lambda one: one["row"])
    read_texts, true_texts = [one["read"] for one in rows], [one["true"] for one in rows]
    ignore = [
        [flag or not text for flag, text in zip(flags, texts, strict=True)]
        for flags, texts in zip(evaluation.ignore, true_texts, strict=True)
    ]
    found = [[np.array(polygon, np.float32) for polygon in one["polygons"]] for one in rows]
    scores = evaluate_reading(found, evaluation.truths, ignore, read_texts, true_texts)
    words = [
        _words(entry, read, true) for entry, read, true in zip(scores.per_image, read_texts, true_texts, strict=True)
    ]
    seconds = evaluation.seconds + time.perf_counter() - start
    return dataclasses.replace(evaluation, reading=EndToEnd(scores, words, recognizer), seconds=seconds)


def _words(entry: dict[str, Any], read: list[str], true: list[str]) -> list[ReadWord]:
    """The words of a picture that count: those that were read wrongly, missed ones, false ones, and right ones."""
    right, misread = entry["pairs"], entry["misread"]
    truths = {truth for truth, _ in right + misread}.union(entry["ignored_truths"])
    found = {detection for _, detection in right + misread}.union(entry["ignored_detections"])
    return [
        *(ReadWord(true[truth], read[detection], "misread") for truth, detection in misread),
        *(ReadWord(text, "", "missed") for truth, text in enumerate(true) if truth not in truths),
        *(ReadWord("", text, "false") for detection, text in enumerate(read) if detection not in found),
        *(ReadWord(true[truth], read[detection], "right") for truth, detection in right),
    ]
