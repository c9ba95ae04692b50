"""The initial weights of a run: `config.init`."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import logging
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from dbnet_jax.config.saved import changed_fields
from dbnet_jax.messages import plural
from dbnet_jax.models.variables import Shapes, Variables, differences, is_narrower, listed, shapes_of, variable_shapes
from dbnet_jax.paths import as_path
from dbnet_jax.torch_weights import load_backbone_weights, load_torch_weights
from dbnet_jax.torch_weights.convert import describe
from dbnet_jax.torch_weights.files import read_state_dict
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.file import is_weights_file
from dbnet_jax.weights.run_folder import load_config, restore_variables
from dbnet_jax.weights.shipped import pretrained_names, pretrained_path
from dbnet_jax.weights.widening import widened


def initial_variables(config: ConfigDict, model: nn.Module) -> Variables | None:
    """Reads the weights in `config.init`.

    **Arguments:** `config`; `model`: the weights must fit it.

    **Returns:** all variables, or those of the backbone, or None if `config.init` is empty.

    **Raises:** FileNotFoundError if the file or folder does not exist; ValueError if both fields are set or the weights
    do not fit or cannot be widened; ImportError as `torch_weights.files.read_state_dict`.
    """
    backbone, checkpoint = map(os.path.expanduser, (config.init.backbone, config.init.checkpoint))
    if backbone and checkpoint:
        raise ValueError(
            f"`config.init.backbone` (={backbone!r}) and `config.init.checkpoint` (={checkpoint!r}) are both set: "
            "the checkpoint has a backbone already"
        )
    source = _own_weights(checkpoint) if checkpoint else None
    if config.init.widen and not source:
        raise ValueError(
            f"`config.init.widen` (=True) needs a `config.init.checkpoint` (={checkpoint!r}) of this package: a "
            "workdir, a file of --mode=export or the name of shipped weights"
        )
    if backbone and config.task != "detection":
        raise ValueError(
            f"`config.init.backbone` (={backbone!r}) is for detectors: `config.init.checkpoint` takes a CRNN"
        )
    if backbone:
        state_dict = read_state_dict(backbone, "config.init.backbone")
        variables = load_backbone_weights(state_dict, model)
        _warn_of_mismatch(config, describe(state_dict))
    elif source:
        saved, wanted = load_config(source), shapes_of(variable_shapes(model, task_of(config).example(config)))
        if saved.task != config.task:
            raise ValueError(
                f"`config.init.checkpoint` (={checkpoint!r}) is for {saved.task}, and the run for {config.task}"
            )
        # On the host: the caller chooses the devices.
        variables = _without_surplus(jax.tree.map(np.asarray, restore_variables(saved, source)), wanted)
        if config.init.widen:
            variables = widened(variables, model, config.seed)
        _check_fit(variables, wanted, checkpoint, changed_fields(saved, config))
        _warn_of_mismatch(config, {**saved.model, "normalization": saved.data.normalization})
    elif checkpoint:
        state_dict = read_state_dict(checkpoint, "config.init.checkpoint")
        variables = load_torch_weights(state_dict, model)
        if config.task == "detection":
            _warn_of_mismatch(config, describe(state_dict))
    else:
        return None
    return variables


def _own_weights(checkpoint: str) -> pathlib.Path | None:
    """The path of a workdir, a weights file or shipped weights; None if `checkpoint` is none of them."""
    path = as_path(checkpoint)
    if path.is_dir() or is_weights_file(path):
        return path
    return pretrained_path(checkpoint) if not path.exists() and checkpoint in pretrained_names() else None


def _without_surplus(variables: Variables, wanted: Shapes) -> Variables:
    """The variables, without the threshold head if the model has none."""
    leaves = flatten_dict(variables, sep="/").items()
    kept = {path: leaf for path, leaf in leaves if path in wanted or path.split("/")[1] != "threshold_head"}
    return dict(unflatten_dict(kept, sep="/"))


def _check_fit(variables: Variables, wanted: Shapes, checkpoint: str, fields: Mapping[str, Any]) -> None:
    found = shapes_of(variables)
    if wrong := differences(found, wanted):
        its_own = " ".join(f"--config.{field}={value}" for field, value in fields.items() if field.startswith("model."))
        widen = (
            "; `config.init.widen` = True starts from weights of fewer channels" if is_narrower(found, wanted) else ""
        )
        raise ValueError(
            f"`config.init.checkpoint` (={checkpoint!r}) is of another architecture than `config.model` describes. "
            f"Its own is {its_own}{widen}. {plural(len(wrong), 'array differs', 'arrays differ')}:{listed(wrong, 5)}"
        )


def _warn_of_mismatch(config: ConfigDict, found: dict[str, Any]) -> None:
    """Warns of settings that differ from the weights' training and that no shape shows."""
    pairs = [("data.normalization", found["normalization"], config.data.normalization)]
    if found.get("dcn") and config.model.dcn:
        pairs.append(("model.dcn_offsets", found["dcn_offsets"], config.model.dcn_offsets))
    for field, habit, value in pairs:
        if habit != value:
            text = "the weights of `config.init` are used to `config.%s` = %r, not %r: set it, or they must learn anew"
            logging.warning(text, field, habit, value)
