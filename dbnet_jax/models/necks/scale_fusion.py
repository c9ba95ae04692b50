"""Adaptive scale fusion of DBNet++ (Liao et al., arXiv 2202.10304, section 3.3)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Conv, ModuleDef, upsample
from dbnet_jax.models.layers.upsampled import Levels, LevelsConv

ATTENTIONS = ("scale_channel_spatial", "scale_spatial", "scale_channel")
Features = Float[Array, "batch height width channels"]


class ScaleFusion(nn.Module):
    """Multiplies each level of the pyramid by a weight at each pixel, then concatenates the levels.

    x is a 3×3 convolution of the upsampled, concatenated levels. An attention computes one weight for each level:

    - "scale_spatial": x + s, where s is a small convolution of the mean of x over its channels. A 1×1 convolution and a
        sigmoid make the weights of each pixel.
    - "scale_channel_spatial": first adds to x a gate for each channel, from the mean over the pixels. Then it does the
        same. The released DBNet++ models use it.
    - "scale_channel": two fully connected layers and a softmax on the mean over the pixels. The weights are the same at
        all pixels.

    **Arguments:**

    - `attention`: one of the three.
    - `channels`: channels of x; in the official code those of one level.
    - `norm`: makes a normalisation.
    - `dtype`: the computation's type.

    **Returns:** the weighted levels, concatenated in their order.
    """

    attention: str
    channels: int
    norm: ModuleDef
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, levels: Levels) -> Float[Array, "batch height width fused"]:
        x = LevelsConv(self.channels, use_bias=True, dtype=self.dtype, name="conv")(levels)
        if self.attention == "scale_channel":
            weights = self._of_scales(x, len(levels))
        else:
            weights = self._of_pixels(x, len(levels))
        upsampled = [upsample(level, 2**scale) for scale, level in zip((3, 2, 1, 0), levels, strict=True)]
        weighted = [weights[..., i : i + 1] * level for i, level in enumerate(upsampled)]
        return jnp.concatenate(weighted, axis=-1)

    def _of_pixels(self, x: Features, levels: int) -> Float[Array, "batch height width levels"]:
        if self.attention == "scale_channel_spatial":
            gate = nn.relu(self._conv(self.channels // 4, 1, "channel_down")(x.mean((1, 2), keepdims=True)))
            x = x + jax.nn.sigmoid(self._conv(self.channels, 1, "channel_up")(gate))
        spatial = nn.relu(self._conv(1, 3, "spatial_conv1")(x.mean(-1, keepdims=True)))
        x = x + jax.nn.sigmoid(self._conv(1, 1, "spatial_conv2")(spatial))
        return jax.nn.sigmoid(self._conv(levels, 1, "attention")(x))

    def _of_scales(self, x: Features, levels: int) -> Float[Array, "batch 1 1 levels"]:
        hidden = self._conv(self.channels // 2, 1, "fc1")(x.mean((1, 2), keepdims=True))
        hidden = nn.relu(self.norm(name="bn")(hidden))
        return jax.nn.softmax(self._conv(levels, 1, "fc2")(hidden), axis=-1)

    def _conv(self, features: int, size: int, name: str) -> Conv:
        return Conv(features, size, dtype=self.dtype, name=name)
