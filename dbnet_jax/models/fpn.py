"""Feature pyramid: the four features become four levels at stride 4 (paper section 3; Lin et al., arXiv 1612.03144)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.layers import Conv, upsample


class FPN(nn.Module):
    """Lateral 1×1 convolutions, top-down sums, a 3×3 convolution a level.

    **Arguments:**

    - `inner_channels`: channels of the pyramid, 256 in the paper; a multiple of 4.
    - `dtype`: the computation's type.

    **Returns:** four levels [batch, height/4, width/4, inner_channels/4], the coarsest first, as the official decoder
    concatenates them.
    """

    inner_channels: int = 256
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: list[Float[Array, "batch _ _ _"]]) -> list[Float[Array, "batch height width level"]]:
        levels = []
        above = None
        for level in (5, 4, 3, 2):
            x = Conv(self.inner_channels, 1, dtype=self.dtype, name=f"in{level}")(features[level - 2])
            above = x if above is None else x + upsample(above, 2)
            out = Conv(self.inner_channels // 4, 3, dtype=self.dtype, name=f"out{level}")(above)
            levels.append(upsample(out, 2 ** (level - 2)))
        return levels
