"""Where a run stands and where its time goes."""

import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from dbnet_jax.messages import duration

_FORMAT = "{n}/{total}  {bar}  {desc}"


class Progress:
    """A bar on a terminal; elsewhere a plain line now and then. A context manager.

    **Arguments:**

    - `total_steps`: the step at which the run ends.
    - `first_step`: the step at which the run starts, above 0 when it is resumed.
    - `stream`: standard error unless given.
    - `every`: steps between two plain lines; a hundredth of the run, 500 at most, unless given.
    - `clock`: seconds, rising.

    **Raises:** ValueError when `every` is below 1.
    """

    def __init__(
        self,
        total_steps: int,
        first_step: int = 0,
        stream: io.TextIOBase | None = None,
        *,
        every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"`every` (={every}) must be at least 1")
        self._total, self._clock = total_steps, clock
        self._stream: TextIO | io.TextIOBase = sys.stderr if stream is None else stream
        self._every = every or min(max(1, total_steps // 100), 500)
        self._printed: int | None = None
        # Set at the first update: the first step compiles, and would spoil the time left for long.
        self._start: tuple[int, float] | None = None
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            desc="starting",
            file=self._stream,
            disable=not self._stream.isatty(),
            bar_format=_FORMAT,
            dynamic_ncols=True,
        )
        if self._bar.disable:
            self._line(first_step, "starting")

    def update(self, step: int, loss: float, images_per_second: float) -> None:
        """Shows that `step` steps are done, and the loss and the speed of the last of them."""
        facts = f"loss {loss:.4f}  {images_per_second:.1f} images/s"
        left = self._seconds_left(step)
        if not self._bar.disable:
            self._bar.n = step
            self._bar.set_description_str(f"{facts}  {duration(left)} left")
        elif self._printed is None or step >= self._total or step - self._printed >= self._every:
            self._printed = step
            self._line(step, f"{facts}  {duration(left)} left")

    def message(self, text: str) -> None:
        """Prints a line; on a terminal it stands above the bar."""
        tqdm.write(text, file=self._stream)
        self._stream.flush()

    def close(self) -> None:
        """Leaves the bar standing and ends its line; may be called twice."""
        self._bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _line(self, step: int, facts: str) -> None:
        share = min(step / self._total, 1.0) if self._total > 0 else 1.0
        self.message(f"step {step}/{self._total} ({share:.0%})  {facts}")

    def _seconds_left(self, step: int) -> float:
        """At the pace since the first update, evaluations included; NaN until there is one."""
        now = self._clock()
        start_step, start = self._start = self._start or (step, now)
        if step <= start_step:
            return 0.0 if step >= self._total else math.nan
        return max(0, self._total - step) * (now - start) / (step - start_step)


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
