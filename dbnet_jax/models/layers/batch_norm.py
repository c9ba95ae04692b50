"""Batch normalisation whose running statistics equal PyTorch's (Ioffe and Szegedy, arXiv 1502.03167)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class BatchNorm(nn.Module):
    """y = scale · (x − mean) / √(variance + epsilon) + bias, a channel at a time.

    In training by the mean and the (biased) variance of the batch, over all axes but the last; a batch that is sharded
    over a mesh counts whole. The running variance takes the unbiased one, n/(n − 1) of it, as PyTorch's does and
    flax's own does not: over the few hundred values of a small deep feature map the two differ by what a comparison
    with the official code shows. Parameters and statistics are named as flax names them, float32 whatever `dtype` is.

    Both moments come from one reading of x, of x minus the running mean: its square loses no digits to a mean far from
    zero once the running mean has come near it.

    **Arguments:**

    - `use_running_average`: normalise by the running statistics and leave them as they are.
    - `momentum`: what the running statistics keep of themselves at each batch: 1 − PyTorch's momentum.
    - `epsilon`: added to the variance.
    - `dtype`: of the result; the arithmetic is float32.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*pixels channels"]) -> Float[Array, "*pixels channels"]:
        channels = (x.shape[-1],)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        x = x.astype(jnp.float32)
        like_x = (1,) * (x.ndim - 1) + channels
        if self.use_running_average:
            mean, var = running_mean.value, running_var.value
        else:
            axes = tuple(range(x.ndim - 1))
            shift = lax.stop_gradient(running_mean.value)
            shifted = x - shift.reshape(like_x)
            from_shift = shifted.mean(axes)
            mean = shift + from_shift
            var = jnp.maximum(lax.square(shifted).mean(axes) - lax.square(from_shift), 0.0)
            if not self.is_initializing():
                count = x.size // x.shape[-1]
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
                running_var.value = self.momentum * running_var.value + (1 - self.momentum) * unbiased
        gain = (lax.rsqrt(var + self.epsilon) * scale).reshape(like_x)
        return ((x - mean.reshape(like_x)) * gain + bias.reshape(like_x)).astype(self.dtype)
