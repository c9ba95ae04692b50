"""The network that a config describes, and its compiled evaluation."""

from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8
from ml_collections import ConfigDict

from dbnet_jax.images.normalization import normalize
from dbnet_jax.models import BACKBONES, create_model
from dbnet_jax.sharding import Variables, batch_sharded, replicated

MAPS = ("probability_map", "threshold_map", "binary_map")
_MAPS_OF = {"differentiable": MAPS, "standard": MAPS[:1]}


def model_from_config(config: ConfigDict) -> nn.Module:
    """The network that `config.model` describes. **Raises:** ValueError when it describes none."""
    options = dict(config.model)
    backbone, dtype = options.pop("backbone"), options.pop("dtype")
    if backbone not in BACKBONES:
        hint = "; deformable convolution is `config.model.dcn`" if backbone.startswith("deformable_") else ""
        raise ValueError(f"`config.model.backbone` (={backbone!r}) must be one of {BACKBONES}{hint}")
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if dtype not in dtypes:
        raise ValueError(f"`config.model.dtype` (={dtype!r}) must be one of {sorted(dtypes)}")
    adaptive = len(maps_of(config)) > 1
    options.pop("binarization")
    return create_model(backbone, **options, adaptive=adaptive, dtype=dtypes[dtype])


def maps_of(config: ConfigDict) -> tuple[str, ...]:
    """Which maps the network has."""
    binarization = config.model.binarization
    if binarization not in _MAPS_OF:
        raise ValueError(f"`config.model.binarization` (={binarization!r}) must be one of {tuple(_MAPS_OF)}")
    return _MAPS_OF[binarization]


def detection_map(config: ConfigDict) -> str:
    """The map that text is found in, by `config.predict.map`. **Raises:** ValueError when the network has it not."""
    name = f"{config.predict.map}_map"
    if name not in maps_of(config):
        raise ValueError("`config.predict.map` (='binary') needs `config.model.binarization` = 'differentiable'")
    return name


def make_eval_step(model: nn.Module, normalization: str, mesh: Mesh | None = None) -> Any:
    """Compiles `(variables, images, names) -> {name: map}` for uint8 images [batch, height, width, 3].

    Only what the named maps need is compiled: for the probability map alone no threshold head, once a shape. With a
    mesh the batch is sharded over it.
    """

    def step(
        variables: Variables, images: UInt8[Array, "batch height width 3"], names: tuple[str, ...]
    ) -> dict[str, Float[Array, "batch height width"]]:
        outputs = cast(Mapping[str, Array], model.apply(variables, normalize(images, normalization), train=False))
        return {name: outputs[name] for name in names}

    if mesh is None:
        return jax.jit(step, static_argnums=2)
    return jax.jit(step, static_argnums=2, in_shardings=(replicated(mesh), batch_sharded(mesh)))
