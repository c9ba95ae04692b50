"""The losses of recognition."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def ctc_loss(
    logits: Float[Array, "batch steps classes"], steps: Int[Array, "batch"], texts: Int[Array, "batch length"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean of −log p(text) by connectionist temporal classification (Graves et al. 2006), a character of the text.

    A text that needs more columns than its picture has cannot be written, and does not count.

    **Arguments:**

    - `logits`: float32; class 0 is the blank.
    - `steps`: the columns of each picture that are no padding.
    - `texts`: classes, 0 after the end.

    **Returns:** the mean over the texts that count, and their share.
    """
    logit_padding = (jnp.arange(logits.shape[1])[None] >= steps[:, None]).astype(jnp.float32)
    padding = (texts == 0).astype(jnp.float32)
    lengths = (texts > 0).sum(1)
    repeats = ((texts[:, 1:] == texts[:, :-1]) & (texts[:, 1:] > 0)).sum(1)
    possible = lengths + repeats <= steps
    losses = optax.ctc_loss(logits, logit_padding, texts, padding)
    counted = jnp.where(possible, losses / jnp.maximum(lengths, 1), 0.0)
    return counted.sum() / jnp.maximum(possible.sum(), 1), possible.mean(dtype=jnp.float32)


def attention_loss(logits: Float[Array, "batch steps classes"], texts: Int[Array, "batch length"]) -> Float[Array, ""]:
    """The mean cross-entropy of the characters and of the end, which is class 0."""
    batch, length = texts.shape
    wanted = jnp.concatenate([texts, jnp.zeros((batch, 1), texts.dtype)], axis=1)
    counts = jnp.arange(length + 1)[None] <= (texts > 0).sum(1)[:, None]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, wanted)
    return (losses * counts).sum() / counts.sum()
