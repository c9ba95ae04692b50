"""The compiled network for detection, and the map in which text is found."""

from collections.abc import Mapping
from typing import Any, cast

import jax
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8
from ml_collections import ConfigDict

from dbnet_jax.images.normalization import normalize
from dbnet_jax.models.from_config import map_names
from dbnet_jax.models.variables import Variables
from dbnet_jax.sharding import batch_sharded, replicated


def detection_map(config: ConfigDict) -> str:
    """The name of the map in `config.predict.map`. **Raises:** ValueError if the network has no such map."""
    name = f"{config.predict.map}_map"
    if name not in map_names(config):
        raise ValueError("`config.predict.map` (='binary') needs `config.model.binarization` = 'differentiable'")
    return name


def make_eval_step(model: nn.Module, normalization: str, mesh: Mesh | None = None) -> Any:
    """Compiles `(variables, images, names) -> {name: map}` for uint8 images [batch, height, width, 3].

    Each shape is compiled once, and only the layers that the named maps need. The probability map alone needs no
    threshold head. With a mesh, the batch is sharded over it.
    """

    def step(
        variables: Variables, images: UInt8[Array, "batch height width 3"], names: tuple[str, ...]
    ) -> dict[str, Float[Array, "batch height width"]]:
        outputs = cast(Mapping[str, Array], model.apply(variables, normalize(images, normalization), train=False))
        return {name: outputs[name] for name in names}

    if mesh is None:
        return jax.jit(step, static_argnums=2)
    return jax.jit(step, static_argnums=2, in_shardings=(replicated(mesh), batch_sharded(mesh)))
