"""The network in a config."""

import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from dbnet_jax.messages import check_choice
from dbnet_jax.models import BACKBONES, create_model

MAPS = ("probability_map", "threshold_map", "binary_map")
_MAPS_OF = {"differentiable": MAPS, "standard": MAPS[:1]}


def model_from_config(config: ConfigDict) -> nn.Module:
    """The network in `config.model`. **Raises:** ValueError if its fields describe no network."""
    options = dict(config.model)
    backbone, dtype = options.pop("backbone"), options.pop("dtype")
    if backbone not in BACKBONES:
        hint = "; deformable convolution is `config.model.dcn`" if backbone.startswith("deformable_") else ""
        raise ValueError(f"`config.model.backbone` (={backbone!r}) must be one of {tuple(BACKBONES)}{hint}")
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    check_choice("config.model.dtype", dtype, dtypes)
    adaptive = len(map_names(config)) > 1
    options.pop("binarization")
    return create_model(backbone, **options, adaptive=adaptive, dtype=dtypes[dtype])


def map_names(config: ConfigDict) -> tuple[str, ...]:
    """The names of the network's maps."""
    binarization = config.model.binarization
    check_choice("config.model.binarization", binarization, _MAPS_OF)
    return _MAPS_OF[binarization]
