"""What training, checkpoints, evaluation and weights files know of a task.

Detection is the first task. A task is added by a class in `dbnet_jax/tasks/` and by a line in `TASKS`.
"""

import abc
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from dbnet_jax.messages import Problem
from dbnet_jax.models.variables import IMAGE, Variables, variable_shapes
from dbnet_jax.typing import Image

Batch = dict[str, Array]
Metrics = dict[str, Float[Array, ""]]
Loss = Callable[[Variables, Batch], tuple[Float[Array, ""], tuple[Metrics, Variables]]]
"""From variables and a batch to the loss, and to its parts and the updated collections beside `params`."""
Prepare = Callable[[Batch, Any], Batch]
"""From a batch and the arrays that stay on the device to the batch that the loss takes; part of the compiled step."""

TASKS = {
    "detection": "dbnet_jax.tasks.detection:Detection",
    "recognition": "dbnet_jax.tasks.recognition:Recognition",
}
"""The class of each task by the name in `config.task`; it is imported on demand."""


@runtime_checkable
class Predictor(Protocol):
    """The network with its weights, as an evaluator uses it; it compiles once."""

    def with_variables(self, variables: Variables) -> "Predictor":
        """The same predictor with other weights."""


@runtime_checkable
class Evaluation(Protocol):
    """The result of an evaluation.

    - `metrics`: numbers by their names; the task's `metric` is one of them.
    - `count`: the number of evaluated samples; `seconds`: of the evaluation.
    - `lost`: the samples that were not evaluated, and doubts about the annotations.
    """

    @property
    def metrics(self) -> Mapping[str, float]: ...

    @property
    def count(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def lost(self) -> Sequence[Problem]: ...


@runtime_checkable
class Evaluator(Protocol):
    """Evaluates a predictor on a data set."""

    def run(self, predictor: Any, between: Callable[[], None] = ...) -> Any:
        """Returns an `Evaluation`; calls `between` after each sample, which may raise to end it."""


class Task(abc.ABC):
    """A kind of training: its data, model, loss and evaluation.

    - `name`: the value of `config.task`.
    - `metric`: the number of an evaluation by which the best checkpoint is chosen; larger is better.
    - `metrics`: the numbers of an evaluation that a model card shows.
    """

    name: str
    metric: str
    metrics: tuple[str, ...]

    @abc.abstractmethod
    def default_config(self) -> ConfigDict:
        """Every field with its default; unlocked. All tasks have the sections of detection.

        The fields of `init`, `data` and `train` are common. The other sections are the task's own; `predict` has the
        field `checkpoint`.
        """

    @abc.abstractmethod
    def check(self, config: ConfigDict) -> None:
        """**Raises:** ValueError for a config that cannot train; it contains the field and its value."""

    @abc.abstractmethod
    def check_predict(self, config: ConfigDict) -> None:
        """**Raises:** ValueError for a config that cannot predict."""

    @abc.abstractmethod
    def open(self, config: ConfigDict, purpose: str) -> Any:
        """The data set to "train" on, or for "eval".

        It has `len`, `[index]`, `problems` and `pass_length`, the number of samples in one pass.
        """

    @abc.abstractmethod
    def batches(
        self, config: ConfigDict, dataset: Any, bad_samples: Any, first_step: int
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """This process's share of each training batch from `first_step` on, and the names of its samples.

        A batch is a function of the seed, the step and the process alone, so that a resumed run sees the same batches.
        """

    @abc.abstractmethod
    def model(self, config: ConfigDict) -> nn.Module:
        """The network. **Raises:** ValueError when `config.model` describes none."""

    @abc.abstractmethod
    def loss(self, config: ConfigDict, model: nn.Module) -> Loss:
        """The loss of a batch."""

    @abc.abstractmethod
    def predictor(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None) -> Any:
        """A `Predictor` whose batches are shared over the devices of `mesh`."""

    @abc.abstractmethod
    def evaluator(self, config: ConfigDict, dataset: Any, **options: Any) -> Evaluator:
        """The evaluator of a data set."""

    @abc.abstractmethod
    def picture(self, predictor: Any, dataset: Any) -> Image:
        """A sample of `dataset` and its prediction, for TensorBoard."""

    @abc.abstractmethod
    def report(self, workdir: str | os.PathLike[str], evaluation: Any, predictor: Any, dataset: Any) -> dict[str, Any]:
        """Writes `<workdir>/evaluation.json` and a page; returns the content of the file.

        Its keys are the `metrics`, "protocol", "images" (the number of samples) and "measured_with" with "data",
        "split" and "predict", the section of the config.
        """

    def complete(self, config: ConfigDict) -> ConfigDict:
        """The config with what other files say of the network, so that a run and its weights need no other file."""
        return config

    def example(self, config: ConfigDict) -> jax.ShapeDtypeStruct:
        """The shape of an input that `model.init` takes."""
        return IMAGE

    def shapes(self, config: ConfigDict) -> Variables:
        """The variables of the network as shapes. **Raises:** ValueError when `config.model` describes no network."""
        try:
            return variable_shapes(self.model(config), self.example(config))
        except OverflowError as error:
            raise ValueError(f"a number of `config.model` is too large ({error})") from error

    def prepare(self, config: ConfigDict) -> Prepare | None:
        """Makes the batch of the loss on the device; None where the host makes it."""
        return None

    def resident(self, config: ConfigDict, dataset: Any, mesh: Mesh) -> Any:
        """Arrays that stay on the device for `prepare`; None where there are none."""
        return None

    def facts(self, config: ConfigDict, size: str) -> list[str]:
        """Lines about the network for its model card; `size` says how large it is."""
        return [f"Network: {dict(config.model)}; {size}"]


def get_task(name: str) -> Task:
    """The task of this name. **Raises:** ValueError when it is unknown."""
    if name not in TASKS:
        raise ValueError(f"`config.task` (={name!r}) must be one of {tuple(TASKS)}")
    module, _, kind = TASKS[name].partition(":")
    task: Task = getattr(importlib.import_module(module), kind)()
    return task


def task_of(config: ConfigDict) -> Task:
    """The task of a config."""
    return get_task(config.task)
