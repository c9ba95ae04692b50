"""Convolutions and matrix products over pixels. The gradient of their weights has a fast form for each platform."""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Padding = tuple[tuple[int, int], tuple[int, int]]
# Of weights: made of the input, the gradient of the output, and the weights.
Gradient = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
# Pixels in a block of rows: what stays in a core's cache. With fewer in all, XLA's own gradient is as fast.
BLOCK = 1024


def convolve(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows cols channels features"],
    strides: int,
    padding: Padding,
) -> Float[Array, "batch height_out width_out features"]:
    """A plain convolution (a correlation, as everywhere in this field) with zeros around the image.

    It is XLA's on every platform. The gradient of its kernel is a sum over pixels, for which XLA:CPU transposes whole
    feature maps; on one CPU device it is made of blocks of rows instead, in half of the time (benchmarks/README.md).
    The choice falls when the program is lowered, so one exported for several platforms holds both. It has gradients
    (`jax.grad`, `jax.vjp`) and no forward-mode derivative (`jax.jvp`).

    **Arguments:**

    - `x`: of any height and width.
    - `kernel`: HWIO, of the type of `x`.
    - `strides`: in pixels, of rows and of columns.
    - `padding`: rows of zeros above and below, columns left and right.
    """
    return _convolve(x, kernel, strides, padding)


def pixel_product(
    x: Float[Array, "batch height *pixels channels"], matrix: Float[Array, "channels features"]
) -> Float[Array, "batch height *pixels features"]:
    """`x @ matrix`, a 1×1 convolution; the gradient of `matrix` as that of a kernel, see `convolve`."""
    return _pixel_product(x, matrix)


def _plain(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (strides, strides), padding, dimension_numbers=numbers)


def _plain_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    return jax.linear_transpose(lambda kernel: _plain(x, kernel, strides, padding), kernel)(g)[0]


def _block_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    size = kernel.shape[:2]
    # The narrower one has its pixels copied, once for each pixel of the kernel.
    if strides == 1 and g.shape[-1] < x.shape[-1]:
        turned = [(n - 1 - before, n - 1 - after) for n, (before, after) in zip(size, padding, strict=True)]
        sums = _correlate(x, jnp.pad(g, ((0, 0), *turned, (0, 0))), size, 1)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    else:
        padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        sums = _correlate(g, padded, size, strides).transpose(1, 2, 3, 0)
    return sums.astype(kernel.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: jax.Array, kernel: jax.Array, strides: int, padding: Padding) -> jax.Array:
    return _plain(x, kernel, strides, padding)


def _convolve_forward(
    x: jax.Array, kernel: jax.Array, strides: int, padding: Padding
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _plain(x, kernel, strides, padding), (x, kernel)


def _convolve_backward(
    strides: int, padding: Padding, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    to_x = jax.linear_transpose(lambda x: _plain(x, kernel, strides, padding), x)(g)[0]
    plain, blocks = (
        functools.partial(form, strides=strides, padding=padding) for form in (_plain_gradient, _block_gradient)
    )
    return to_x, _by_platform(plain, blocks, x, g, kernel)


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


def _by_platform(plain: Gradient, blocks: Gradient, x: jax.Array, g: jax.Array, weights: jax.Array) -> jax.Array:
    # On several devices each block's sum would go around all of them.
    if g.size // g.shape[-1] < BLOCK or jax.device_count() > 1:
        return plain(x, g, weights)
    return lax.platform_dependent(x, g, weights, cpu=blocks, default=plain)


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
