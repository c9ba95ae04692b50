"""Feature pyramid: the four features become four levels (paper section 3; Lin et al., arXiv 1612.03144)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Conv, Kernel, upsample
from dbnet_jax.models.layers.upsampled import Levels, convolve_doubled
from dbnet_jax.ops.convolution import convolve


class FPN(nn.Module):
    """Lateral 1×1 convolutions, top-down sums, and a 3×3 convolution for each level.

    The finest level costs more than the other levels together. Because all of it is linear, it is computed as a sum of
    two parts. The lateral and the 3×3 convolution of c2 become one convolution with the product of both kernels. The
    3×3 convolution of the upsampled level above is `convolve_doubled`. So no array of `inner_channels` exists at stride
    4.

    **Arguments:**

    - `inner_channels`: channels of the pyramid, 256 in the paper; a multiple of 4.
    - `dtype`: the computation's type.

    **Returns:** four levels of `inner_channels` / 4 channels at strides 32, 16, 8 and 4, in the order of the
    official decoder.
    """

    inner_channels: int = 256
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: list[Float[Array, "batch _ _ _"]]) -> Levels:
        inner, outer = self.inner_channels, self.inner_channels // 4
        c2, c3, c4, c5 = features
        above = Conv(inner, 1, dtype=self.dtype, name="in5")(c5)
        levels = [Conv(outer, 3, dtype=self.dtype, name="out5")(above)]
        for level, feature in ((4, c4), (3, c3)):
            above = Conv(inner, 1, dtype=self.dtype, name=f"in{level}")(feature) + upsample(above, 2)
            levels.append(Conv(outer, 3, dtype=self.dtype, name=f"out{level}")(above))
        lateral = Kernel(1, c2.shape[-1], inner, name="in2")()
        smooth = Kernel(3, inner, outer, name="out2")()
        both = jnp.einsum("ci,klio->klco", lateral[0, 0], smooth).astype(self.dtype)
        y = convolve(c2.astype(self.dtype), both, 1, ((1, 1), (1, 1)))
        return [*levels, y + convolve_doubled(above, smooth)]
