"""A task that knows nothing of text: a line through points.

As a program, it trains a run in the folder it is given, also as one of many processes by the flags of `run.py`.
TOY_SECONDS makes each of its steps last longer.
"""

import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from dbnet_jax.config.defaults import default_config
from dbnet_jax.messages import Problem
from dbnet_jax.training.task import TASKS, Batch, Loss, Task
from dbnet_jax.typing import Image

NAME = "toy"
TASKS[NAME] = "tests.helpers.toy_task:Line"


class Points:
    """Points (x, y) of the line y = 2x − 1."""

    problems: tuple[Problem, ...] = ()
    pass_length = 32

    def __len__(self) -> int:
        return 32

    def __getitem__(self, index: int) -> tuple[float, float]:
        x = np.random.default_rng(index).uniform(-1, 1)
        return x, 2 * x - 1


class Model(nn.Module):
    """One layer; `images` are numbers here."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch 1"], train: bool = False) -> Float[Array, "batch 1"]:
        return nn.Dense(1)(x)


class Predictor(NamedTuple):
    """The line."""

    variables: Any

    def with_variables(self, variables: Any) -> "Predictor":
        return Predictor(variables)


class Result(NamedTuple):
    """An evaluation."""

    metrics: dict[str, float]
    count: int
    seconds: float = 0.0
    lost: tuple[Problem, ...] = ()


class Evaluator(NamedTuple):
    """How near the line comes to the points: 1 is on them."""

    dataset: Points

    def run(self, predictor: Any, between: Any = lambda: None) -> Result:
        points = np.array([self.dataset[index] for index in range(8)], np.float32)
        between()
        error = np.abs(Model().apply(predictor.variables, points[:, :1]) - points[:, 1:]).mean()
        return Result({"nearness": float(1 / (1 + error))}, len(points))


class Line(Task):
    """See the module."""

    name, metric, metrics = NAME, "nearness", ("nearness",)

    def default_config(self) -> ConfigDict:
        config = default_config()
        config.task = NAME
        config.model = ConfigDict({"slope": 2.0})
        return config

    def check(self, config: ConfigDict) -> None:
        if config.model.slope == 0:
            raise ValueError("`config.model.slope` (=0) must not be 0")

    def check_predict(self, config: ConfigDict) -> None:
        pass

    def open(self, config: ConfigDict, purpose: str) -> Points:
        return Points()

    def batches(
        self, config: ConfigDict, dataset: Any, bad_samples: Any, first_step: int
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        for step in range(first_step, sys.maxsize):
            chosen = np.random.default_rng((config.seed, step)).integers(0, len(dataset), config.train.batch_size)
            points = np.array([dataset[int(index)] for index in chosen], np.float32)
            time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
            yield {"x": points[:, :1], "y": points[:, 1:]}, [str(index) for index in chosen]

    def model(self, config: ConfigDict) -> Model:
        return Model()

    def example(self, config: ConfigDict) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, 1), jnp.float32)

    def loss(self, config: ConfigDict, model: nn.Module) -> Loss:
        def loss(variables: Any, batch: Batch) -> Any:
            error = jnp.mean((model.apply(variables, batch["x"]) - batch["y"]) ** 2)
            return error, ({"squared": error}, {})

        return loss

    def predictor(self, config: ConfigDict, variables: Any, mesh: Any = None) -> Predictor:
        return Predictor(variables)

    def evaluator(self, config: ConfigDict, dataset: Any, **options: Any) -> Evaluator:
        return Evaluator(dataset)

    def picture(self, predictor: Any, dataset: Any) -> Image:
        return np.zeros((8, 8, 3), np.uint8)

    def report(self, workdir: Any, evaluation: Any, predictor: Any, dataset: Any) -> dict[str, Any]:
        workdir = pathlib.Path(workdir)
        found = {**evaluation.metrics, "protocol": "distance", "images": evaluation.count}
        predict = json.loads((workdir / "config.json").read_text())["predict"]
        found["measured_with"] = {"data": NAME, "split": "all", "predict": predict}
        (workdir / "evaluation.json").write_text(json.dumps(found))
        return found


def config() -> ConfigDict:
    """Twenty-four steps, a checkpoint at every second one."""
    made = Line().default_config()
    made.data.name = NAME
    fields = {"steps": 24, "batch_size": 8, "learning_rate": 0.5, "optimizer": "adamw", "log_every": 1}
    made.train.update(fields | {"checkpoint_every": 2, "evaluate_every": 12, "picture_every": 4})
    return made


if __name__ == "__main__":
    from dbnet_jax.commands import hosts, main, options
    from dbnet_jax.train import train_and_evaluate

    def dispatch(given: options.Options) -> None:
        hosts.join(given)
        train_and_evaluate(config(), sys.argv[1])

    main.dispatch = dispatch
    main.run(["train", *sys.argv[2:]], pathlib.Path())
