"""XLA's own convolution and gradients, for the tests of faster forms."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

SAME = ((1, 1), (1, 1))


def random(seed: int, *shape: int) -> jax.Array:
    """Small whole numbers: their sums are exact in float32, in any order."""
    return jax.numpy.round(2 * jax.random.normal(jax.random.key(seed), shape))


def plain(x: Any, kernel: Any, strides: int = 1, padding: Any = 1, dilation: int = 1, groups: int = 1) -> jax.Array:
    """The convolution; `padding` is a number for all sides, or (top, bottom) and (left, right)."""
    pads = ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding
    options = {"rhs_dilation": (dilation, dilation), "feature_group_count": groups}
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (strides, strides), pads, dimension_numbers=numbers, **options)


def with_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    """(*arguments, cotangent) → the output and the gradients, compiled."""

    def run(*arguments: Any) -> Any:
        y, transpose = jax.vjp(function, *arguments[:-1])
        return y, *transpose(arguments[-1])

    return jax.jit(run)
