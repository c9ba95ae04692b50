"""Reads the config and the weights of a run folder or a weights file."""

import contextlib
import json
import os
from typing import NamedTuple

from ml_collections import ConfigDict

from dbnet_jax.config.saved import read_config_json
from dbnet_jax.files import check_files
from dbnet_jax.models.variables import Variables
from dbnet_jax.paths import as_path
from dbnet_jax.training.checkpoint import Checkpoints, has_checkpoint
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.file import SUFFIX, is_weights_file, load_header, load_variables


class Restored(NamedTuple):
    """The variables of a checkpoint, and its step. `damaged`: whether one that comes before it was damaged."""

    variables: Variables
    step: int
    damaged: bool


def check_workdir(workdir: str | os.PathLike[str]) -> None:
    """Refuses a folder that is no run's and in which a new run would overwrite files.

    **Raises:** FileExistsError, with their names; OSError when a file cannot be read.
    """
    file = as_path(workdir) / "config.json"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        read_config_json(file)
        # Other programs have a config.json too, and fields that are missing get their defaults.
        if {"model", "train"} <= json.loads(file.read_bytes()).keys():
            return
    if not has_checkpoint(workdir):
        check_files(workdir, {"run": [file.name, "metrics.jsonl", "evaluation.json"]}, "workdir")


def load_config(workdir_or_file: str | os.PathLike[str], argument: str = "workdir") -> ConfigDict:
    """The config of a run or a weights file. Fields that are newer than the config have their defaults.

    **Arguments:** `workdir_or_file`; `argument`: its name in messages.

    **Raises:** FileNotFoundError if there is no config; ValueError if it cannot be read.
    """
    path = as_path(workdir_or_file)
    if path.is_file() and path.suffix != SUFFIX and not is_weights_file(path):
        raise ValueError(
            f"`{argument}` (={str(path)!r}) is no .safetensors file that --mode=export wrote; of a PyTorch file "
            "--mode=convert makes a run's folder"
        )
    if _is_file(path):
        try:
            return load_header(path)[0]
        except (FileNotFoundError, ValueError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(str(error).replace("`path`", f"`{argument}`", 1)) from error
    file = path / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"`{argument}` (={str(path)!r}) holds no run: {file} is missing")
    return read_config_json(file)


def restore_variables(config: ConfigDict, workdir_or_file: str | os.PathLike[str]) -> Variables:
    """The variables of a run's checkpoint `config.predict.checkpoint` (see `Checkpoints`), or of a weights file.

    **Raises:** for a run as `restore_checkpoint`, for a file as `load_variables`.
    """
    if _is_file(workdir_or_file):
        return load_variables(workdir_or_file, config)
    return restore_checkpoint(config, workdir_or_file).variables


def restore_checkpoint(config: ConfigDict, workdir: str | os.PathLike[str]) -> Restored:
    """The variables of the checkpoint `config.predict.checkpoint` in `workdir`; where it is damaged, of the next one.

    **Raises:** FileNotFoundError if there is no checkpoint; ValueError if its network is not that of `config.model`, or
    all checkpoints are damaged.
    """
    task = task_of(config)
    like = task.shapes(config)
    if not (as_path(workdir) / "checkpoints").is_dir():
        raise FileNotFoundError(f"`workdir` (={str(workdir)!r}) has no checkpoint yet: train first")
    with Checkpoints(workdir, metric=task.metric) as checkpoints:
        variables, step = checkpoints.restore_variables(like, config.predict.checkpoint)
    return Restored(variables, step, bool(checkpoints.damaged))


def with_data_of(saved: ConfigDict, given: ConfigDict) -> ConfigDict:
    """The config that scores one config's detector on another one's data.

    The detector's are `model`, `predict` and the normalisation of the pixels; all else is the data's, and with it
    whether its labels follow the EXIF orientation. A recogniser is scored on a detector's data likewise, and the other
    way round: then the task and `evaluate` are those of the weights too.
    """
    config = given.copy_and_resolve_references()
    with config.unlocked():
        config.model, config.predict = ConfigDict(saved.model), ConfigDict(saved.predict)
        config.predict.follow_exif = given.predict.follow_exif
        config.data.normalization = saved.data.normalization
        if saved.task != given.task:
            config.task, config.evaluate = saved.task, ConfigDict(saved.evaluate)
    return config


def _is_file(workdir_or_file: str | os.PathLike[str]) -> bool:
    """Whether it is a file, or has the suffix of one. A run's folder may have this suffix too."""
    path = as_path(workdir_or_file)
    return path.is_file() or (path.suffix == SUFFIX and not path.is_dir())
