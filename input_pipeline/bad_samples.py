"""Counts and lists what is wrong with the data; too many unusable pictures, or none with text, stop the run."""

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems, count_problems, plural, summary_line
from input_pipeline.datasets.sample import Dataset


class _Skipped(NamedTuple):
    """A skipped picture: the label of its own data set, "" where sets are not mixed, and why it is skipped."""

    label: str
    problem: Problem


class TooManyBadSamples(ValueError):
    """The share of unusable pictures passed the limit; the message lists them."""


class NothingToLearn(ValueError):
    """No text of the data set counts."""


def why_nothing_counts(dataset: Dataset) -> str:
    """Why no text of a data set counts; "" where some does, or where it cannot be known without the pictures.

    It reads annotations up to the first text that is not ignored: mostly one.
    """
    pictures = texts = 0
    for index in range(len(dataset)):
        try:
            annotation = dataset.annotation(index)
        except BadPicture:
            continue
        if annotation is None or not all(annotation.ignore):
            return ""
        pictures += 1
        texts += len(annotation.ignore)
    return nothing_counts(pictures, texts) if pictures else ""


def check_some_text_counts(dataset: Dataset) -> None:
    """**Raises:** NothingToLearn where it is known before training that no text of a data set counts."""
    if reason := why_nothing_counts(dataset):
        raise NothingToLearn(f"{reason}. Check the labels and the marks of ignored text in them (docs/own_data.md)")


def nothing_counts(pictures: int, texts: int) -> str:
    """What is wrong with pictures of whose texts none counts."""
    found = f"{plural(texts, 'text')} in {plural(pictures, 'picture')}, all ignored" if texts else ""
    return f"no text counts: {found or 'no text in ' + plural(pictures, 'picture')}"


class BadSamples:
    """Collects what is wrong with the data; any thread may add to it.

    **Arguments:**

    - `total`: pictures in the data set.
    - `max_share`: the largest share of the pictures, and of the pictures of each of several mixed sets, that may be
        unusable. Where several processes read the data, each counts the pictures that it read itself, and those that
        the others had found at the last `exchange`.
    - `stop`: whether `add` raises past the limit; otherwise `stops` keeps the message.
    - `needs_text`: whether `add_example` raises after a whole pass without text that counts.
    """

    def __init__(self, total: int, max_share: float, *, stop: bool = True, needs_text: bool = False):
        self._total, self._max_share, self._stop = total, max_share, stop
        self._lock = threading.Lock()
        self._skipped: dict[str, _Skipped] = {}  # by its name
        self._exchanged: set[str | Problem] = set()  # names and problems that all processes have
        self._counts: dict[str, int] = {}  # of each of the mixed sets, by its label
        self._problems = Problems()
        self._reported = 0
        self._needs_text, self._examples = needs_text, 0
        self.stops = ""
        """The message, without its list, with which the run stops; "" below the limit."""

    def add(self, name: str, reason: str, origin: tuple[str, int] | None = None) -> None:
        """A picture is skipped.

        **Arguments:**

        - `name`, `reason`: of the picture.
        - `origin`: the label of the picture's own data set, and how many pictures that has; None is the whole set.

        **Raises:** TooManyBadSamples past the limit.
        """
        label, total = origin or ("", self._total)
        with self._lock:
            self._skip(name, _Skipped(label, Problem.at(name, reason)))
            count = self._counts[label]
        if count <= self._max_share * total:
            return
        of = f" of {label}" if label else ""
        self.stops = (
            f"{count} of {plural(total, 'picture')}{of} cannot be used, more than `config.data.max_bad_share` "
            f"(={self._max_share}) allows. Mend or remove them, or raise the limit"
        )
        if self._stop:
            raise TooManyBadSamples(f"{self.stops}:\n{self.report(everything=True)}")

    def _skip(self, name: str, skipped: "_Skipped") -> None:
        if name not in self._skipped:
            self._skipped[name] = skipped
            self._counts[skipped.label] = self._counts.get(skipped.label, 0) + 1
            self._problems.add(skipped.problem)

    def exchange(self, gather: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Adds what the other processes found, so that each of them counts and reports the same.

        All processes must call it at the same step.

        **Arguments:** `gather`: from the rows of this process to those of all, see `dbnet_jax.sharding.gather`.
        """
        with self._lock:
            skipped = {name: one for name, one in self._skipped.items() if name not in self._exchanged}
            listed = {one.problem for one in self._skipped.values()} | self._exchanged
            others = [problem for problem in self._problems.listed() if problem not in listed]
        rows: list[dict[str, Any]] = [
            {"name": name, "label": one.label, "problem": dataclasses.asdict(one.problem)}
            for name, one in skipped.items()
        ]
        rows = gather(rows + [{"problem": dataclasses.asdict(problem)} for problem in others])
        with self._lock:
            for row in rows:
                problem = Problem(**row["problem"])
                if "name" in row:
                    self._skip(row["name"], _Skipped(row["label"], problem))
                else:
                    self._problems.add(problem)
                self._exchanged.add(row.get("name", problem))

    def add_example(self, *, has_text: bool) -> None:
        """A picture is used for an example; `has_text`: whether any text of it counts.

        **Raises:** NothingToLearn, where text is needed, when as many examples as there are pictures had none, and one
        more has none.
        """
        with self._lock:
            self._needs_text &= not has_text
            self._examples += 1
            if self._needs_text and self._examples > self._total:
                said = f"the first {plural(self._examples, 'training example')} had no text that counts"
                raise NothingToLearn(f"{said}. Look at the data with --mode=inspect")

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Something is left out or is doubtful, as in an annotation; the picture itself is used."""
        with self._lock:
            self._problems.extend(problems)

    def found(self) -> list[Problem]:
        """The skipped pictures and the problems, in the order in which they were found."""
        with self._lock:
            return self._problems.listed()

    def headline(self) -> str:
        """How many pictures were skipped and how many problems were found."""
        return summary_line(len(self._skipped), count_problems(self.found()) - len(self._skipped))

    def report(self, *, everything: bool = False) -> str:
        """The headline and a line for each problem since the last report, or for every problem; "" without any."""
        found = self.found()
        lines = [f"  {problem}" for problem in (found if everything else found[self._reported :])]
        self._reported = len(found)
        return "\n".join([f"{self.headline()}:", *lines]) if lines else ""
