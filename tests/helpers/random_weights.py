"""Random weights with which a network computes numbers of ordinary size, without a step of training."""

from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from dbnet_jax.models.variables import IMAGE, Variables, variable_shapes


def random_weights(model: nn.Module, seed: int = 0, example: jax.ShapeDtypeStruct = IMAGE) -> Variables:
    """Weights of a whole network, whose input is like `example`."""
    return random_arrays(variable_shapes(model, example), seed)


def random_arrays(shapes: Any, seed: int = 0) -> Variables:
    """Kernels keep the scale of their input; the statistics are near those of it."""
    random = np.random.default_rng(seed)

    def one(path: str, shape: tuple[int, ...]) -> np.ndarray:
        numbers = random.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            return numbers * np.float32(1.3 / np.sqrt(np.prod(shape[:-1])))
        return 1 + np.abs(numbers) / 5 if path.endswith(("scale", "var")) else numbers / 5

    arrays = {path: one(path, leaf.shape) for path, leaf in flatten_dict(shapes, sep="/").items()}
    return dict(unflatten_dict(arrays, sep="/"))
