"""SGD with momentum, weight decay and the poly schedule, as one optax chain (paper section 4.2)."""

import jax.numpy as jnp
import optax


def poly_schedule(base: float, steps: int, power: float = 0.9, warmup: int = 0) -> optax.Schedule:
    """The learning rate base · (1 − t / steps)^power, rising linearly over the first `warmup` steps.

    **Arguments:**

    - `base`: the rate at step 0 without warm-up; 0.007 in the paper.
    - `steps`: T, the run's length in optimiser steps; from there on the rate is 0.
    - `power`: 0.9 in the paper.
    - `warmup`: steps over which the rate is multiplied by (t + 1) / (warmup + 1).

    **Returns:** a function of the step.

    **Raises:** ValueError when `base`, `power` or `steps` is not positive or `warmup` is not in [0, steps).
    """
    for name, value in (("base", base), ("steps", steps), ("power", power)):
        if value <= 0:
            raise ValueError(f"`{name}` (={value}) must be positive")
    if not 0 <= warmup < steps:
        raise ValueError(f"`warmup` (={warmup}) must be in [0, {steps}), the run's steps")

    def schedule(step: optax.ScalarOrSchedule) -> jnp.ndarray:
        t = jnp.asarray(step, jnp.float32)
        rate = base * jnp.clip(1 - t / steps, 0.0, 1.0) ** power
        return rate * jnp.minimum(1.0, (t + 1) / (warmup + 1))

    return schedule


def make_optimizer(
    schedule: optax.Schedule, *, momentum: float = 0.9, weight_decay: float = 1e-4, accumulate: int = 1
) -> optax.GradientTransformation:
    """SGD as PyTorch runs it: the decay joins the gradient before the momentum, and every parameter decays.

    **Arguments:**

    - `schedule`: the learning rate by optimiser step.
    - `momentum`: in [0, 1); 0.9 in the paper.
    - `weight_decay`: 1e-4 in the paper.
    - `accumulate`: batches whose mean gradient makes one optimiser step.

    **Returns:** an optax transformation.

    **Raises:** ValueError when `accumulate` is less than 1.
    """
    if accumulate < 1:
        raise ValueError(f"`accumulate` (={accumulate}) must be at least 1")
    chain = optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=momentum))
    return optax.MultiSteps(chain, every_k_schedule=accumulate).gradient_transformation() if accumulate > 1 else chain
