"""What a finished run left for its detector: the config and the weights."""

import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from configs import common
from dbnet_jax.checkpoint import Checkpoints
from dbnet_jax.mesh import Variables
from dbnet_jax.network import model_from_config


def load_config(workdir: str | os.PathLike[str]) -> ConfigDict:
    """The config of the run in `workdir`; fields that are younger than the run have their defaults.

    **Raises:** FileNotFoundError when there is none.
    """
    path = pathlib.Path(workdir) / "config.json"
    if not path.is_file():
        hint = "; --mode=convert makes a run's folder of a PyTorch file" if pathlib.Path(workdir).is_file() else ""
        raise FileNotFoundError(f"`workdir` (={str(workdir)!r}) holds no run: {path} is missing{hint}")
    config = common.get_config()
    for name, section in json.loads(path.read_text()).items():
        if isinstance(section, dict) and name in config:
            config[name] = ConfigDict({**config[name], **_tuples(section)})
        else:
            config[name] = _tuples(section)
    return config


def _tuples(section: Any) -> Any:
    """JSON knows no tuples."""
    if isinstance(section, dict):
        return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    return section


def restore_variables(config: ConfigDict, workdir: str | os.PathLike[str]) -> Variables:
    """The variables of the run in `workdir` that `config.predict.checkpoint` names; see `Checkpoints`."""
    images = jnp.zeros((1, 64, 64, 3), jnp.float32)
    like = jax.eval_shape(lambda: model_from_config(config).init(jax.random.key(0), images))
    if not (pathlib.Path(workdir) / "checkpoints").is_dir():
        raise FileNotFoundError(f"`workdir` (={str(workdir)!r}) has no checkpoint yet: train first")
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_variables(like, config.predict.checkpoint)[0]
