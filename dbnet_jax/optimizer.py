"""The optimiser and the poly schedule, as one optax chain (paper section 4.2)."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int
from optax.contrib import MuonDimensionNumbers, muon

from dbnet_jax.messages import check_choice, check_least

KINDS = ("sgd", "adamw", "muon")
_ADAM_RMS = 0.2  # of AdamW's updates, by a rate of 1 (Liu et al., arXiv 2502.16982, section 2.2)


def poly_schedule(base: float, steps: int, power: float = 0.9, warmup: int = 0, every: int = 1) -> optax.Schedule:
    """The learning rate base · (1 − t / steps)^power, rising linearly over the first `warmup` steps.

    **Arguments:**

    - `base`: the rate at step 0 without warm-up; 0.007 in the paper.
    - `steps`: the run's length in optimiser steps; afterwards the rate is 0.
    - `power`: 0.9 in the paper.
    - `warmup`: steps over which the rate is multiplied by (t + 1) / (warmup + 1).
    - `every`: the rate changes after each `every` steps. The official code's rate, 0.007 · (1 − e / (epochs + 1))^0.9
        in epoch e, has the steps of an epoch here, and one epoch more than the run in `steps`.

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
    """The paper's SGD as PyTorch runs it, AdamW, or Muon.

    **Arguments:**

    - `schedule`: the learning rate by optimiser step.
    - `kind`:
        - "sgd": every parameter decays; the decay is added to the gradient before the momentum.
        - "adamw": from random weights it learns many times faster. It needs a third to a tenth of the rate.
        - "muon" (Jordan et al. 2024): updates every direction of a kernel equally far, as far as AdamW would at this
          rate (Liu et al., arXiv 2502.16982). Other parameters use AdamW. Both use Nesterov's momentum.
    - `momentum`: in [0, 1); 0.9 in the paper. It is also the decay of AdamW's first moment. Muon's kernels use 0.95.
    - `weight_decay`: 1e-4 in the paper.
    - `accumulate`: one optimiser step uses the mean gradient of this many batches.

    **Returns:** an optax transformation.

    **Raises:** ValueError when `kind` is unknown or `accumulate` is less than 1.
    """
    check_choice("optimizer", kind, KINDS)
    check_least("accumulate", accumulate, 1)
    if kind == "sgd":
        chain = optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=momentum))
    elif kind == "adamw":
        chain = optax.adamw(schedule, b1=momentum, weight_decay=weight_decay)
    else:
        chain = muon(
            schedule,
            consistent_rms=_ADAM_RMS,
            adam_b1=momentum,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            muon_weight_dimension_numbers=_kernels_as_matrices,
        )
    return optax.MultiSteps(chain, every_k_schedule=accumulate).gradient_transformation() if accumulate > 1 else chain


def _kernels_as_matrices(params: optax.Params) -> optax.Params:
    """The matrix of each parameter for Muon: a kernel [..., in, out] is [... · in, out]. None means AdamW."""

    def matrix(parameter: Array) -> MuonDimensionNumbers | None:
        # A parameter that is no kernel, or a kernel with one output, has no directions to make equal.
        if parameter.ndim < 2 or parameter.shape[-1] < 2:
            return None
        return MuonDimensionNumbers(reduction_axis=tuple(range(parameter.ndim - 1)), output_axis=parameter.ndim - 1)

    return jax.tree.map(matrix, params)
