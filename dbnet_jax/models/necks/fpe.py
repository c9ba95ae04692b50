"""Feature pyramid enhancement: a light neck of separable convolutions (Wang et al., PAN, arXiv 1908.05900)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Conv, ModuleDef, upsample
from dbnet_jax.models.layers.depthwise import DepthwiseConv
from dbnet_jax.models.layers.upsampled import Levels

Features = Float[Array, "batch _ _ _"]


class FPE(nn.Module):
    """Features with few channels, fused from the top down and then from the bottom up, `repeats` times.

    The result is the sum over all repeats.

    **Arguments:**

    - `inner_channels`: four times the channels of a level; a multiple of 4. PAN has 512.
    - `norm`: makes a normalisation.
    - `repeats`: the number of passes down and up.
    - `dtype`: the computation's type.

    **Returns:** four levels of `inner_channels` / 4 channels at strides 32, 16, 8 and 4, as `FPN`.
    """

    inner_channels: int
    norm: ModuleDef
    repeats: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: list[Features]) -> Levels:
        channels = self.inner_channels // 4
        pyramid = []
        for level, x in zip((2, 3, 4, 5), features, strict=True):
            x = Conv(channels, 1, dtype=self.dtype, name=f"in{level}")(x)
            pyramid.append(nn.relu(self.norm(name=f"in{level}_bn")(x)))
        total = [jnp.zeros_like(x) for x in pyramid]
        for index in range(self.repeats):
            pyramid = Enhancement(self.norm, self.dtype, name=f"enhancement{index}")(pyramid)
            total = [a + b for a, b in zip(total, pyramid, strict=True)]
        return total[::-1]


class Enhancement(nn.Module):
    """One pass from the top down and one from the bottom up. **Returns:** features of the same shapes."""

    norm: ModuleDef
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pyramid: list[Features]) -> list[Features]:
        down = list(pyramid)
        for i in (2, 1, 0):
            down[i] = self._separable(down[i] + upsample(down[i + 1], 2), 1, f"down{i + 2}")
        up = list(down)
        for i in (1, 2, 3):
            up[i] = self._separable(up[i - 1] + upsample(down[i], 2), 2, f"up{i + 2}")
        return up

    def _separable(self, x: Features, strides: int, name: str) -> Features:
        x = DepthwiseConv(3, strides, dtype=self.dtype, name=f"{name}_depthwise")(x)
        x = Conv(x.shape[-1], 1, dtype=self.dtype, name=f"{name}_pointwise")(x)
        return nn.relu(self.norm(name=f"{name}_bn")(x))
