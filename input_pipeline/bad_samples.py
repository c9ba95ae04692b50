"""What could not be used: skipped, counted, named, and too much of it stops the run."""

import threading
from collections.abc import Iterable

from dbnet_jax.messages import plural


class TooManyBadSamples(ValueError):
    """The share of unusable pictures passed the limit; the message names some of them."""


class BadSamples:
    """Collects what was wrong with the data; any thread may add to it.

    **Arguments:**

    - `total`: pictures in the data set.
    - `max_share`: `add` raises when more than this share of them, or of the pictures of one of many sets that were
        mixed, is unusable. Where many processes read the data, each counts what it met.
    """

    def __init__(self, total: int, max_share: float):
        self._total, self._max_share = total, max_share
        self._lock = threading.Lock()
        self._pictures: dict[str, str] = {}
        self._counts: dict[str, int] = {}  # of the sets that were mixed
        self._annotations: set[str] = set()
        self._lines: list[str] = []  # in the order of their finding
        self._reported = 0

    def add(self, name: str, reason: str, origin: tuple[str, int] | None = None) -> None:
        """A picture was skipped.

        **Arguments:**

        - `name`, `reason`: the picture's, and why.
        - `origin`: the label of the set that it is of and the number of pictures there; None is the whole.

        **Raises:** TooManyBadSamples past the limit.
        """
        label, total = origin or ("", self._total)
        with self._lock:
            if name not in self._pictures:
                self._counts[label] = self._counts.get(label, 0) + 1
                self._lines.append(f"  {reason}" if reason.startswith(name) else f"  {name}: {reason}")
            self._pictures[name] = reason
            count = self._counts[label]
        if count > self._max_share * total:
            of = f" of {label}" if label else ""
            raise TooManyBadSamples(
                f"{count} of {plural(total, 'picture')}{of} cannot be used, more than `config.data.max_bad_share` "
                f"(={self._max_share}) allows. Mend or remove them, or raise the limit:\n"
                + self.report(everything=True)
            )

    def add_problems(self, problems: Iterable[str]) -> None:
        """Something was left out or is doubtful, as in an annotation; the picture is used all the same."""
        with self._lock:
            new = [problem for problem in problems if problem not in self._annotations]
            self._annotations.update(new)
            self._lines += [f"  {problem}" for problem in new]

    def report(self, *, everything: bool = False) -> str:
        """Counts what was found and names what is new since the last report, or all of it; "" where nothing is."""
        with self._lock:
            lines = self._lines if everything else self._lines[self._reported :]
            self._reported = len(self._lines)
            skipped, problems = plural(len(self._pictures), "picture"), plural(len(self._annotations), "problem")
            head = f"{skipped} skipped, {problems} in the data:"
            return "\n".join([head, *lines]) if lines else ""
