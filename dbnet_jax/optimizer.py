"""The optimiser and the poly schedule, as one optax chain (paper section 4.2)."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int


def poly_schedule(base: float, steps: int, power: float = 0.9, warmup: int = 0, every: int = 1) -> optax.Schedule:
    """The learning rate base · (1 − t / steps)^power, rising linearly over the first `warmup` steps.

    **Arguments:**

    - `base`: the rate at step 0 without warm-up; 0.007 in the paper.
    - `steps`: T, the run's length in optimiser steps; from there on the rate is 0.
    - `power`: 0.9 in the paper.
    - `warmup`: steps over which the rate is multiplied by (t + 1) / (warmup + 1).
    - `every`: steps for which the rate stays, t being the first of them. With an epoch's, and `steps` those of the run
        and one epoch more, it is the official code's rate, 0.007 · (1 − e / (epochs + 1))^0.9 in epoch e.

    **Returns:** a function of the step.

    **Raises:** ValueError when `base`, `power`, `steps` or `every` is not positive or `warmup` is not in [0, steps).
    """
    for name, value in (("base", base), ("steps", steps), ("power", power), ("every", every)):
        if value <= 0:
            raise ValueError(f"`{name}` (={value}) must be positive")
    if not 0 <= warmup < steps:
        raise ValueError(f"`warmup` (={warmup}) must be in [0, {steps}), the run's steps")

    def schedule(step: int | Int[ArrayLike, ""]) -> Float[Array, ""]:
        t = jnp.asarray(step, jnp.float32)
        rate = base * jnp.clip(1 - t // every * every / steps, 0.0, 1.0) ** power
        return rate * jnp.minimum(1.0, (t + 1) / (warmup + 1))

    return schedule


def make_optimizer(
    schedule: optax.Schedule,
    *,
    kind: str = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    accumulate: int = 1,
) -> optax.GradientTransformation:
    """The paper's SGD as PyTorch runs it, or AdamW.

    **Arguments:**

    - `schedule`: the learning rate by optimiser step.
    - `kind`: "sgd", where the decay joins the gradient before the momentum and every parameter decays; or "adamw",
        which leaves random initial weights many times faster, and wants a third to a tenth of the rate.
    - `momentum`: in [0, 1); 0.9 in the paper. AdamW's first moment decays by it too.
    - `weight_decay`: 1e-4 in the paper.
    - `accumulate`: batches whose mean gradient makes one optimiser step.

    **Returns:** an optax transformation.

    **Raises:** ValueError when `kind` is unknown or `accumulate` is less than 1.
    """
    if kind not in ("sgd", "adamw"):
        raise ValueError(f"`optimizer` (={kind!r}) must be 'sgd' or 'adamw'")
    if accumulate < 1:
        raise ValueError(f"`accumulate` (={accumulate}) must be at least 1")
    if kind == "sgd":
        chain = optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=momentum))
    else:
        chain = optax.adamw(schedule, b1=momentum, weight_decay=weight_decay)
    return optax.MultiSteps(chain, every_k_schedule=accumulate).gradient_transformation() if accumulate > 1 else chain
