"""Where a run stands and where its time goes."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from dbnet_jax.messages import duration


@runtime_checkable
class Stream(Protocol):
    """What of a text stream is needed here."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Progress:
    """One line rewritten in place on a terminal; a plain line now and then where there is none.

    **Arguments:**

    - `total_steps`: the step at which the run ends.
    - `first_step`: the step it starts from, above 0 when it is resumed.
    - `stream`: where to write; standard error unless given.
    - `every`: without a terminal, the steps between two lines; a hundredth of the run, 500 at most, unless
      given.
    - `clock`: seconds, rising.
    """

    def __init__(
        self,
        total_steps: int,
        first_step: int = 0,
        stream: Stream | None = None,
        *,
        every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"`every` (={every}) must be at least 1")
        self._total = total_steps
        self._stream = sys.stderr if stream is None else stream
        self._every = every or min(max(1, total_steps // 100), 500)
        self._clock = clock
        self._rewrites = self._stream.isatty()
        self._bar = _bar_characters(self._stream)
        self._line = ""
        self._printed: int | None = None
        # Set at the first update, not here: the first step compiles, and would spoil the time left for long.
        self._start: tuple[int, float] | None = None
        self._show(first_step, "starting")

    def update(self, step: int, loss: float, images_per_second: float) -> None:
        """Shows that `step` steps are done, and how the last of them went."""
        now = self._clock()
        if self._start is None:
            self._start = (step, now)
        left = duration(self._seconds_left(step, now))
        facts = f"loss {loss:.4f}  {images_per_second:.1f} images/s  {left} left"
        due = self._printed is None or step >= self._total or step - self._printed >= self._every
        if self._rewrites or due:
            self._printed = step
            self._show(step, facts)

    def message(self, text: str) -> None:
        """Prints a whole line; on a terminal it pushes the progress line down instead of tearing it."""
        line = self._line
        self._rewrite("")
        self._write(f"{text}\n")
        self._rewrite(line)

    def close(self) -> None:
        """Leaves the progress line standing and ends it; may be called twice."""
        if self._line:
            self._line = ""
            self._write("\n")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _show(self, step: int, facts: str) -> None:
        if self._rewrites:
            self._rewrite(self._fit(step, facts))
        else:
            self._write(f"step {step}/{self._total} ({self._share(step):.0%})  {facts}\n")

    def _share(self, step: int) -> float:
        return min(max(step / self._total, 0.0), 1.0) if self._total > 0 else 1.0

    def _seconds_left(self, step: int, now: float) -> float:
        """At the pace since the first update, evaluations included; NaN until there is one."""
        start_step, start_time = self._start or (step, now)
        if step <= start_step:
            return 0.0 if step >= self._total else math.nan
        return max(0, self._total - step) * (now - start_time) / (step - start_step)

    def _fit(self, step: int, facts: str) -> str:
        """The line for this terminal: the bar takes the room that is left, and goes where there is none."""
        # The last column stays free: some terminals wrap as soon as it is written.
        columns = max(0, _columns(self._stream) - 1)
        counter = f"{step}/{self._total}"
        room = min(columns - len(counter) - len(facts) - 4, 40)
        if room < 6:
            return f"{counter}  {facts}"[:columns]
        full, empty = self._bar
        done = int(self._share(step) * room)
        return f"{counter}  {full * done}{empty * (room - done)}  {facts}"

    def _rewrite(self, line: str) -> None:
        if line or self._line:
            # Blanks over the rest of a longer line: no escape codes, so it works on any terminal.
            self._write("\r" + line.ljust(len(self._line)) + ("" if line else "\r"))
        self._line = line

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class StageTimer:
    """Adds up the wall-clock seconds that a loop spends in each of its stages.

        with timer.stage("data"):
            batch = next(batches)

    A stage inside another counts in both. JAX runs ahead of the host: a stage that starts device work and
    does not wait for it shows the time of starting it, and the stage that waits shows the work.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time inside the block, also when it raises."""
        start = self._clock()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + self._clock() - start

    def take(self) -> dict[str, float]:
        """The seconds by stage since the last call, in the order that the stages were first entered."""
        seconds, self._seconds = self._seconds, {}
        return seconds


def _columns(stream: Stream) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # type: ignore[attr-defined]
    except (
        AttributeError,
        OSError,
        ValueError,
    ):  # a stream without a descriptor, or a terminal that does not tell
        return 80


def _bar_characters(stream: Stream) -> tuple[str, str]:
    try:
        "━╌".encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "#", "-"
    return "━", "╌"
