"""From the features of a backbone to the maps: neck, scale fusion, heads and binarisation (paper figure 3)."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.binarization import differentiable_binarization
from dbnet_jax.models.head import Head
from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.layers.conv import ModuleDef
from dbnet_jax.models.necks.fpe import FPE
from dbnet_jax.models.necks.fpn import FPN
from dbnet_jax.models.necks.scale_fusion import ScaleFusion
from dbnet_jax.ops.replaceable import replaceable

NECKS = ("fpn", "fpe")
Features = list[Float[Array, "batch _ _ _"]]
Outputs = dict[str, Float[Array, "batch height width"]]


class Decoder(nn.Module):
    """The network without its backbone.

    **Arguments:**

    - `neck`: "fpn", the paper's feature pyramid, or "fpe", a lighter one of separable convolutions.
    - `inner_channels`: channels of the pyramid; 256 in the paper; a multiple of 4.
    - `scale_fusion`: weighs the levels of the pyramid, as DBNet++ does.
    - `attention`: computes the weights, see `ScaleFusion`.
    - `attention_channels`: channels of the attention; None is `inner_channels` / 4, as in the official code.
    - `adaptive`: computes a threshold map and the differentiable binarisation.
    - `serial`: the probability map is an additional input of the threshold head.
    - `k`: the steepness of the binarisation.
    - `dtype`: the type of the computation. Parameters, batch statistics and the maps are always float32.
    """

    neck: str = "fpn"
    inner_channels: int = 256
    scale_fusion: bool = False
    attention: str = "scale_channel_spatial"
    attention_channels: int | None = None
    adaptive: bool = True
    serial: bool = False
    k: float = 50.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> Outputs:
        """The maps of features at strides 4, 8, 16 and 32; see `DBNet`."""
        return self.decode(features, self.norm(train))

    def norm(self, train: bool) -> ModuleDef:
        """The maker of normalisations."""
        return partial(BatchNorm, use_running_average=not train, dtype=self.dtype)

    def decode(self, features: Features, norm: ModuleDef) -> Outputs:
        """Computes the maps; called inside a compact method."""
        if self.neck == "fpn":
            levels = FPN(self.inner_channels, dtype=self.dtype, name="neck")(features)
        else:
            levels = FPE(self.inner_channels, norm, dtype=self.dtype, name="neck")(features)
        if self.scale_fusion:
            channels = self.attention_channels or self.inner_channels // 4
            levels = [ScaleFusion(self.attention, channels, norm, dtype=self.dtype, name="scale_fusion")(levels)]
        head = partial(Head, self.inner_channels // 4, norm=norm, dtype=self.dtype)
        probability_logits = head(name="probability_head")(levels)
        probability_map = jax.nn.sigmoid(probability_logits)
        outputs = {"probability_map": probability_map, "probability_logits": probability_logits}
        if not self.adaptive:
            return outputs
        if self.serial:
            seen = every_fourth(probability_map).astype(self.dtype)
            levels = [*levels[:-1], jnp.concatenate([levels[-1], seen], axis=-1)]
        threshold_map = jax.nn.sigmoid(head(name="threshold_head")(levels))
        return outputs | {
            "threshold_map": threshold_map,
            "binary_map": differentiable_binarization(probability_map, threshold_map, self.k),
            "binary_logits": self.k * (probability_map - threshold_map),
        }


@replaceable
def every_fourth(x: Float[Array, "batch height width"]) -> Float[Array, "batch rows cols 1"]:
    """Every fourth pixel of every fourth row, as one channel."""
    return x[:, ::4, ::4, None]
