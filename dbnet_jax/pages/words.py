"""The files of a recogniser's evaluation: evaluation.json and a page of the worst crops."""

import json
import os
import pathlib
from typing import Any

import cv2
import jax
import numpy as np
from ml_collections import ConfigDict

from dbnet_jax.evaluation.word_evaluator import WordEvaluation
from dbnet_jax.evaluation.words import edit_distance, evaluate_words
from dbnet_jax.files import replace_files, write_json
from dbnet_jax.images.crops import cut_word, padded
from dbnet_jax.messages import count_problems, summary_line
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.pages.figure import write_figure
from dbnet_jax.pages.page import command_line, file_stem, problem_list, row, write_page
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image

_LENGTHS = ((1, 3), (3, 5), (5, 8), (8, 13), (13, 1000))
_HEIGHTS = ((0, 12), (12, 16), (16, 24), (24, 48), (48, 1000))


def write_word_report(
    workdir: str | os.PathLike[str], evaluation: WordEvaluation, recognizer: Any, dataset: Any
) -> dict[str, Any]:
    """Writes `<workdir>/evaluation.json` and `<workdir>/predictions/index.html`.

    **Arguments:** `workdir`: the run's folder; `evaluation`: of `recognizer` on `dataset`. The page shows the
    `config.evaluate.page_pictures` worst crops.

    **Returns:** the content of `evaluation.json`: "accuracy", "accuracy_case_sensitive", "cer", "protocol", "images"
    (the number of words), "skipped", "problems", "messages", "by_length" (in characters), "by_height" (in pixels) and
    "measured_with".
    """
    config = recognizer.config
    summary = evaluation.metrics | {"protocol": "words", "images": evaluation.count}
    everything = summary | {
        "skipped": len(evaluation.skipped),
        "problems": count_problems(evaluation.problems),
        "messages": [str(problem) for problem in (*evaluation.skipped, *evaluation.problems)],
        "by_length": _by(evaluation, [len(truth) for truth in evaluation.truths], _LENGTHS),
        "by_height": _by(evaluation, evaluation.heights, _HEIGHTS),
        "measured_with": {
            "data": config.data.name,
            "split": config.data.eval_split,
            "predict": json.loads(json.dumps(config.predict.to_dict())),
        },
    }
    if jax.process_index() == 0:
        folder = as_path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        replace_files(folder, {"evaluation": ["evaluation.json"]})
        write_json(folder / "evaluation.json", everything)
        _write_page(folder / "predictions", evaluation, everything, config, dataset)
    return everything


def _write_page(
    folder: pathlib.Path, evaluation: WordEvaluation, summary: dict[str, Any], config: ConfigDict, dataset: Any
) -> None:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    words: list[dict[str, str]] = []
    files = []
    for place in worst(evaluation)[: config.evaluate.page_pictures]:
        name = evaluation.names[place]
        sample = dataset[evaluation.indices[place]]
        crop = cut_word(sample.image, sample.polygons[0], 2 * HEIGHT, 1024)
        stem = file_stem(len(words) + 1, name)
        figure = write_figure(folder, f"{stem}.jpg", np.repeat(crop[..., None], 3, axis=2), name)
        files.append(figure.file)
        score = f"{evaluation.confidences[place]:.2f}"
        words.append(
            {
                "file": figure.file,
                "name": name,
                "truth": evaluation.truths[place],
                "reading": evaluation.readings[place],
                "score": score,
            }
        )
    tables = [
        {"name": name, "rows": [_table_row(bin_name, found) for bin_name, found in summary[key].items()]}
        for key, name in (("by_length", "characters"), ("by_height", "height in pixels"))
    ]
    shown = {"words": evaluation.count, "seconds": evaluation.seconds, "command": command_line()}
    problems = [*evaluation.skipped, *evaluation.problems]
    page = write_page(
        folder,
        "words.html",
        title=f"{config.data.name}: {config.data.eval_split}",
        tiles=[row(name, value) for name, value in evaluation.metrics.items()],
        details=[row(name, value) for name, value in shown.items()],
        sections="",
        problems=problem_list(summary_line(len(evaluation.skipped), count_problems(evaluation.problems)), problems),
        legend=[],
        colors={},
        cards=[],
        tables=tables,
        words=words,
    )
    replace_files(folder, {"page": [*files, page.name]})


def _table_row(name: str, found: dict[str, Any]) -> dict[str, str]:
    return {
        "name": name,
        "words": str(found["words"]),
        "accuracy": f"{found['accuracy']:.3f}",
        "cer": f"{found['cer']:.3f}",
    }


def _by(evaluation: WordEvaluation, values: list[Any], bins: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    found = {}
    for low, high in bins:
        rows = [i for i, value in enumerate(values) if low <= value and (value < high or high == 1000)]
        if rows:
            scores = evaluate_words([evaluation.readings[i] for i in rows], [evaluation.truths[i] for i in rows])
            found[f"{low} to {high - 1}" if high < 1000 else f"{low} and more"] = {
                "words": len(rows),
                "accuracy": scores.accuracy,
                "cer": scores.cer,
            }
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
