"""What the tests of PyTorch weights share: small models, their shapes found once, and random weights."""

import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dbnet_jax.models import DBNet
from dbnet_jax.models.variables import Variables, variable_shapes
from dbnet_jax.torch_weights import convert

SMALL = {"width": 8, "inner_channels": 16}
# Most of the time of these tests would go into finding the shapes of the same few models.
shapes_of = functools.cache(variable_shapes)


@pytest.fixture(autouse=True)
def shapes_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's own look-up remembers; for every test of a file that imports this."""
    monkeypatch.setattr(convert, "variable_shapes", shapes_of)


def random_variables(model: DBNet, seed: int = 0) -> Variables:
    """Variables of the model, all between 0.5 and 1.5."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes_of(model))


def assert_same(a: Variables, b: Variables) -> None:
    """Equal to the bit, float32, and nothing more or less."""
    a, b = flatten_dict(a), flatten_dict(b)
    assert a.keys() == b.keys()
    for key, array in a.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, b[key], err_msg="/".join(key))
