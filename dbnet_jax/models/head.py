"""The head: from pyramid features to the logits of one full-size map (paper section 3.1)."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Dtype, ModuleDef
from dbnet_jax.models.layers.initialization import he_normal
from dbnet_jax.models.layers.upsampled import Levels, LevelsConv
from dbnet_jax.ops.convolution import pixel_product


class Head(nn.Module):
    """3×3 convolution, then two transposed 2×2 convolutions of stride 2: four times the size, one channel.

    The windows of a 2×2 transposed convolution with stride 2 do not overlap. So each input pixel alone decides its 2×2
    outputs: a matrix product to 4 · features channels. Normalisation and ReLU do not depend on the place of a pixel. So
    the pixels are put in their places once, at the end, when one channel is left.

    **Arguments:**

    - `channels`: between the convolutions; a quarter of the pyramid's.
    - `norm`: makes a normalisation.
    - `dtype`: the computation's type.

    **Returns:** float32 logits.
    """

    channels: int
    norm: ModuleDef
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, levels: Levels) -> Float[Array, "batch rows cols"]:
        batch, height, width, _ = levels[-1].shape
        x = LevelsConv(self.channels, dtype=self.dtype, name="conv")(levels)
        x = nn.relu(self.norm(name="bn1")(x))
        x = PixelPatches(self.channels, dtype=self.dtype, name="up1")(x)
        x = nn.relu(self.norm(name="bn2")(x))
        x = PixelPatches(1, dtype=self.dtype, name="up2")(x)
        # [batch, height, width, (2 2) of the first, (2 2) of the second] → rows and columns
        x = x.reshape(batch, height, width, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4, 6)
        return x.reshape(batch, 4 * height, 4 * width).astype(jnp.float32)


class PixelPatches(nn.Module):
    """A 2×2 transposed convolution with stride 2 and bias, its four output pixels left on an axis of their own."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*pixels channels"]) -> Float[Array, "*pixels 4 features"]:
        channels = x.shape[-1]
        # Every output pixel is a sum over the channels of one input pixel.
        initial = partial(he_normal, fan_in=channels)
        kernel = self.param("kernel", initial, (2, 2, channels, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        matrix = kernel.transpose(2, 0, 1, 3).reshape(channels, 4 * self.features)
        y = pixel_product(x.astype(self.dtype), matrix.astype(self.dtype))
        y = y.reshape(*x.shape[:-1], 4, self.features)
        return y + jnp.broadcast_to(bias.astype(self.dtype), y.shape)
