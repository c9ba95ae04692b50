"""Depthwise convolution, in the fastest form for each platform."""

import functools
import itertools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Dtype
from dbnet_jax.models.layers.initialization import he_normal


def depthwise_conv(
    x: Float[Array, "batch height width channels"], kernel: Float[Array, "size size 1 channels"], strides: int = 1
) -> Float[Array, "batch rows cols channels"]:
    """Each channel convolved with a filter of its own.

    y[b, r, c, ·] = Σᵢⱼ x[b, s·r + i − p, s·c + j − p, ·] · kernel[i, j, 0, ·], with s = `strides`, zeros outside the
    image, and p = (size − 1) / 2 of them on every side, as PyTorch's models pad.

    GPUs and TPUs have a grouped convolution for it. XLA:CPU's is 10 to 50 times slower than the same sum of shifted
    multiplies, forward and backward (benchmarks/README.md). The choice falls when the program is lowered, so a
    program exported for several platforms holds both. In bfloat16 the CPU sums in float32 and rounds once, as the
    others' hardware does. It has gradients (`jax.grad`, `jax.vjp`) and no forward-mode derivative (`jax.jvp`).

    **Arguments:**

    - `x`: of any height and width.
    - `kernel`: HWIO with one channel in; `size` is odd.
    - `strides`: in pixels, of rows and columns; at most `size`.

    **Returns:** ⌈height / strides⌉ × ⌈width / strides⌉ pixels.

    **Raises:** ValueError when the kernel's size is even or the strides do not fit it.
    """
    if kernel.shape[0] % 2 == 0:
        raise ValueError(f"`kernel` (={kernel.shape}) must have an odd size")
    if not 1 <= strides <= kernel.shape[0]:
        raise ValueError(f"`strides` (={strides}) must be from 1 to the kernel's size (={kernel.shape[0]})")
    return _depthwise_conv(x, kernel, strides)


class DepthwiseConv(nn.Module):
    """`depthwise_conv` with its parameter, `kernel` [kernel_size, kernel_size, 1, channels].

    **Arguments:**

    - `kernel_size`, `strides`: in pixels; `kernel_size` is odd.
    - `dtype`: the computation's type; the parameters are float32.
    """

    kernel_size: int = 3
    strides: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols channels"]:
        channels = x.shape[-1]
        kernel = self.param("kernel", he_normal, (self.kernel_size, self.kernel_size, 1, channels), jnp.float32)
        return depthwise_conv(x.astype(self.dtype), kernel.astype(self.dtype), self.strides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise_conv(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    shifted, grouped = (functools.partial(form, strides=strides) for form in (_shifted_sum, _grouped_conv))
    return lax.platform_dependent(x, kernel, cpu=shifted, default=grouped)


def _forward(x: jax.Array, kernel: jax.Array, strides: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _depthwise_conv(x, kernel, strides), (x, kernel)


def _backward(strides: int, saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    shifted, grouped = (functools.partial(form, strides=strides) for form in (_shifted_gradients, _grouped_gradients))
    return lax.platform_dependent(*saved, g, cpu=shifted, default=grouped)


_depthwise_conv.defvjp(_forward, _backward)


def _grouped_conv(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    pad = (kernel.shape[0] - 1) // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def _grouped_gradients(x: jax.Array, kernel: jax.Array, g: jax.Array, strides: int) -> tuple[jax.Array, jax.Array]:
    return jax.vjp(functools.partial(_grouped_conv, strides=strides), x, kernel)[1](g)


def _shifted_sum(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    return _weighted_sum(_taps(_pad_for(x, kernel), kernel.shape[:2], strides), kernel).astype(x.dtype)


def _shifted_gradients(x: jax.Array, kernel: jax.Array, g: jax.Array, strides: int) -> tuple[jax.Array, jax.Array]:
    return _input_gradient(x, kernel, g, strides), _kernel_gradient(x, kernel, g, strides)


def _input_gradient(x: jax.Array, kernel: jax.Array, g: jax.Array, strides: int) -> jax.Array:
    """Shifted sums again, one for each phase of the strides, put together like the squares of a chessboard.

    Output row a sees input row r through the kernel's row i where a·s + i = r + p. With r = s·q + phase, these are the
    rows i = first + s·n, and a = q + last − n.
    """
    (batch, height, width, channels), (rows, cols) = x.shape, g.shape[1:3]
    pad = (kernel.shape[0] - 1) // 2
    phases = []
    for phase in itertools.product(range(strides), repeat=2):
        last, first = zip(*(divmod(offset + pad, strides) for offset in phase), strict=True)
        part = kernel[first[0] :: strides, first[1] :: strides][::-1, ::-1]
        size = part.shape[:2]
        padding = [(count - 1 - end, end, 0) for count, end in zip(size, last, strict=True)]
        phases.append(_weighted_sum(_taps(_pad(g, *padding), size, 1), part))
    together = jnp.stack(phases).reshape(strides, strides, batch, rows, cols, channels)
    together = together.transpose(2, 3, 0, 4, 1, 5).reshape(batch, rows * strides, cols * strides, channels)
    return together[:, :height, :width].astype(x.dtype)


def _kernel_gradient(x: jax.Array, kernel: jax.Array, g: jax.Array, strides: int) -> jax.Array:
    """All size² sums over the images in one pass; the derivative that JAX finds makes size² passes."""
    g = _sum_type(g)
    products = [tap * g for tap in _taps(_pad_for(x, kernel), kernel.shape[:2], strides)]
    zeros = [jnp.zeros((), g.dtype)] * len(products)
    # Row by row, so that all cores work and a row stays in the cache; then the rest in one sum, which is also all
    # that goes between the devices of a mesh.
    sums = jnp.stack(lax.reduce(products, zeros, _add_each, (2,)))
    return jnp.sum(sums, (1, 2)).reshape(kernel.shape).astype(kernel.dtype)


def _add_each(a: Sequence[jax.Array], b: Sequence[jax.Array]) -> list[jax.Array]:
    return [p + q for p, q in zip(a, b, strict=True)]


def _taps(padded: jax.Array, size: tuple[int, ...], strides: int) -> list[jax.Array]:
    """For each pixel of a kernel of `size`, row by row, the pixels of `padded` that it meets."""
    batch, height, width, channels = padded.shape
    (above, left), step = size, (1, strides, strides, 1)
    rows, cols = (height - above) // strides * strides + 1, (width - left) // strides * strides + 1
    return [
        _sum_type(lax.slice(padded, (0, i, j, 0), (batch, i + rows, j + cols, channels), step))
        for i, j in itertools.product(range(above), range(left))
    ]


def _weighted_sum(taps: list[jax.Array], kernel: jax.Array) -> jax.Array:
    weights = _sum_type(kernel).reshape(len(taps), 1, 1, 1, kernel.shape[-1])
    return functools.reduce(jnp.add, (tap * weight for tap, weight in zip(taps, weights, strict=True)))


def _pad_for(x: jax.Array, kernel: jax.Array) -> jax.Array:
    pad = (kernel.shape[0] - 1) // 2
    return _pad(x, (pad, pad, 0), (pad, pad, 0))


def _pad(x: jax.Array, rows: tuple[int, int, int], cols: tuple[int, int, int]) -> jax.Array:
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), rows, cols, (0, 0, 0)))


def _sum_type(x: jax.Array) -> jax.Array:
    """The CPU's arithmetic in bfloat16 is float32's, rounded after each step: it gains nothing to round each."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
