"""Bilinear sampling at points that depend on the data, and its gradients."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

Rows = Float[Array, "batch _ channels"]
Points = Float[Array, "batch points 2"]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def sample(pixels: Rows, size: tuple[int, int], points: Points) -> Float[Array, "batch points channels"]:
    """The bilinear values of pictures at points.

    The channel vectors of the four pixels around a point are gathered whole, which is what accelerators do well.
    Outside of the picture every pixel is zero.

    **Arguments:**

    - `pixels`: pictures, row by row.
    - `size`: (height, width) of each; their product is the number of rows of `pixels`.
    - `points`: (y, x) in pixels; float32, for bfloat16 cannot name a pixel beyond 256.

    **Returns:** a vector a point. Differentiable once, in reverse mode, by `pixels` and `points`. At a point on a pixel
    the derivative by the point is the one towards the next pixel; at −1 or the height (or width) and beyond it is zero.
    """
    values = jnp.zeros(points.shape[:2] + pixels.shape[2:], pixels.dtype)
    for corner in _corners(size, points):
        values += corner.weight[..., None] * _rows(pixels, corner.position)
    return values


def _forward(pixels: Rows, size: tuple[int, int], points: Points) -> tuple[Rows, tuple[Rows, Points]]:
    return sample(pixels, size, points), (pixels, points)


def _backward(size: tuple[int, int], saved: tuple[Rows, Points], g: Rows) -> tuple[Rows, Points]:
    """The gradients of the pixels and the points, a corner at a time: what JAX derives instead holds all four."""
    pixels, points = saved

    def add_corner(gradients: tuple[Rows, Points], corner: Corner) -> tuple[tuple[Rows, Points], None]:
        to_pixels, to_points = gradients
        scatter = jax.vmap(lambda rows, i, share: rows.at[i].add(share, mode="promise_in_bounds"))
        to_pixels = scatter(to_pixels, corner.position, corner.weight[..., None] * g)
        dot = (_rows(pixels, corner.position) * g).sum(-1, keepdims=True)
        return (to_pixels, to_points + corner.slope * dot), None

    corners = jax.tree.map(lambda *arrays: jnp.stack(arrays), *_corners(size, points))
    gradients, _ = lax.scan(add_corner, (jnp.zeros_like(pixels), jnp.zeros_like(points)), corners)
    return gradients


sample.defvjp(_forward, _backward)


class Corner(NamedTuple):
    """One of the four pixels around each point: its row, its weight, and the derivative of that by (y, x)."""

    position: Int[Array, "*corners batch points"]
    weight: Float[Array, "*corners batch points"]
    slope: Float[Array, "*corners batch points 2"]


def _corners(size: tuple[int, int], points: Points) -> list[Corner]:
    height, width = size
    # What lies farther out reads zeros in any case; this bound keeps the index arithmetic below in int32.
    points = jnp.clip(points, -2.0, jnp.array([height + 1.0, width + 1.0])[None, None, :])
    nearest = jnp.floor(points)
    y0, x0 = nearest[..., 0].astype(jnp.int32), nearest[..., 1].astype(jnp.int32)
    fraction = points - nearest
    inside = jnp.all(points > -1, axis=-1)
    # A point that is no number reads none; it must not pass for one that lies outside.
    unknown = jnp.isnan(points).any(axis=-1)
    corners = []
    for down in (0, 1):
        for right in (0, 1):
            y, x = y0 + down, x0 + right
            real = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            along_y = fraction[..., 0] if down else 1 - fraction[..., 0]
            along_x = fraction[..., 1] if right else 1 - fraction[..., 1]
            slope = jnp.stack([along_x if down else -along_x, along_y if right else -along_y], axis=-1)
            index = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
            weight = jnp.where(unknown, jnp.nan, along_y * along_x * real)
            corners.append(Corner(index, weight, slope * real[..., None]))
    return corners


def _rows(pixels: Rows, index: Int[Array, "batch points"]) -> Float[Array, "batch points channels"]:
    """Whole channel vectors, by index."""
    return jax.vmap(lambda rows, i: rows.at[i].get(mode="promise_in_bounds"))(pixels, index)
