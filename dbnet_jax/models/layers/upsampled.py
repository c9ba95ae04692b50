"""3×3 convolutions of upsampled images, computed without upsampling."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Dtype, upsample
from dbnet_jax.models.layers.initialization import he_normal
from dbnet_jax.ops.convolution import convolve, pixels_apart

# Features from coarse to fine, each of twice the height and width of the one before it.
Levels = list[Float[Array, "batch _ _ _"]]


class LevelsConv(nn.Module):
    """A 3×3 `Conv` of all levels, upsampled to the size of the finest and concatenated in their order.

    Neither is done. A convolution of several images together is the sum of their convolutions: of the finest level by
    its part of the kernel, and of the coarse ones, brought to half of its size, by `convolve_doubled` with the rest.

    **Arguments:**

    - `features`: channels out.
    - `use_bias`: adds a bias a channel.
    - `dtype`: the computation's type; the parameters, a `Conv`'s, are float32.
    """

    features: int
    use_bias: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, levels: Levels) -> Float[Array, "batch height width features"]:
        *coarse, finest = [level.astype(self.dtype) for level in levels]
        split = sum(level.shape[-1] for level in coarse)
        kernel = self.param("kernel", he_normal, (3, 3, split + finest.shape[-1], self.features), jnp.float32)
        y = convolve(finest, kernel[:, :, split:].astype(self.dtype), 1, ((1, 1), (1, 1)))
        if coarse:
            halves = [upsample(level, 2 ** (len(coarse) - 1 - n)) for n, level in enumerate(coarse)]
            y += convolve_doubled(jnp.concatenate(halves, axis=-1), kernel[:, :, :split])
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y += bias.astype(self.dtype)[None, None, None]
        return y


def convolve_doubled(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "3 3 channels features"]
) -> Float[Array, "batch 2*height 2*width features"]:
    """The 3×3 convolution of `upsample(x, 2)` with zeros around it: the same sums by 4 multiplications instead of 9.

    Along rows, the kernel (a, b, c) meets at output 2i the inputs i−1, i, i and at output 2i+1 the inputs i, i, i+1. So
    the two outputs 2i+1 and 2i+2 between the inputs i and i+1 are theirs by (a+b, c) and (a, b+c): one convolution by
    2×2 windows, with four outputs each. The sums are made in the type of `kernel`, the rest in that of `x`.
    """
    for axis in (0, 2):
        a, b, c = jnp.split(kernel, 3, axis)
        kernel = jnp.stack([jnp.concatenate([a + b, c], axis), jnp.concatenate([a, b + c], axis)], axis + 1)
    rows, _, cols, _, channels, _ = kernel.shape
    windows = kernel.transpose(0, 2, 4, 1, 3, 5).reshape(rows, cols, channels, -1).astype(x.dtype)
    y = pixels_apart(convolve(x, windows, 1, ((1, 1), (1, 1))))
    # The windows over the border have outputs outside of it.
    return y[:, 1:-1, 1:-1]
