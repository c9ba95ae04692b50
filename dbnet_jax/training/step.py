"""The jitted training step over a one-axis mesh of devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from dbnet_jax.models.variables import Variables
from dbnet_jax.sharding import batch_sharded, replicated
from dbnet_jax.training.state import TrainState
from dbnet_jax.training.task import Batch, Loss, Metrics, Prepare


def make_train_step(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    ema_decay: float = 0.0,
    prepare: Prepare | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Compiles `(state, batch, resident) -> (state, metrics)`; the state is donated.

    The batch is sharded over the mesh and the state replicated. XLA makes the sums of the loss, of hard negative mining
    and of the batch statistics global, so that any number of devices computes the same step.

    **Arguments:**

    - `loss`, `optimizer`, `mesh`: what is minimised, how and where.
    - `ema_decay`: of the moving average in `state.average`, in [0, 1).
    - `prepare`: makes the batch of the loss on the device, from the given batch and from `resident`.

    **Returns:** the step. `resident` are arrays that are the same on every device, or None. The metrics are "loss",
    its parts and "gradient_norm".
    """

    def loss_of(params: Any, collections: Variables, batch: Batch) -> tuple[Array, tuple[Metrics, Variables]]:
        return loss({"params": params, **collections}, batch)

    def step(state: TrainState, batch: Batch, resident: Any) -> tuple[TrainState, Metrics]:
        if prepare is not None:
            batch = prepare(batch, resident)
        params = state.variables["params"]
        others = {name: value for name, value in state.variables.items() if name != "params"}
        (total, (parts, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, others, batch)
        updates, opt_state = optimizer.update(gradients, state.opt_state, params)
        variables = {"params": optax.apply_updates(params, updates), **others}
        new_state = state.replace(
            step=state.step + 1,
            variables=variables,
            opt_state=opt_state,
            average=_moving_average(state, variables, ema_decay),
        )
        return new_state, {"loss": total, **parts, "gradient_norm": optax.tree.norm(gradients)}

    whole, share = replicated(mesh), batch_sharded(mesh)
    return jax.jit(step, in_shardings=(whole, share, whole), out_shardings=(whole, whole), donate_argnums=0)


def _moving_average(state: TrainState, variables: Variables, decay: float) -> Variables | None:
    if state.average is None:
        return None
    # The first steps weigh more, or the average would remember the random initial weights for 1 / (1 − decay) steps.
    t = state.step.astype(jnp.float32)
    rate = 1 - jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda old, new: old + rate.astype(old.dtype) * (new - old), state.average, variables)
