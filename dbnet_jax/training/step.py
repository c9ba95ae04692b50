"""The jitted training step over a one-axis mesh of devices."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float

from dbnet_jax.images.normalization import normalize
from dbnet_jax.losses import db_loss
from dbnet_jax.models.variables import Variables
from dbnet_jax.sharding import batch_sharded, replicated
from dbnet_jax.training.state import TrainState

Metrics = dict[str, Float[Array, ""]]
Render = Callable[[dict[str, Array], Array | None], dict[str, Array]]


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    normalization: str,
    loss_options: Mapping[str, Any],
    ema_decay: float = 0.0,
    render: Render | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Compiles `(state, batch) -> (state, metrics)`, or `(state, batch, pictures)` with `render`; the state is donated.

    The batch is sharded over the mesh and the state replicated; XLA makes the sums of the loss, of hard negative
    mining and of the batch statistics global, so that any number of devices computes the same step.

    **Arguments:**

    - `model`, `optimizer`, `mesh`: what to train, how and where.
    - `normalization`: of the pixels, see `dbnet_jax.images.normalization`.
    - `loss_options`: keyword arguments of `db_loss`.
    - `ema_decay`: of the moving average in `state.average`, in [0, 1).
    - `render`: makes images and label maps of the batch and of the pictures that stay on the device, where there are
        any; None where the batch holds them.

    **Returns:** the step. `batch` has `image` [batch, height, width, 3] in [0, 255] and the four label maps, or what
    `render` makes them of; `pictures` are the same on every device. The metrics
    are "loss", its parts "probability", "binary", "threshold", and "gradient_norm".
    """

    def loss_of(params: Any, batch_stats: Any, batch: dict[str, Array]) -> tuple[Array, tuple[Metrics, Any]]:
        images = normalize(batch["image"], normalization)
        outputs, updates = model.apply(
            {"params": params, "batch_stats": batch_stats}, images, train=True, mutable=["batch_stats"]
        )
        labels = {name: batch[name] for name in batch if name != "image"}
        total, parts = db_loss(outputs, labels, **loss_options)
        return total, (parts, updates["batch_stats"])

    def step(state: TrainState, batch: dict[str, Array], pictures: Array | None = None) -> tuple[TrainState, Metrics]:
        if render is not None:
            batch = render(batch, pictures)
        params, batch_stats = state.variables["params"], state.variables["batch_stats"]
        (loss, (parts, batch_stats)), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, batch_stats, batch)
        updates, opt_state = optimizer.update(gradients, state.opt_state, params)
        variables = {"params": optax.apply_updates(params, updates), "batch_stats": batch_stats}
        new_state = state.replace(
            step=state.step + 1,
            variables=variables,
            opt_state=opt_state,
            average=_moving_average(state, variables, ema_decay),
        )
        return new_state, {"loss": loss, **parts, "gradient_norm": optax.tree.norm(gradients)}

    whole, share = replicated(mesh), batch_sharded(mesh)
    shardings = (whole, share) if render is None else (whole, share, whole)
    return jax.jit(step, in_shardings=shardings, out_shardings=(whole, whole), donate_argnums=0)


def _moving_average(state: TrainState, variables: Variables, decay: float) -> Variables | None:
    if state.average is None:
        return None
    # The first steps weigh more, or the average would remember the random initial weights for 1 / (1 − decay) steps.
    t = state.step.astype(jnp.float32)
    rate = 1 - jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda old, new: old + rate.astype(old.dtype) * (new - old), state.average, variables)
