"""Binarisation of the probability map: the hard step, and the differentiable step that replaces it in training."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Values = Float[Array, "*shape"] | Float[np.ndarray, "*shape"]


@jax.jit
def differentiable_binarization(
    probability_map: Values,
    threshold_map: Values,
    k: float | Float[Array, ""] = 50.0,
) -> Float[Array, "*shape"]:
    r"""The approximate binary map $B = 1 / (1 + e^{-k (P - T)})$ (paper section 3.2, equation 2).

    **Arguments:**

    - `probability_map`: P in [0, 1], of any shape.
    - `threshold_map`: T in [0, 1], of the same shape.
    - `k`: the steepness; 50 in the paper. It amplifies the gradient where P is close to T (section 3.3).

    **Returns:** B in [0, 1], of the same shape.
    """
    return jax.nn.sigmoid(k * (probability_map - threshold_map))


@jax.jit
def standard_binarization(probability_map: Values, threshold: float | Float[Array, ""] = 0.3) -> Float[Array, "*shape"]:
    """The hard step: 1 where P > `threshold`, else 0 (paper section 3.1, equation 1). It has no gradient.

    **Arguments:**

    - `probability_map`: P in [0, 1], of any shape.
    - `threshold`: in [0, 1]; the paper takes 0.2, the official code 0.3.

    **Returns:** 0 or 1, of the same shape and type as P.
    """
    return jnp.asarray(probability_map > threshold, probability_map.dtype)
