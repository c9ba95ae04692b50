"""Random initial kernels: He's normal distribution, drawn for a whole network by one program."""

import contextvars
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.models.variables import IMAGE


class _Draw:
    """Normal numbers that kernels are cut from, in the order in which they ask; without numbers it only counts."""

    def __init__(self, numbers: Float[Array, "count"] | None = None):
        self._numbers, self.taken = numbers, 0

    def take(self, shape: Sequence[int]) -> Float[Array, "..."]:
        first, self.taken = self.taken, self.taken + math.prod(shape)
        return jnp.zeros(shape) if self._numbers is None else self._numbers[first : self.taken].reshape(shape)


# Of the network that is being initialised in this thread, where it is one that `fresh_variables` makes.
_draw: contextvars.ContextVar[_Draw | None] = contextvars.ContextVar("draw", default=None)


def he_normal(
    key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32, fan_in: int | None = None
) -> Float[Array, "..."]:
    """Normal numbers of variance 2 / fan-in (He et al., arXiv 1502.01852, equation 10).

    **Arguments:**

    - `key`: what they are a function of, unless `fresh_variables` draws.
    - `shape`: of the kernel, its output channels last.
    - `fan_in`: of how many inputs an output is the sum; None is all of `shape` but its last axis.
    """
    draw = _draw.get()
    numbers = jax.random.normal(key, shape) if draw is None else draw.take(shape)
    scale = math.sqrt(2 / (math.prod(shape[:-1]) if fan_in is None else fan_in))
    return (scale * numbers).astype(dtype)


def lecun_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
    """Normal numbers of variance 1 / fan-in, for layers without a rectifier; drawn as those of `he_normal`."""
    return he_normal(key, shape, dtype, fan_in=2 * math.prod(shape[:-1]))


def fresh_variables(model: nn.Module, seed: int, example: jax.ShapeDtypeStruct = IMAGE) -> dict[str, Any]:
    """What `model.init` makes, its random kernels cut from one draw; a pure function of `seed`. To be compiled.

    JAX compiles its generator once more for each kernel that draws: 28 s of a core for a ResNet-18 on a CPU, and 3 in
    this way.

    **Arguments:**

    - `model`: a network.
    - `seed`: in [0, 2³²).
    - `example`: the shape of an input.

    **Returns:** `params` and `batch_stats`, float32, of the shapes that `model` has.
    """

    def init(draw: _Draw) -> dict[str, Any]:
        token = _draw.set(draw)
        try:
            return dict(model.init(jax.random.key(seed), jnp.zeros(example.shape, example.dtype)))
        finally:
            _draw.reset(token)

    counted = _Draw()
    jax.eval_shape(lambda: init(counted))
    return init(_Draw(jax.random.normal(jax.random.key(seed), (counted.taken,))))
