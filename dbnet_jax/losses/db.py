"""The loss of the three maps (paper section 3.5; the default weights and forms are the official code's)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dbnet_jax.losses.hard_negatives import hard_negative_weights
from dbnet_jax.messages import check_choice

Map = Float[Array, "batch height width"]
AnyMap = Map | Float[np.ndarray, "batch height width"]
Scalar = Float[Array, ""]
BINARY_LOSSES = ("dice", "cross_entropy")
EPSILON = 1e-6


def db_loss(
    outputs: Mapping[str, AnyMap],
    labels: Mapping[str, AnyMap],
    *,
    probability_weight: float = 5.0,
    binary_weight: float = 1.0,
    threshold_weight: float = 10.0,
    negative_ratio: float = 3.0,
    min_negatives: int = 0,
    binary_loss: str = "dice",
) -> tuple[Scalar, dict[str, Scalar]]:
    """The weighted sum of balanced cross entropy on P, dice (or the same cross entropy) on B and masked L1 on T.

    **Arguments:**

    - `outputs`: the model's `probability_map`, `threshold_map`, `binary_map` in [0, 1]. If `probability_logits` or
        `binary_logits` are present, the cross entropy is computed from them. It then stays exact and keeps its
        gradient where the map saturates. A model of standard binarisation has the first map only, and the loss then
        has the first part only.
    - `labels`: `shrink_map`, `shrink_mask`, `threshold_map`, `threshold_mask` in [0, 1].
    - `probability_weight`, `binary_weight`, `threshold_weight`: of the three parts. The paper writes
        L = Ls + 1 · Lb + 10 · Lt (equation 6); the official code uses 5, 1 and 10.
    - `negative_ratio`: hard negatives for each positive pixel, counted over the whole batch.
    - `min_negatives`: the least number of hard negatives in the batch, in pixels. With the official code's 0, the
        probability map of a batch without text has no gradient.
    - `binary_loss`: "dice" as the official code; "cross_entropy" as the paper (equation 7).

    **Returns:** the total, and the parts before their weights: "probability", "binary", "threshold".

    **Raises:** ValueError when `binary_loss` is unknown.
    """
    check_choice("binary_loss", binary_loss, BINARY_LOSSES)
    predicted = {name: jnp.asarray(value) for name, value in outputs.items()}
    true = {name: jnp.asarray(value) for name, value in labels.items()}
    target, mask = true["shrink_map"], true["shrink_mask"]

    def balanced(name: str) -> Scalar:
        return balanced_mean(_cross_entropy(predicted, name, target), target, mask, negative_ratio, min_negatives)

    parts = {"probability": balanced("probability")}
    total = probability_weight * parts["probability"]
    if "threshold_map" in predicted:
        binary_map = predicted["binary_map"]
        parts["binary"] = dice_loss(binary_map, target, mask) if binary_loss == "dice" else balanced("binary")
        total += binary_weight * parts["binary"]
        parts["threshold"] = masked_l1_loss(predicted["threshold_map"], true["threshold_map"], true["threshold_mask"])
        total += threshold_weight * parts["threshold"]
    return total, parts


def _cross_entropy(outputs: Mapping[str, Map], name: str, target: Map) -> Map:
    """−y log p − (1 − y) log(1 − p); from p each logarithm is at least −100, as PyTorch clamps it."""
    if f"{name}_logits" in outputs:
        logits = outputs[f"{name}_logits"]
        return jax.nn.softplus(logits) - target * logits

    def log(x: Map) -> Map:
        # Smaller numbers are 0 for XLA. The inner bound keeps the gradient of the branch not taken finite.
        least = jnp.finfo(jnp.float32).tiny
        return jnp.where(x < least, -100.0, jnp.log(jnp.maximum(x, least)))

    probability = outputs[f"{name}_map"]
    return -target * log(probability) - (1 - target) * log(1 - probability)


def balanced_mean(losses: Map, target: Map, mask: Map, negative_ratio: float, min_negatives: int) -> Scalar:
    """The mean loss over the positive pixels and the hardest negative ones (paper section 3.5, the sampled set S_l).

    The number of negatives is floor(`negative_ratio` · positives), but at least `min_negatives`, and at most all of
    them. It is counted over the whole batch.
    """
    positive = (target * mask) > 0.5
    negative = ((1 - target) * mask) > 0.5
    positives = jnp.sum(positive)
    # Integers where possible: float32 counts only to 16.8 million pixels.
    whole = float(negative_ratio).is_integer()
    ratio_times = positives * int(negative_ratio) if whole else jnp.floor(positives * negative_ratio).astype(jnp.int32)
    wanted = jnp.maximum(ratio_times, min_negatives)
    negatives = jnp.minimum(jnp.sum(negative), wanted)
    chosen = positive + hard_negative_weights(losses, negative, negatives)
    return jnp.sum(losses * chosen) / (positives + negatives + EPSILON)


def dice_loss(prediction: Map, target: Map, mask: Map) -> Scalar:
    """1 − 2 Σ(p·y) / (Σp + Σy) over the pixels of the mask and the whole batch; in [0, 1]."""
    intersection = jnp.sum(prediction * target * mask)
    union = jnp.sum(prediction * mask) + jnp.sum(target * mask) + EPSILON
    return 1 - 2 * intersection / union


def masked_l1_loss(prediction: Map, target: Map, mask: Map) -> Scalar:
    """Mean |prediction − target| over the mask (paper equation 9); 0 where the mask is empty."""
    total = jnp.sum(mask)
    return jnp.sum(jnp.abs(prediction - target) * mask) / jnp.where(total > 0, total, 1.0)
