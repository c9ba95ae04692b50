"""Random weights at first: their distribution, and that a whole network draws once."""

import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dbnet_jax.models import create_model
from dbnet_jax.models.layers.initialization import fresh_variables, he_normal
from dbnet_jax.models.variables import variable_shapes

MODELS = {
    "resnet": create_model("resnet18", width=8, inner_channels=16, dcn=True, scale_fusion=True),
    "mobilenet": create_model("mobilenet_v3_small", width=16, inner_channels=16, neck="fpe", serial=True),
}


@functools.cache
def fresh(name: str, seed: int):
    variables = jax.jit(lambda: fresh_variables(MODELS[name], seed))()
    return flatten_dict(jax.device_get(variables), sep="/")


@pytest.mark.parametrize("name", MODELS)
def test_the_tree_is_that_of_the_model(name):
    shapes = flatten_dict(variable_shapes(MODELS[name]), sep="/")
    found = fresh(name, 0)
    assert {path: (leaf.shape, leaf.dtype) for path, leaf in found.items()} == {
        path: (leaf.shape, leaf.dtype) for path, leaf in shapes.items()
    }
    for path, leaf in found.items():
        if path.endswith(("/bias", "/mean")) or "/offset/" in path:
            assert not leaf.any(), path
        elif path.endswith(("/scale", "/var")):
            assert (leaf == 1).all(), path


@pytest.mark.parametrize("name", MODELS)
def test_kernels_are_normal_with_two_over_their_fan_in(name):
    kernels = {
        path: leaf for path, leaf in fresh(name, 0).items() if path.endswith("kernel") and "/offset/" not in path
    }
    normed = []
    for path, kernel in kernels.items():
        # A pixel of a transposed 2×2 convolution is a sum over channels, of any other one over its window too.
        fan_in = kernel.shape[2] if "/up" in path else np.prod(kernel.shape[:-1])
        values = kernel.ravel() * np.sqrt(fan_in / 2)
        normed.append(values)
        if values.size >= 500:
            assert abs(values.mean()) < 4.5 / np.sqrt(values.size), path
            assert abs(values.var() - 1) < 4.5 * np.sqrt(2 / values.size), path
    everything = np.concatenate(normed)
    assert len(kernels) > 30
    # Cut from one draw, and no part of it twice: in float32 a few in a thousand agree by chance.
    assert len(np.unique(everything)) > 0.97 * everything.size
    within = [np.mean(np.abs(everything) < deviations) for deviations in (1, 2)]
    np.testing.assert_allclose(within, [0.6827, 0.9545], atol=0.005)


def test_the_seed_decides_and_one_draw_serves_all_kernels():
    kernel = "params/backbone/conv1/kernel"
    assert np.abs(fresh("resnet", 0)[kernel] - fresh("resnet", 1)[kernel]).max() > 0.01
    assert str(jax.make_jaxpr(lambda: fresh_variables(MODELS["resnet"], 0))()).count("random_bits") == 1


def test_a_kernel_of_its_own_is_drawn_by_its_key():
    first, again, other = (he_normal(jax.random.key(seed), (3, 3, 40, 50)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert np.var(first) == pytest.approx(2 / 360, rel=0.05)
    assert np.var(he_normal(jax.random.key(0), (2, 2, 40, 300), fan_in=40)) == pytest.approx(2 / 40, rel=0.05)
