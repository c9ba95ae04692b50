"""What an evaluation leaves behind: evaluation.json and a page of pictures."""

import json
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from dbnet_jax import visualize
from dbnet_jax.detector import Detector
from dbnet_jax.evaluator import Evaluation
from dbnet_jax.results_page import ResultPicture, write_results_page


def write_report(
    workdir: str | os.PathLike[str], evaluation: Evaluation, detector: Detector, dataset: Any
) -> dict[str, Any]:
    """Writes `<workdir>/evaluation.json` and `<workdir>/predictions/index.html`.

    **Arguments:**

    - `workdir`: the run's folder.
    - `evaluation`: what `detector` scored on `dataset`; the page shows its first pictures, as many as
        `config.evaluate.page_pictures`, with their maps.

    **Returns:** what `evaluation.json` holds: "precision", "recall", "hmean", "protocol", "images".
    """
    config = detector.config
    summary = evaluation.summary(config.evaluate.protocol)
    if jax.process_index() > 0:
        return summary
    folder = pathlib.Path(workdir)
    page_summary = summary | {
        "seconds": evaluation.seconds,
        "command": shlex.join(["python", *sys.argv]),  # with every field that it set
    }
    if evaluation.skipped:
        page_summary["not scored"] = "; ".join(evaluation.skipped)
    pictures = _pictures(evaluation, detector, dataset, config.evaluate.page_pictures)
    write_results_page(folder / "predictions", f"{config.data.name}: {config.data.eval_split}", page_summary, pictures)
    write_json(folder / "evaluation.json", summary)
    return summary


def save_config(config: ConfigDict, workdir: str | os.PathLike[str]) -> None:
    """Writes `<workdir>/config.json`, all that `Detector.from_checkpoint` needs beside the weights."""
    if jax.process_index() == 0:
        folder = pathlib.Path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", config.to_dict())


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes the file in one move: a reader finds the old one or the new one, never a part."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n")
    partial.replace(path)


def _pictures(evaluation: Evaluation, detector: Detector, dataset: Any, most: int) -> Iterator[ResultPicture]:
    rows = zip(
        evaluation.indices[:most],
        evaluation.detections[:most],
        evaluation.scores.per_image[:most],
        strict=True,
    )
    for index, found, scores in rows:
        sample = dataset[index]
        yield ResultPicture(
            sample.name,
            sample.image,
            found.polygons,
            found.scores,
            sample.polygons,
            sample.ignore,
            precision=scores["precision"],
            recall=scores["recall"],
            hmean=scores["hmean"],
            matched_truths=[truth for truth, _ in scores["pairs"]],
            matched_detections=[detection for _, detection in scores["pairs"]],
            ignored_detections=scores["ignored_detections"],
            **detector.detect_with_maps(sample.image)[1],
        )


def training_picture(detector: Detector, dataset: Any) -> UInt8[np.ndarray, "_ _ 3"]:
    """The first readable picture of `dataset` as the detector sees it now: input, P, T, B, truth and detections."""
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ValueError:
            continue  # the evaluation names it
        found, maps = detector.detect_with_maps(sample.image)
        return visualize.side_by_side(
            sample.image, **maps, truths=sample.polygons, ignore=sample.ignore, detections=found.polygons
        )
    raise ValueError("no picture of the evaluation split could be read")
