"""What a new run starts from: `config.init`."""

import pathlib

import jax
import numpy as np
from absl import logging
from flax import linen as nn
from ml_collections import ConfigDict

from dbnet_jax.detector import load_config, restore_variables
from dbnet_jax.mesh import Variables
from dbnet_jax.pytorch.files import check_file
from dbnet_jax.torch_weights import describe, load_backbone_weights, load_torch_weights


def initial_variables(config: ConfigDict, model: nn.Module) -> Variables | None:
    """The variables that `config.init` names, read from their files.

    **Arguments:** `config`; `model`, which they must fit.

    **Returns:** all variables, those of the backbone, or None when nothing is named.

    **Raises:** FileNotFoundError when the named file or folder does not exist; ValueError when both fields are set or
    the weights do not fit; ImportError as `pytorch.files.read_state_dict`.
    """
    backbone, checkpoint = config.init.backbone, config.init.checkpoint
    if backbone and checkpoint:
        raise ValueError(
            f"`config.init.backbone` (={backbone!r}) and `config.init.checkpoint` (={checkpoint!r}) are both set: "
            "the checkpoint has a backbone already"
        )
    if backbone:
        return load_backbone_weights(check_file(backbone, "config.init.backbone"), model)
    if not checkpoint:
        return None
    if pathlib.Path(checkpoint).is_dir():
        normalization = load_config(checkpoint).data.normalization
        # On the host, like the others: who takes them decides on the devices.
        variables = jax.tree.map(np.asarray, restore_variables(config, checkpoint))
    else:
        normalization = describe(check_file(checkpoint, "config.init.checkpoint"))["normalization"]
        variables = load_torch_weights(checkpoint, model)
    if normalization != config.data.normalization:
        logging.warning(
            "the weights of `config.init.checkpoint` are used to `config.data.normalization` = %r, and get %r",
            normalization,
            config.data.normalization,
        )
    return variables
