"""Everything that a training run says while it runs: progress line, metrics.jsonl, TensorBoard, stage timing."""

import collections
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.messages import duration, first_lines
from dbnet_jax.training.metrics import MetricsLog
from dbnet_jax.training.progress import Progress, StageTimer
from dbnet_jax.training.step_cost import StepCost
from dbnet_jax.training.task import Evaluation, Metrics


class NonFiniteLoss(FloatingPointError):
    """The loss or its gradient is no number any more; the message names the step and its pictures."""


class FiniteCheck:
    """Looks at a step's metrics when the next step is on its way, so that the accelerator never waits for the host.

    What is saved or evaluated must be looked at first: `now`.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, Metrics, list[str]] | None = None

    def later(self, step: int, metrics: Metrics, names: list[str]) -> None:
        """Takes a step's metrics that may still be on their way, and looks at those of the step before."""
        self.now()
        self._pending = (step, metrics, names)

    def now(self) -> dict[str, float]:
        """The last metrics, waited for. **Raises:** NonFiniteLoss."""
        if self._pending is None:
            return {}
        step, metrics, names = self._pending
        values = {key: float(value) for key, value in jax.device_get(metrics).items()}
        # A finite loss may have a gradient that is not, and the next step's weights would be gone.
        if not all(np.isfinite(value) for value in values.values()):
            raise NonFiniteLoss(
                f"step {step}: {values}. The last checkpoint is from before it. Lower `config.train.learning_rate` "
                f"or add `config.train.warmup`, or look at this batch's pictures: {', '.join(names)}"
            )
        return values


class TrainLog:
    """The voice of a run; silent on every process but the first. A context manager.

    **Arguments:**

    - `workdir`: takes `metrics.jsonl` and `tensorboard/`.
    - `first_step`, `total_steps`: of this run, in batches.
    - `batch_size`: pictures a step, over all processes.
    - `every`: steps between two lines.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        first_step: int,
        total_steps: int,
        batch_size: int,
        *,
        every: int,
    ):
        self._batch_size, self._every, self._total = batch_size, every, total_steps
        self._timer = StageTimer()
        self._steps = 0
        self._seconds: collections.Counter[str] = collections.Counter()
        self._stack = contextlib.ExitStack()
        main = jax.process_index() == 0
        stream = None if main else io.StringIO()
        self._metrics = self._stack.enter_context(MetricsLog(workdir, enabled=main, resume_step=first_step))
        self._progress = self._stack.enter_context(Progress(total_steps, first_step, stream, every=every))

    def __enter__(self) -> "TrainLog":
        return self

    def __exit__(self, *error: object) -> None:
        self._seconds.update(self._timer.take())
        self.message("time: " + ", ".join(f"{name} {duration(value)}" for name, value in self._seconds.items()))
        self._stack.close()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time of a stage, and marks it in a profile: "data" is waiting for data, "step" the device."""
        with jax.profiler.TraceAnnotation(name), self._timer.stage(name):
            yield

    def step(
        self, step: int, check: FiniteCheck, learning_rate: Callable[[int], Any], cost: StepCost | None = None
    ) -> None:
        """Speaks every `every` steps and at the end; `learning_rate` gives the rate of a step, `cost` what it costs."""
        self._steps += 1
        if step % max(1, self._every) and step != self._total:
            return
        with self.stage("step"):
            metrics = check.now()
        seconds = self._timer.take()
        self._seconds.update(seconds)
        busy = seconds.get("data", 0.0) + seconds.get("step", 0.0)
        rate = self._steps * self._batch_size / max(busy, 1e-9)
        self._steps = 0
        stages = {f"seconds/{name}": value for name, value in seconds.items()}
        rates = {"learning_rate": float(learning_rate(step - 1)), "images_per_second": rate}
        share = None if cost is None else cost.utilization(rate / self._batch_size)
        if share is not None:
            rates["share_of_peak"] = share
        self._metrics.scalars(step, {**metrics, **rates, **stages})
        self._progress.update(step, metrics["loss"], rate)

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Logs the numbers of an evaluation and prints them, and lists the samples that it could not read."""
        self._metrics.scalars(step, {f"evaluation/{key}": value for key, value in evaluation.metrics.items()})
        self.flush()
        words = "  ".join(f"{key} {value:.4f}" for key, value in evaluation.metrics.items())
        self.message(f"step {step}: {words}  ({evaluation.count} pictures in {evaluation.seconds:.0f} s)")
        for line in first_lines(evaluation.lost, "in evaluation.json at the end"):
            self.message(f"  {line}")

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Shows a picture in TensorBoard."""
        self._metrics.picture(step, name, image)

    def flush(self) -> None:
        """Writes out what is pending: a resumed run needs all lines up to its checkpoint."""
        self._metrics.flush()

    def message(self, text: str) -> None:
        """Prints a line; nothing for an empty text."""
        if text:
            self._progress.message(text)
