"""The smallest run that is a real one: shared by the tests that train."""

import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType

import jax
import numpy as np
from ml_collections import ConfigDict

from configs import quickstart
from dbnet_jax.config.saved import save_config
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.sharding import data_mesh
from dbnet_jax.training.checkpoint import Checkpoints
from dbnet_jax.training.state import create_state
from dbnet_jax.weights.file import save_weights
from dbnet_jax.weights.model_card import ModelCard
from tests.helpers.paths import ROOT

FIELDS = (
    "width=4,inner_channels=8,crop=(64,64),picture_size=(64,64),train_pictures=24,eval_pictures=4,train.batch_size=8,"
    "predict.batch_size=2,warmup=1,log_every=1,steps=6,checkpoint_every=2,evaluate_every=100,picture_every=100,"
    "page_pictures=2,optimizer=adamw"  # Muon, the quickstart's own, takes longer to compile
)


def config(extra: str = "") -> ConfigDict:
    """The tiny run's config, with `key=value` fields changed."""
    return quickstart.get_config(",".join(filter(None, (FIELDS, extra))))


def make_run(folder: pathlib.Path, extra: str = "", step: int = 0) -> pathlib.Path:
    """A run's folder with weights that are all one, in a checkpoint of `step`."""
    save_config(config(extra), folder)
    shapes = variable_shapes(model_from_config(config(extra)))
    with Checkpoints(folder) as checkpoints:
        checkpoints.save_variables(jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes), step)
    return folder


def save_zeros(file: pathlib.Path) -> pathlib.Path:
    """A file of weights that are zeros."""
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), variable_shapes(model_from_config(config())))
    save_weights(file, zeros, config(), ModelCard(name=file.stem))
    return file


def losses(workdir: pathlib.Path) -> list[dict[str, float]]:
    """The lines of a run's metrics that have a loss."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "loss" in line]


def start(
    workdir: pathlib.Path, *flags: str, extra: str = "", environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    """`python run.py` on the tiny config in a process of its own, on one CPU device."""
    fields = ",".join(filter(None, (FIELDS, extra)))
    command = [sys.executable, "run.py", f"--config=configs/quickstart.py:{fields}", f"--workdir={workdir}", *flags]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """What the process printed. Fails where it ends otherwise than with `code`."""
    output, _ = process.communicate(timeout=240)
    assert process.returncode == code, output
    return output


def weights(workdir: pathlib.Path, extra: str = "") -> list[np.ndarray]:
    """The variables of the latest checkpoint."""
    model = model_from_config(config(extra))
    like = jax.eval_shape(lambda: model.init(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32)))
    with Checkpoints(workdir) as checkpoints:
        variables, _ = checkpoints.restore_variables(like, "latest")
    return [np.asarray(leaf) for leaf in jax.tree.leaves(variables)]


def everything(workdir: pathlib.Path, extra: str = "") -> list[np.ndarray]:
    """All that the latest checkpoint holds: weights, statistics, their average, the optimiser's state, the step."""
    train = config(extra).train
    optimizer = make_optimizer(poly_schedule(1.0, 1), kind=train.optimizer, accumulate=train.accumulate)
    mesh = data_mesh(jax.devices()[:1])
    state = create_state(model_from_config(config(extra)), optimizer, 0, average=train.ema_decay > 0, mesh=mesh)
    with Checkpoints(workdir) as checkpoints:
        return [np.asarray(leaf) for leaf in jax.tree.leaves(checkpoints.restore(state))]


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
