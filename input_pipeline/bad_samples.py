"""What could not be used: skipped, counted, named, and too much of it stops the run."""

import threading
from collections.abc import Iterable


class TooManyBadSamples(RuntimeError):
    """The share of unusable pictures passed the limit; the message names some of them."""


class BadSamples:
    """Collects what was wrong with the data; any thread may add to it.

    **Arguments:**

    - `total`: pictures in the data set.
    - `max_share`: `add` raises when more than this share of them is unusable.
    """

    def __init__(self, total: int, max_share: float):
        self._total, self._max_share = total, max_share
        self._lock = threading.Lock()
        self._pictures: dict[str, str] = {}
        self._annotations: dict[str, None] = {}
        self._reported = 0

    def add(self, name: str, reason: str) -> None:
        """A picture was skipped. **Raises:** TooManyBadSamples past the limit."""
        with self._lock:
            self._pictures[name] = reason
            count = len(self._pictures)
        if count > self._max_share * self._total:
            raise TooManyBadSamples(
                f"{count} of {self._total} pictures cannot be used, more than `config.data.max_bad_share` "
                f"(={self._max_share}) allows. Mend or remove them, or raise the limit:\n"
                + self.report(everything=True)
            )

    def add_problems(self, problems: Iterable[str]) -> None:
        """Something in an annotation was left out or doubtful; the picture is used all the same."""
        with self._lock:
            self._annotations.update(dict.fromkeys(problems))

    def report(self, *, everything: bool = False, most: int = 20) -> str:
        """Names what was found since the last report, or all of it; "" when there is nothing new."""
        with self._lock:
            found = len(self._pictures) + len(self._annotations)
            if not found or (found == self._reported and not everything):
                return ""
            self._reported = found
            lines = [f"  {name}: {reason}" for name, reason in self._pictures.items()]
            lines += [f"  {problem}" for problem in self._annotations]
            head = f"{len(self._pictures)} pictures skipped, {len(self._annotations)} problems in annotations:"
        more = [f"  … and {len(lines) - most} more"] if len(lines) > most else []
        return "\n".join([head, *lines[:most], *more])
