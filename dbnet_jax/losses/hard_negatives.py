"""Hard negative mining without a sort: the k-th largest loss is found by bisection on its bits.

A sort of a batch's 6.5 million pixels is the slowest thing in a plain training step and does not shard. The bit
pattern of a float that is not negative, read as an integer, grows with the float, so 31 passes that each count how
many losses are at least a candidate fix the 31 bits of the k-th largest one from the top down: exact, of static
shape, a sum a pass, which XLA turns into an all-reduce where the batch is sharded.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def hard_negative_weights(
    losses: Float[Array, "*shape"], candidates: Bool[Array, "*shape"], count: Int[Array, ""]
) -> Float[Array, "*shape"]:
    """The weight of each pixel in the sum of the `count` largest losses among the candidates.

    `sum(weights · losses)` equals the sum over a descending sort's first `count` entries. Where several losses tie
    at the boundary, a sort picks some of them by position; here they share the places that are left, so that the
    gradient does not depend on the order of the pixels.

    **Arguments:**

    - `losses`: float32, not negative, finite or +inf (a NaN is counted like a very large loss).
    - `candidates`: the pixels to choose from.
    - `count`: how many, in [0, number of candidates].

    **Returns:** float32 in [0, 1], summing to `count`; it carries no gradient.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(losses).astype(jnp.float32), jnp.int32)
    # The sign bit goes (−0.0 is 0.0); −1 stands below every candidate.
    bits = jnp.where(candidates, bits & 0x7FFFFFFF, -1)

    def fix_bit(index: Int[Array, ""], floor: Int[Array, ""]) -> Int[Array, ""]:
        trial = floor | (1 << (30 - index)).astype(jnp.int32)
        return jnp.where(jnp.sum(bits >= trial) >= count, trial, floor)

    kth = jax.lax.fori_loop(0, 31, fix_bit, jnp.int32(0))
    above, tied = bits > kth, bits == kth
    places = (count - jnp.sum(above)).astype(jnp.float32)
    share = places / jnp.maximum(jnp.sum(tied), 1).astype(jnp.float32)
    weights = above.astype(jnp.float32) + share * tied.astype(jnp.float32)
    return jnp.where(count > 0, weights, 0.0)
