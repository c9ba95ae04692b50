"""What an evaluation leaves behind: evaluation.json and a page of pictures."""

import json
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from dbnet_jax.detector import Detector
from dbnet_jax.evaluation.errors import worst_first
from dbnet_jax.evaluation.evaluator import Evaluation
from dbnet_jax.files import write_json
from dbnet_jax.images import drawing
from dbnet_jax.messages import Problem, summary_line
from dbnet_jax.pages.page import problem_list
from dbnet_jax.pages.results import ResultPicture, write_results_page
from dbnet_jax.pages.scores import matches_of, score_sections, shown_pictures_row
from dbnet_jax.typing import Image


def write_report(
    workdir: str | os.PathLike[str], evaluation: Evaluation, detector: Detector, dataset: Any
) -> dict[str, Any]:
    """Writes `<workdir>/evaluation.json` and `<workdir>/predictions/index.html`.

    **Arguments:**

    - `workdir`: the run's folder.
    - `evaluation`: what `detector` scored on `dataset`; the page shows the pictures with the most errors, as many as
        `config.evaluate.page_pictures`, with their maps.

    **Returns:** what `evaluation.json` holds: "precision", "recall", "hmean", "protocol", "images" (how many were
    scored), "skipped" (how many were not), "problems" (of annotations), "messages" (of both, a line each),
    "by_size", "by_shape", "sweep" and "best_box_threshold" of `ScoreReport`, and "measured_with", the names of the data
    set and of its split, and `config.predict`. The sweep begins at `config.predict.box_threshold`, below which the
    detector drops what it finds.
    """
    config, report = detector.config, evaluation.report
    summary = evaluation.summary()
    left_out = evaluation.left_out()
    everything = summary | left_out | report.summary()
    everything["measured_with"] = {
        "data": config.data.name,
        "split": config.data.eval_split,
        "predict": json.loads(json.dumps(config.predict.to_dict())),  # as it is read from the file
    }
    if jax.process_index() > 0:
        return everything
    folder = pathlib.Path(workdir)
    page_summary = summary | {
        "seconds": evaluation.seconds,
        "command": shlex.join(["python", *sys.argv]),  # with every field that it set
    }
    shown = worst_first(report.errors)[: config.evaluate.page_pictures]
    page_summary |= shown_pictures_row(len(shown), len(evaluation.names))
    write_results_page(
        folder / "predictions",
        f"{config.data.name}: {config.data.eval_split}",
        page_summary,
        _pictures(evaluation, detector, dataset, shown),
        sections=score_sections(report),
        problems=problem_list(
            summary_line(left_out["skipped"], left_out["problems"]),
            [Problem("", message) for message in left_out["messages"]],
        ),
    )
    write_json(folder / "evaluation.json", everything)
    return everything


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
        )


def training_picture(detector: Detector, dataset: Any) -> Image:
    """The first readable picture of `dataset` as the detector sees it now: input, P, T, B, truth and detections."""
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ValueError:
            continue  # the evaluation names it
        found, maps = detector.detect_with_maps(sample.image)
        return drawing.side_by_side(
            sample.image, **maps, truths=sample.polygons, ignore=sample.ignore, detections=found.polygons
        )
    raise ValueError("no picture of the evaluation split could be read")
