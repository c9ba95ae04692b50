"""A bidirectional LSTM over feature columns (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005)."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from dbnet_jax.models.layers.conv import Dtype
from dbnet_jax.models.layers.initialization import lecun_normal
from dbnet_jax.ops.replaceable import replaceable

_GATES = "ifgo"  # input, forget, candidate, output


class Weights(NamedTuple):
    """The weights of one direction; the four gates stand side by side, in the order of `_GATES`."""

    inputs: Float[Array, "features gates"]
    state: Float[Array, "hidden gates"]
    bias: Float[Array, "gates"]


class _State(NamedTuple):
    """What a direction remembers, and what it gives."""

    cell: Float[Array, "batch hidden"]
    output: Float[Array, "batch hidden"]


class Direction(nn.Module):
    """The parameters of one direction, named as those of flax's LSTM cells.

    **Arguments:** `features` of a column; `hidden`: units; `dtype`: of the computation.
    """

    features: int
    hidden: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self) -> Weights:
        gates = [
            (
                self.param(f"i{gate}", _dense, self.features, self.hidden, False),
                self.param(f"h{gate}", _dense, self.hidden, self.hidden, True),
            )
            for gate in _GATES
        ]
        parts = (
            [of_inputs["kernel"] for of_inputs, _ in gates],
            [of_state["kernel"] for _, of_state in gates],
            [of_state["bias"] for _, of_state in gates],
        )
        return Weights(*(jnp.concatenate(part, -1).astype(self.dtype) for part in parts))


def _dense(key: jax.Array, inputs: int, outputs: int, bias: bool) -> dict[str, Float[Array, "..."]]:
    kernel = {"kernel": lecun_normal(key, (inputs, outputs))}
    return kernel | {"bias": jnp.zeros(outputs)} if bias else kernel


@replaceable
def both_ways(
    columns: Float[Array, "batch columns features"], lengths: Int[Array, "batch"], forward: Weights, backward: Weights
) -> Float[Array, "batch columns twice_hidden"]:
    """The outputs of an LSTM from left to right and of another from right to left, side by side, float32.

    The LSTM from right to left begins at the last of `lengths` columns. Columns behind it are padding: what they give
    means nothing.
    """
    batch, count, _ = columns.shape
    # One product for all columns and both directions: in the loop it would read the weights once for each column.
    kernel = jnp.concatenate([forward.inputs, backward.inputs], -1)
    bias = jnp.concatenate([forward.bias, backward.bias])[None, None]
    gates = (columns.astype(kernel.dtype) @ kernel + bias).swapaxes(0, 1)
    rightwards, leftwards = jnp.split(gates, 2, -1)
    inside = (jnp.arange(count)[:, None] < lengths[None])[..., None]

    def step(
        states: tuple[_State, _State],
        given: tuple[Float[Array, "batch gates"], Float[Array, "batch gates"], Bool[Array, "batch 1"]],
    ) -> tuple[tuple[_State, _State], tuple[Array, Array]]:
        right = _advance(states[0], given[0], forward.state)
        left = _advance(states[1], given[1], backward.state)
        left = _State(*(jnp.where(given[2], new, old) for new, old in zip(left, states[1], strict=True)))
        return (right, left), (right.output, left.output)

    zeros = jnp.zeros((batch, forward.state.shape[0]), jnp.float32)
    start = _State(zeros, zeros), _State(zeros, zeros)
    _, (right, left) = lax.scan(step, start, (rightwards, leftwards[::-1], inside[::-1]))
    return jnp.concatenate([right, left[::-1]], -1).swapaxes(0, 1)


def _advance(before: _State, of_inputs: Float[Array, "batch gates"], weights: Float[Array, "hidden gates"]) -> _State:
    """c = f · c + i · g and h = o · tanh c, with the gates i, f, o = σ(…) and g = tanh(…)."""
    gates = (of_inputs + before.output.astype(weights.dtype) @ weights).astype(jnp.float32)
    write, keep, new, show = jnp.split(gates, len(_GATES), -1)
    cell = nn.sigmoid(keep) * before.cell + nn.sigmoid(write) * jnp.tanh(new)
    return _State(cell, nn.sigmoid(show) * jnp.tanh(cell))
