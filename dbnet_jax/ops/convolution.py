"""Convolutions and matrix products over pixels, and their gradients, in the form that each platform finds fastest."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from dbnet_jax.ops.replaceable import replaceable

Padding = tuple[tuple[int, int], tuple[int, int]]
SAME = ((1, 1), (1, 1))
# Pixels in a block of rows: they stay in a core's cache.
BLOCK = 2048
# With fewer pixels in all, XLA's own forms are as fast.
SMALL = 1024
# XLA:CPU's own choice is the faster one for a convolution with fewer channels out.
FEW = 16
# With as few rows, as those of a word's picture have, one more row costs more than it gains.
LOW = 16


def convolve(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows cols channels features"],
    strides: int,
    padding: Padding,
) -> Float[Array, "batch height_out width_out features"]:
    """A plain convolution (a correlation, as everywhere in this field) with zeros around the image.

    Accelerators get XLA's convolution and XLA's gradients. One CPU device gets the same sums in three faster forms
    (benchmarks/README.md has the times):

    - The convolution has stride 1 and more than 16 rows: it computes one more, and all cores share it (`_taller`).
    - The gradient of the input of a 3×3 convolution with stride 2 multiplies no zeros (`_phases`).
    - The gradient of the kernel is a sum over blocks of rows. XLA:CPU transposes whole feature maps for it.

    JAX chooses when it lowers the program: a program for several platforms contains all forms. The function has
    gradients (`jax.grad`, `jax.vjp`) and no forward-mode derivative (`jax.jvp`).

    **Arguments:**

    - `x`: of any height and width.
    - `kernel`: HWIO, of the type of `x`.
    - `strides`: in pixels, of rows and of columns.
    - `padding`: rows of zeros above and below, columns left and right.
    """
    return _convolve(x, kernel, strides, padding)


@replaceable
def pixel_product(
    x: Float[Array, "batch height *pixels channels"], matrix: Float[Array, "channels features"]
) -> Float[Array, "batch height *pixels features"]:
    """`x @ matrix`, a 1×1 convolution; the gradient of `matrix` as that of a kernel, see `convolve`."""
    return _pixel_product(x, matrix)


def _plain(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (strides, strides), padding, dimension_numbers=numbers)


def _taller(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """`_plain` with stride 1. It computes rows below the image until the output has more rows than the input.

    XLA:CPU (0.10) gives a convolution to YNNPACK, unless the output is larger than the input. YNNPACK shares pieces of
    512 columns among the cores: one core computes a narrower image alone. Eigen uses all cores.
    """
    (above, below), sides = padding
    rows = x.shape[1] + above + below - kernel.shape[0] + 1
    more = max(0, x.shape[1] + 1 - rows)
    return _plain(x, kernel, 1, ((above, below + more), sides))[:, :rows]


def _turned(kernel: jax.Array, padding: Padding) -> Padding:
    """The padding of the output's gradient, for the gradient of the input with stride 1."""
    (top, bottom), (left, right) = padding
    rows, cols = kernel.shape[0] - 1, kernel.shape[1] - 1
    return (rows - top, rows - bottom), (cols - left, cols - right)


def _plain_input_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    return jax.linear_transpose(lambda x: _plain(x, kernel, strides, padding), x)(g)[0]


def _cpu_input_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    if strides == 1:
        return _convolve(g, kernel[::-1, ::-1].swapaxes(2, 3), 1, _turned(kernel, padding))
    if strides == 2 and kernel.shape[:2] == (3, 3) and padding == SAME and not (x.shape[1] % 2 or x.shape[2] % 2):
        return _phases(g, kernel)
    return _plain_input_gradient(x, g, kernel, strides, padding)


def _phases(g: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient of the input of a 3×3 convolution with stride 2 and padding 1, whose sides are even.

    Along rows, the kernel is (a, b, c). Row 2i of the gradient is b · g[i], and row 2i+1 is c · g[i] + a · g[i+1]. So
    one convolution by 2×2 windows gives four pixels at once. XLA puts zeros between the pixels of `g` instead: it
    multiplies 36 times where this form multiplies 16 times.
    """
    for axis in (0, 2):
        a, b, c = jnp.split(kernel, 3, axis)
        kernel = jnp.stack([jnp.concatenate([b, jnp.zeros_like(b)], axis), jnp.concatenate([c, a], axis)], axis + 1)
    rows, _, cols, _, channels, features = kernel.shape
    windows = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(rows, cols, features, 4 * channels)
    return pixels_apart(_convolve(g, windows, 1, ((0, 1), (0, 1))))


def pixels_apart(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols features"]:
    """Twice the height and the width: the channels of a pixel are those of 2×2 pixels, row by row."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def _plain_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    return jax.linear_transpose(lambda kernel: _plain(x, kernel, strides, padding), kernel)(g)[0]


def _block_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    size = kernel.shape[:2]
    # The narrower one has its pixels copied, once for each pixel of the kernel.
    if strides == 1 and g.shape[-1] < x.shape[-1]:
        padded = jnp.pad(g, ((0, 0), *_turned(kernel, padding), (0, 0)))
        sums = _correlate(x, padded, size, 1)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    else:
        padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        sums = _correlate(g, padded, size, strides).transpose(1, 2, 3, 0)
    return sums.astype(kernel.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    plain = functools.partial(_plain, strides=strides, padding=padding)
    # An exported network has rows that are no numbers yet.
    low = isinstance(x.shape[1], int) and x.shape[1] <= LOW
    if strides > 1 or kernel.shape[-1] < FEW or low:
        return plain(x, kernel)
    return _by_platform(plain, functools.partial(_taller, padding=padding), x, kernel)


def _convolve_forward(
    x: jax.Array, kernel: jax.Array, strides: int, padding: Padding
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(x, kernel, strides, padding), (x, kernel)


def _convolve_backward(
    strides: int, padding: Padding, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    to_x, cpu_to_x, to_kernel, cpu_to_kernel = (
        functools.partial(form, strides=strides, padding=padding)
        for form in (_plain_input_gradient, _cpu_input_gradient, _plain_gradient, _block_gradient)
    )
    return _by_platform(to_x, cpu_to_x, x, g, kernel), _by_platform(to_kernel, cpu_to_kernel, x, g, kernel)


_convolve.defvjp(_convolve_forward, _convolve_backward)


@jax.custom_vjp
def _pixel_product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    return x @ matrix


def _product_forward(x: jax.Array, matrix: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ matrix, (x, matrix)


def _product_backward(saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, matrix = saved
    return g @ matrix.T, _by_platform(_plain_product_gradient, _block_product_gradient, x, g, matrix)


_pixel_product.defvjp(_product_forward, _product_backward)


def _plain_product_gradient(x: jax.Array, g: jax.Array, matrix: jax.Array) -> jax.Array:
    return jax.linear_transpose(lambda matrix: x @ matrix, matrix)(g)[0]


def _block_product_gradient(x: jax.Array, g: jax.Array, matrix: jax.Array) -> jax.Array:
    x, g = (a.reshape(*a.shape[:2], -1, a.shape[-1]) for a in (x, g))
    # The narrower one is transposed; nothing is copied here.
    if x.shape[-1] <= g.shape[-1]:
        return _correlate(x, g, (1, 1), 1)[:, 0, 0].astype(matrix.dtype)
    return _correlate(g, x, (1, 1), 1)[:, 0, 0].T.astype(matrix.dtype)


def _by_platform(
    plain: Callable[..., jax.Array], cpu: Callable[..., jax.Array], x: jax.Array, *arguments: Any
) -> jax.Array:
    # An exported program may have sides without a size; it gets all forms.
    small = all(isinstance(side, int) for side in x.shape) and x.size // x.shape[-1] < SMALL
    # The sum over a block would go around all devices, were there several.
    if small or jax.device_count() > 1:
        return plain(x, *arguments)
    return lax.platform_dependent(x, *arguments, cpu=cpu, default=plain)


def _correlate(fixed: jax.Array, moving: jax.Array, size: tuple[int, ...], strides: int) -> jax.Array:
    """Σ fixed[b, r, c, p] · moving[b, s·r + i, s·c + j, q] over b, r and c: float32 [p, i, j, q], s = `strides`.

    Each block of rows is a matrix product; its factors, small, are transposed and copied in the cache.
    """
    batch, rows, cols, _ = fixed.shape
    count = max(1, min(rows, BLOCK // (batch * cols)))

    def block(total: jax.Array, first: jax.Array | int, count: int) -> jax.Array:
        here = lax.dynamic_slice_in_dim(fixed, first, count, 1)
        there = lax.dynamic_slice_in_dim(moving, first * strides, (count - 1) * strides + size[0], 1)
        last = ((count - 1) * strides + 1, (cols - 1) * strides + 1)
        taps = [
            there[:, i : i + last[0] : strides, j : j + last[1] : strides].reshape(-1, there.shape[-1])
            for i, j in itertools.product(*map(range, size))
        ]
        factors = here.reshape(-1, here.shape[-1]).T, jnp.concatenate(taps, axis=-1)
        return total + jnp.dot(*factors, preferred_element_type=jnp.float32)

    total = jnp.zeros((fixed.shape[-1], size[0] * size[1] * moving.shape[-1]), jnp.float32)
    blocks, left = divmod(rows, count)
    total = lax.fori_loop(0, blocks, lambda n, total: block(total, n * count, count), total)
    if left:
        total = block(total, rows - left, left)
    return total.reshape(-1, *size, moving.shape[-1])
