"""An attention decoder over feature columns (Bahdanau et al., arXiv 1409.0473; for words: RARE, arXiv 1603.03915)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dbnet_jax.models.layers.initialization import he_normal, lecun_normal

END = 0
"""The class before the first character and after the last."""
_OWN = -1  # instead of a given character: the decoder goes on from its own


class AttentionDecoder(nn.Module):
    """Gives one character after another; each looks at all columns, weighed by what was written so far.

    **Arguments:** `classes`; `hidden`: units of the GRU; `max_length`: characters at most.
    """

    classes: int
    hidden: int
    max_length: int

    @nn.compact
    def __call__(
        self,
        columns: Float[Array, "batch columns features"],
        lengths: Int[Array, "batch"],
        texts: Int[Array, "batch length"] | None = None,
    ) -> Float[Array, "batch steps classes"]:
        """The logits of each step: `length` + 1 steps with teacher forcing by `texts`, else `max_length` + 1."""
        batch = columns.shape[0]  # of an exported program, it has no length
        if texts is None:
            given = jnp.full((batch, self.max_length + 1), _OWN)
        else:
            given = jnp.concatenate([jnp.full((batch, 1), END), texts], axis=1)
        padding = jnp.arange(columns.shape[1])[None] >= lengths[:, None]
        keys = nn.Dense(self.hidden, use_bias=False, kernel_init=lecun_normal, name="key")(columns)
        steps = nn.scan(
            _Step,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=(nn.broadcast, nn.broadcast, nn.broadcast, 1),
            out_axes=1,
        )(self.classes, self.hidden, name="step")
        start = jnp.zeros((batch, self.hidden)), jnp.full(batch, END)
        _, logits = steps(start, columns, keys, padding, given)
        return logits


class _Step(nn.Module):
    classes: int
    hidden: int

    @nn.compact
    def __call__(
        self,
        carry: tuple[Float[Array, "batch hidden"], Int[Array, "batch"]],
        columns: Float[Array, "batch columns features"],
        keys: Float[Array, "batch columns hidden"],
        padding: Any,
        given: Int[Array, "batch"],
    ) -> tuple[Any, Float[Array, "batch classes"]]:
        state, own = carry
        before = nn.Embed(self.classes, self.hidden, embedding_init=he_normal, name="character")(
            jnp.where(given == _OWN, own, given)
        )
        query = nn.Dense(self.hidden, kernel_init=lecun_normal, name="query")(state)
        weights = nn.Dense(1, use_bias=False, kernel_init=lecun_normal, name="weight")(jnp.tanh(keys + query[:, None]))[
            ..., 0
        ]
        weights = nn.softmax(jnp.where(padding, -jnp.inf, weights))
        seen = jnp.einsum("bc,bcf->bf", weights, columns)
        cell = nn.GRUCell(self.hidden, kernel_init=lecun_normal, recurrent_kernel_init=lecun_normal, name="gru")
        state, _ = cell(state, jnp.concatenate([seen, before], axis=-1))
        logits = nn.Dense(self.classes, kernel_init=lecun_normal, name="output")(
            jnp.concatenate([state, seen], axis=-1)
        )
        return (state, logits.argmax(-1)), logits
