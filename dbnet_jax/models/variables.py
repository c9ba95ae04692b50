"""A network's variables as nested dictionaries of arrays: their shapes and their differences."""

import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

Variables = dict[str, Any]
"""A model's `params` and `batch_stats`, nested."""

Shapes = dict[str, tuple[int, ...]]
"""The shape of each array by its path: "params/backbone/conv1/kernel" → (3, 3, 3, 64)."""


IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
"""An input that a detector takes; a network's variables have the same shapes for any of its inputs."""


def variable_shapes(model: nn.Module, example: jax.ShapeDtypeStruct = IMAGE) -> Variables:
    """The variables of `model` as shapes; nothing is compiled. `example`: the shape of an input."""
    return dict(jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(example.shape, example.dtype))))


def shapes_of(tree: Mapping[str, Any]) -> Shapes:
    """The shapes in a nested dictionary of arrays or of `jax.ShapeDtypeStruct`."""
    return {path: tuple(leaf.shape) for path, leaf in flatten_dict(tree, sep="/").items()}


def differences(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """One line for each array that is missing, surplus or of another shape, in the order of the paths."""
    return [
        f"{path}: {f'{found[path]} found' if path in found else 'missing'}, {wanted.get(path, 'nothing')} wanted"
        for path in sorted(found.keys() | wanted.keys())
        if found.get(path) != wanted.get(path)
    ]


def is_narrower(found: Shapes, wanted: Shapes) -> bool:
    """Whether both have the same arrays, and none of `found` is longer along any axis."""
    return found.keys() == wanted.keys() and all(
        len(found[path]) == len(shape) and all(map(operator.le, found[path], shape)) for path, shape in wanted.items()
    )


def listed(lines: list[str], most: int = 20) -> str:
    """The first lines of an error, each on a line of its own, and the number of the others."""
    more = [f"… and {len(lines) - most} more"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in lines[:most] + more)
