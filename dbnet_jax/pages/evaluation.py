"""The files of an evaluation: evaluation.json and a page of pictures."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from dbnet_jax.detector import Detector
from dbnet_jax.evaluation.errors import worst_first
from dbnet_jax.evaluation.evaluator import Evaluation
from dbnet_jax.files import check_files, replace_files, write_json
from dbnet_jax.images import drawing
from dbnet_jax.messages import summary_line
from dbnet_jax.pages.page import PAGE, command_line, problem_list
from dbnet_jax.pages.results import ResultPicture, write_results_page
from dbnet_jax.pages.scores import matches_of, score_sections, shown_pictures_row
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image


def check_report(folder: str | os.PathLike[str]) -> None:
    """**Raises:** FileExistsError when `write_report` would overwrite files in `folder` that no run wrote."""
    check_files(folder, {"evaluation": ["evaluation.json"]})
    check_files(as_path(folder) / "predictions", {"page": [PAGE]})


def write_report(
    workdir: str | os.PathLike[str], evaluation: Evaluation, detector: Detector, dataset: Any
) -> dict[str, Any]:
    """Writes `<workdir>/evaluation.json` and `<workdir>/predictions/index.html`.

    **Arguments:**

    - `workdir`: the run's folder.
    - `evaluation`: the scores of `detector` on `dataset`. The page shows the `config.evaluate.page_pictures` pictures
        with the most errors, and their maps; of an evaluation with `reading` those with the most wrong words.
    - `detector`, `dataset`: make the maps and the pictures of the page.

    **Returns:** the content of `evaluation.json`:

    - "precision", "recall", "hmean", "protocol", and "images": how many pictures were scored;
    - "word_precision", "word_recall", "word_hmean": the end-to-end scores, where a recogniser read the words;
    - "skipped": how many were not; "problems": how many the annotations have; "messages": a line for each of both;
    - "by_size", "by_shape", "sweep" and "best_box_threshold" of `ScoreReport`. The sweep begins at
        `config.predict.box_threshold`, because the detector drops detections below it;
    - "measured_with": the names of the data set, of its split and of a recogniser, and `config.predict`.
    """
    config, report = detector.config, evaluation.report
    summary = evaluation.summary()
    left_out = evaluation.left_out()
    everything = summary | left_out | report.summary()
    everything["measured_with"] = {
        "data": config.data.name,
        "split": config.data.eval_split,
        "predict": json.loads(json.dumps(config.predict.to_dict())),  # lists instead of tuples, as the file has them
    }
    if evaluation.reading is not None:
        everything["measured_with"]["recognizer"] = evaluation.reading.recognizer
    if jax.process_index() > 0:
        return everything
    folder = as_path(workdir)
    page_summary = summary | {
        "seconds": evaluation.seconds,
        "command": command_line(),  # contains every field that it set
    }
    shown = _worst_first(evaluation)[: config.evaluate.page_pictures]
    page_summary |= shown_pictures_row(len(shown), len(evaluation.names))
    write_results_page(
        folder / "predictions",
        f"{config.data.name}: {config.data.eval_split}",
        page_summary,
        _pictures(evaluation, detector, dataset, shown),
        sections=score_sections(report),
        problems=problem_list(
            summary_line(left_out["skipped"], left_out["problems"]), [*evaluation.skipped, *evaluation.problems]
        ),
    )
    replace_files(folder, {"evaluation": ["evaluation.json"]})
    write_json(folder / "evaluation.json", everything)
    return everything


def _worst_first(evaluation: Evaluation) -> list[int]:
    if evaluation.reading is None:
        return worst_first(evaluation.report.errors)
    errors = evaluation.reading.errors
    return sorted(range(len(errors)), key=lambda row: -errors[row])


def _pictures(
    evaluation: Evaluation, detector: Detector, dataset: Any, shown: Sequence[int]
) -> Iterator[ResultPicture]:
    for row in shown:
        sample = dataset[evaluation.indices[row]]
        found = evaluation.detections[row]
        yield ResultPicture(
            sample.name,
            sample.image,
            found.polygons,
            found.scores,
            sample.polygons,
            sample.ignore,
            **matches_of(evaluation.report, row),
            **detector.detect_with_maps(sample.image)[1],
            words=() if evaluation.reading is None else evaluation.reading.words[row],
        )


def training_picture(detector: Detector, dataset: Any) -> Image:
    """The first readable picture of `dataset`, side by side: input, P, T, B, truth and detections.

    **Raises:** ValueError when no picture can be read.
    """
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ValueError:
            continue  # the evaluation lists it
        found, maps = detector.detect_with_maps(sample.image)
        return drawing.side_by_side(
            sample.image, **maps, truths=sample.polygons, ignore=sample.ignore, detections=found.polygons
        )
    raise ValueError("no picture of the evaluation split could be read")
