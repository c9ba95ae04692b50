"""What a training step changes and a checkpoint keeps."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh

from dbnet_jax.models.layers.initialization import fresh_variables
from dbnet_jax.models.variables import IMAGE, Variables
from dbnet_jax.sharding import replicated


class TrainState(flax.struct.PyTreeNode):
    """All that a step changes.

    **Arguments:**

    - `step`: int32, batches seen; also the position in the data, since batch t is a function of t alone.
    - `variables`: the model's `params` and its other collections, such as `batch_stats`.
    - `opt_state`: the optimiser's.
    - `average`: moving average of `variables`, what is evaluated and shipped; None where there is none.
    """

    step: Any  # int32 []; a tree that JAX rebuilds holds other leaves than arrays
    variables: Variables
    opt_state: optax.OptState
    average: Variables | None = None

    def inference_variables(self) -> Variables:
        """The variables to predict with."""
        return self.variables if self.average is None else self.average


def create_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    seed: int,
    *,
    average: bool,
    mesh: Mesh,
    initial: Variables | None = None,
    example: jax.ShapeDtypeStruct = IMAGE,
) -> TrainState:
    """A fresh state, the same on every device of the mesh; a pure function of the seed and of `initial`.

    **Arguments:** `initial`: variables, all or some, to start from in the place of random ones;
    `example`: the shape of an input of the model.
    """

    def create(given: Variables) -> TrainState:
        variables = unflatten_dict(flatten_dict(fresh_variables(model, seed, example)) | flatten_dict(given))
        # A copy, not the same buffers: the step donates both.
        copy = jax.tree.map(jnp.copy, variables) if average else None
        return TrainState(jnp.int32(0), dict(variables), optimizer.init(variables["params"]), copy)

    return jax.jit(create, out_shardings=replicated(mesh))(initial or {})
