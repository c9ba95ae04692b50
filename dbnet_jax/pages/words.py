"""The files of a recogniser's evaluation: evaluation.json and a page of the worst crops."""

import json
import os
import pathlib
import shlex
import sys
from typing import Any

import cv2
import jax
import numpy as np

from dbnet_jax.evaluation.word_evaluator import WordEvaluation
from dbnet_jax.evaluation.words import edit_distance, evaluate_words
from dbnet_jax.files import write_json
from dbnet_jax.images.crops import cut_word, padded
from dbnet_jax.messages import count_problems
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.typing import Image

_LENGTHS = ((1, 2), (3, 4), (5, 7), (8, 12), (13, 999))
_HEIGHTS = ((0, 12), (12, 16), (16, 24), (24, 48), (48, 10_000))


def write_word_report(
    workdir: str | os.PathLike[str], evaluation: WordEvaluation, recognizer: Any, dataset: Any
) -> dict[str, Any]:
    """Writes `<workdir>/evaluation.json`.

    **Returns:** its content: "accuracy", "accuracy_case_sensitive", "cer", "protocol", "images" (the number of words),
    "skipped", "problems", "messages", "by_length", "by_height", "worst" and "measured_with".
    """
    config = recognizer.config
    messages = [str(problem) for problem in (*evaluation.skipped, *evaluation.problems)]
    everything = evaluation.metrics | {
        "protocol": "words",
        "images": evaluation.count,
        "skipped": len(evaluation.skipped),
        "problems": count_problems(evaluation.problems),
        "messages": messages,
        "by_length": _by(evaluation, [len(truth) for truth in evaluation.truths], _LENGTHS),
        "by_height": _by(evaluation, evaluation.heights, _HEIGHTS),
        "worst": [
            {"name": evaluation.names[i], "truth": evaluation.truths[i], "reading": evaluation.readings[i]}
            for i in worst(evaluation)[: config.evaluate.page_pictures]
        ],
        "measured_with": {
            "data": config.data.name,
            "split": config.data.eval_split,
            "predict": json.loads(json.dumps(config.predict.to_dict())),
        },
        "command": shlex.join(["python", *sys.argv]),
    }
    if jax.process_index() == 0:
        write_json(pathlib.Path(workdir) / "evaluation.json", everything)
    return everything


def _by(evaluation: WordEvaluation, values: list[Any], bins: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    found = {}
    for low, high in bins:
        rows = [i for i, value in enumerate(values) if low <= value <= high]
        if rows:
            scores = evaluate_words([evaluation.readings[i] for i in rows], [evaluation.truths[i] for i in rows])
            found[f"{low}–{high}"] = {"words": len(rows), "accuracy": scores.accuracy, "cer": scores.cer}
    return found


def worst(evaluation: WordEvaluation) -> list[int]:
    """The rows of the words that were read wrongly, those with the most edits a character first."""
    pairs = list(zip(evaluation.readings, evaluation.truths, strict=True))
    wrong = [i for i, (found, truth) in enumerate(pairs) if found != truth]
    return sorted(wrong, key=lambda i: -edit_distance(*pairs[i]) / max(len(pairs[i][1]), 1))


def training_picture(recognizer: Any, dataset: Any) -> Image:
    """The first sixteen words of a data set, each with its reading below."""
    rows = []
    for index in range(min(len(dataset), 16)):
        try:
            sample = dataset[index]
        except ValueError:
            continue  # the evaluation lists it
        crop = cut_word(sample.image, sample.polygons[0], HEIGHT, 256)
        (found,) = recognizer.read_upright([crop])
        strip = np.zeros((2 * HEIGHT, 256, 3), np.uint8)
        strip[:HEIGHT] = padded(crop, 256)[..., None]
        cv2.putText(strip, found.text, (4, HEIGHT + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255))
        rows.append(strip)
    if not rows:
        raise ValueError("no word of the evaluation split could be read")
    return np.concatenate(rows)
