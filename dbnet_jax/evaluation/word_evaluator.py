"""Scores a recogniser on a data set of words."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal

import jax

from dbnet_jax.evaluation.evaluator import check_share
from dbnet_jax.evaluation.words import evaluate_words
from dbnet_jax.images.crops import cut_word
from dbnet_jax.messages import Problem
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.sharding import gather

_AT_ONCE = 256  # words that are read together


@dataclasses.dataclass(frozen=True)
class WordEvaluation:
    """What an evaluation found, word by word, in the order of the data set.

    - `indices`, `names`: of each word that was read; `truths`, `readings`: what it says, and what was read;
        `confidences`: how sure the recogniser was, in [0, 1]; `heights`: of the words in their pictures, in pixels.
    - `skipped`: the words that could not be read from the data set.
    - `problems`: of the data set.
    - `seconds`: of the whole evaluation.
    """

    indices: list[int]
    names: list[str]
    truths: list[str]
    readings: list[str]
    confidences: list[float]
    heights: list[float]
    skipped: list[Problem]
    problems: list[Problem]
    seconds: float

    @property
    def metrics(self) -> dict[str, float]:
        """Accuracy, case-sensitive accuracy and character error rate."""
        return dataclasses.asdict(evaluate_words(self.readings, self.truths))

    @property
    def count(self) -> int:
        """The number of words that were scored."""
        return len(self.names)

    @property
    def lost(self) -> list[Problem]:
        """The words that were not scored, and the problems of the data set."""
        return [*(Problem("not scored", str(problem)) for problem in self.skipped), *self.problems]


class WordEvaluator:
    """Scores recognisers on a data set whose samples hold one word each. Processes share the work.

    **Arguments:** `dataset`; `too_many_bad`: as of `Evaluator`.
    """

    def __init__(self, dataset: Any, *, too_many_bad: Literal["warn", "raise"] = "warn"):
        self.dataset, self.too_many_bad = dataset, too_many_bad

    def run(self, recognizer: Any, between: Callable[[], None] = lambda: None) -> WordEvaluation:
        """Reads and scores.

        **Arguments:** `recognizer`: a `Recognizer`; `between`: called after each batch, which may raise to end it all.

        **Raises:** ValueError when no word could be read, or too few with "raise".
        """
        start = time.perf_counter()
        mine = range(jax.process_index(), len(self.dataset), jax.process_count())
        rows: list[dict[str, Any]] = []
        for first in range(0, len(mine), _AT_ONCE):
            rows += self._read(recognizer, mine[first : first + _AT_ONCE])
            between()
        rows = sorted(gather(rows), key=lambda row: row["index"])
        skipped = [Problem("", row["skipped"]) for row in rows if "skipped" in row]
        rows = [row for row in rows if "skipped" not in row]
        check_share(skipped, len(self.dataset), recognizer.config.data.max_bad_share, self.too_many_bad, "word")
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        return WordEvaluation(
            columns["index"],
            columns["name"],
            columns["truth"],
            columns["reading"],
            columns["confidence"],
            columns["height"],
            skipped,
            list(self.dataset.problems),
            time.perf_counter() - start,
        )

    def _read(self, recognizer: Any, indices: range) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        crops = []
        for index in indices:
            try:
                sample = self.dataset[index]
            except ValueError as error:
                rows.append({"index": index, "skipped": str(error)})
                continue
            polygon = sample.polygons[0]
            crops.append(cut_word(sample.image, polygon, HEIGHT, int(recognizer.config.predict.widths[-1])))
            height = float(min(sample.image.shape[0], polygon[:, 1].max() - polygon[:, 1].min()))
            rows.append({"index": index, "name": sample.name, "truth": sample.texts[0], "height": height})
        found = iter(recognizer.read_upright(crops))
        for row in rows:
            if "skipped" not in row:
                one = next(found)
                row |= {"reading": one.text, "confidence": one.score}
        return rows
