"""One object that scores a detector on a data set: in the training loop, from a checkpoint, on many hosts."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import numpy as np
from absl import logging
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from dbnet_jax.evaluation import PROTOCOLS, Scores, evaluate_detections
from dbnet_jax.evaluation.breakdown import ScoreReport, make_score_report
from dbnet_jax.evaluation.reading import EndToEnd
from dbnet_jax.messages import Problem, check_choice, count_problems, first_lines, plural
from dbnet_jax.postprocess import Detections
from dbnet_jax.sharding import gather


@runtime_checkable
class LabelledPicture(Protocol):
    """What is scored: a picture with the outlines of its text."""

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    polygons: list[Float[np.ndarray, "_ 2"]]
    ignore: list[bool]


@runtime_checkable
class DetectsMany(Protocol):
    """The part of a `Detector` that scoring needs."""

    config: ConfigDict

    def detect_many(self, images: Any) -> Any:
        """See `Detector.detect_many`."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, picture by picture, in the order of the data set.

    `report` adds a `ScoreReport`, which is computed when it is first used.

    **Arguments:**

    - `scores`: over all pictures, and in `per_image` of each.
    - `indices`, `names`, `detections`: of each picture; the index is its place in the data set.
    - `skipped`: the pictures that could not be read; they are not scored.
    - `seconds`: of the whole evaluation.
    - `truths`, `ignore`: of each picture, the outlines of its text and which of them are don't-cares.
    - `protocol`: by which they were scored.
    - `box_threshold`: below which the detector dropped what it found.
    - `problems`: what was left out of the annotations, or is doubtful, and what is wrong with the set as a whole.
    - `reading`: the end-to-end scores, where a recogniser read the words; see `with_readings`.
    """

    scores: Scores
    indices: list[int]
    names: list[str]
    detections: list[Detections]
    skipped: list[Problem]
    seconds: float
    truths: list[list[Float[np.ndarray, "_ 2"]]]
    ignore: list[list[bool]]
    protocol: str
    box_threshold: float
    problems: list[Problem]
    reading: EndToEnd | None = None

    @functools.cached_property
    def report(self) -> ScoreReport:
        """The scores by size, by shape and over the box threshold, and every picture's errors."""
        return make_score_report(
            [found.polygons for found in self.detections],
            [np.asarray(found.scores) for found in self.detections],
            self.truths,
            self.ignore,
            protocol=self.protocol,
            box_threshold=self.box_threshold,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Precision, recall and hmean, each in [0, 1]."""
        return {key: getattr(self.scores, key) for key in ("precision", "recall", "hmean")}

    @property
    def count(self) -> int:
        """The number of pictures that were scored."""
        return len(self.names)

    @property
    def lost(self) -> list[Problem]:
        """The pictures that were not scored, and the problems of the annotations."""
        return [*(Problem("not scored", str(problem)) for problem in self.skipped), *self.problems]

    def summary(self) -> dict[str, Any]:
        """The scores in one row; a run's `evaluation.json` begins with them."""
        end_to_end = {} if self.reading is None else self.reading.metrics
        return self.metrics | end_to_end | {"protocol": self.protocol, "images": self.count}

    def left_out(self) -> dict[str, Any]:
        """The numbers of "skipped" pictures and of "problems" in the data, and "messages", a line for each."""
        messages = [str(problem) for problem in (*self.skipped, *self.problems)]
        return {"skipped": len(self.skipped), "problems": count_problems(self.problems), "messages": messages}


class Evaluator:
    """Scores detectors on a data set.

        evaluation = Evaluator(dataset, "deteval").run(detector)
        evaluation.scores.hmean, evaluation.report.by_shape["curved"]["recall"]
        write_report(folder, evaluation, detector, dataset)  # with the curve, and the pictures with the worst errors

    Each process reads and detects its own share of the pictures, on its own devices, and all of them score the
    whole, so that a number means the same wherever it is printed.

    **Arguments:**

    - `dataset`: `len`, and `[i]` gives a `LabelledPicture` or raises ValueError where it cannot be read. Its
        `problems` and those of its samples (each a `Problem`) are reported, where they exist.
    - `protocol`: see `evaluate_detections`.
    - `too_many_bad`: what happens where more than `config.data.max_bad_share` of the pictures cannot be read: "warn",
        so that no training ends by it, or "raise".
    """

    def __init__(self, dataset: Any, protocol: str = "iou", *, too_many_bad: Literal["warn", "raise"] = "warn"):
        check_choice("config.evaluate.protocol", protocol, PROTOCOLS)
        self.dataset, self.protocol, self.too_many_bad = dataset, protocol, too_many_bad

    def run(self, detector: DetectsMany, between: Callable[[], None] = lambda: None) -> Evaluation:
        """Detects and scores.

        **Arguments:** `detector`; `between`, called after each picture, which may raise to end it all.

        **Raises:** ValueError when no picture could be read, or too few with "raise".
        """
        start = time.perf_counter()
        mine = range(jax.process_index(), len(self.dataset), jax.process_count())
        rows = gather(self._detect(detector, mine, between))
        rows.sort(key=lambda row: row["index"])
        skipped = [Problem("", row["skipped"]) for row in rows if "skipped" in row]
        rows = [row for row in rows if "skipped" not in row]
        check_share(skipped, len(self.dataset), detector.config.data.max_bad_share, self.too_many_bad)
        detections = [Detections(_polygons(row["polygons"]), np.array(row["scores"], np.float32)) for row in rows]
        truths, ignore = [_polygons(row["truth"]) for row in rows], [row["ignore"] for row in rows]
        scores = evaluate_detections([found.polygons for found in detections], truths, ignore, protocol=self.protocol)
        indices, names = [row["index"] for row in rows], [row["name"] for row in rows]
        problems = [
            *getattr(self.dataset, "problems", []),
            *(Problem(**one) for row in rows for one in row["problems"]),
        ]
        return Evaluation(
            scores,
            indices,
            names,
            detections,
            skipped,
            time.perf_counter() - start,
            truths,
            ignore,
            self.protocol,
            detector.config.predict.box_threshold,
            list(dict.fromkeys(problems)),  # pictures that share a label file may all name it
        )

    def _detect(
        self, detector: DetectsMany, indices: Sequence[int], between: Callable[[], None]
    ) -> list[dict[str, Any]]:
        """A row for each picture; of those that wait for their result it keeps the annotations and not the pixels."""
        truths: dict[int, dict[str, Any]] = {}

        def read(index: int) -> UInt8[np.ndarray, "_ _ 3"]:
            sample = self.dataset[index]
            truths[index] = _truth(index, sample)
            return sample.image

        rows: list[dict[str, Any]] = []
        with contextlib.closing(detector.detect_many(functools.partial(read, index) for index in indices)) as found:
            for index, one in zip(indices, found, strict=True):
                if isinstance(one, ValueError):
                    rows.append({"index": index, "skipped": str(one)})
                else:
                    rows.append(_row(truths.pop(index), one))
                between()
        return rows


def check_share(
    skipped: Sequence[Problem],
    total: int,
    max_share: float,
    too_many_bad: Literal["warn", "raise"],
    thing: str = "picture",
) -> None:
    """Raises or warns where too many samples cannot be read.

    **Arguments:** `skipped`: one for each of them; `total`: samples in all; `max_share`: `config.data.max_bad_share`;
    `too_many_bad`: see `Evaluator`; `thing`: what a sample is.

    **Raises:** ValueError when no sample can be read, or too few with "raise".
    """
    named = "\n".join(first_lines(skipped))
    if len(skipped) == total:
        raise ValueError(f"no {thing} of the evaluation split could be read:\n{named}")
    if len(skipped) <= max_share * total:
        return
    message = (
        f"{len(skipped)} of {plural(total, thing)} of the evaluation split cannot be read, more than "
        f"`config.data.max_bad_share` (={max_share:g}) allows: the scores are of the others alone"
    )
    if too_many_bad == "raise":
        raise ValueError(f"{message}. Mend or remove them, or raise it (--config.data.max_bad_share=1):\n{named}")
    if jax.process_index() == 0:
        logging.warning("%s:\n%s", message, named)


# What scoring needs of a picture, as plain values that travel between hosts


def _truth(index: int, sample: LabelledPicture) -> dict[str, Any]:
    return {
        "index": index,
        "name": sample.name,
        "truth": [polygon.tolist() for polygon in sample.polygons],
        "ignore": [bool(flag) for flag in sample.ignore],
        "problems": [dataclasses.asdict(problem) for problem in getattr(sample, "problems", [])],
    }


def _row(truth: dict[str, Any], found: Detections) -> dict[str, Any]:
    notes = [dataclasses.asdict(Problem(truth["name"], note)) for note in found.notes]
    return truth | {
        "problems": truth["problems"] + notes,
        "polygons": [polygon.tolist() for polygon in found.polygons],
        "scores": np.asarray(found.scores).tolist(),
    }


def _polygons(rows: list[list[list[float]]]) -> list[Float[np.ndarray, "_ 2"]]:
    return [np.array(row, np.float32).reshape(-1, 2) for row in rows]
