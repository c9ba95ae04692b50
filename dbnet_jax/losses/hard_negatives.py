"""Hard negative mining without a sort: the k-th largest loss is found by bisection on its bits.

A sort of a batch's 6.5 million pixels is the slowest part of a plain training step, and it does not shard. The bits of
a non-negative float, read as an integer, grow with the float. So 31 passes find the 31 bits of the k-th largest loss,
from the highest bit down. Each pass counts the losses that are at least a candidate. The result is exact and the shape
static. XLA makes each sum an all-reduce if the batch is sharded.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def hard_negative_weights(
    losses: Float[Array, "*shape"], candidates: Bool[Array, "*shape"], count: Int[Array, ""]
) -> Float[Array, "*shape"]:
    """The weight of each pixel in the sum of the `count` largest losses among the candidates.

    `sum(weights · losses)` equals the sum of the first `count` entries of a descending sort. If several losses are
    equal at the boundary, a sort picks some of them by position. Here they share the remaining places, so the gradient
    does not depend on the order of the pixels.

    **Arguments:**

    - `losses`: float32, not negative, finite or +inf. A NaN counts as a very large loss.
    - `candidates`: the pixels to choose from.
    - `count`: in [0, number of candidates].

    **Returns:** float32 in [0, 1]; the sum is `count`. The weights have no gradient.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(losses).astype(jnp.float32), jnp.int32)
    # The mask removes the sign of −0.0; −1 is below every candidate.
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
