"""The network: shapes, exact rewrites, types, and what is compiled for inference."""

import functools
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dbnet_jax.binarization import differentiable_binarization, standard_binarization
from dbnet_jax.detector import make_eval_step
from dbnet_jax.models import create_model
from dbnet_jax.models.head import PixelPatches
from dbnet_jax.models.layers import Conv, max_pool

NARROW = {"width": 8, "inner_channels": 16}


def random(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_maps_have_the_size_of_the_images_and_lie_in_0_1(name):
    model = create_model(name, **NARROW)
    images = random(2, 64, 96, 3)
    outputs = jax.jit(model.apply)(jax.jit(model.init)(jax.random.key(0), images), images)
    for key in ("probability_map", "threshold_map", "binary_map"):
        assert outputs[key].shape == (2, 64, 96)
        assert outputs[key].dtype == jnp.float32
        assert 0 <= outputs[key].min() <= outputs[key].max() <= 1


@pytest.mark.parametrize(("size", "strides", "hw"), [(7, 2, (32, 64)), (1, 1, (8, 9)), (1, 2, (9, 8)), (3, 2, (8, 9))])
def test_a_convolution_equals_the_plain_one(size, strides, hw):
    x = random(2, *hw, 3)
    conv = Conv(5, size, strides)
    variables = conv.init(jax.random.key(1), x)
    pad = (size - 1) // 2
    plain = lax.conv_general_dilated(
        x,
        variables["params"]["kernel"],
        (strides, strides),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(conv.apply(variables, x), plain, atol=1e-5)


@pytest.mark.parametrize("hw", [(8, 8), (9, 6)])
def test_max_pool_equals_reduce_window(hw):
    x = random(2, *hw, 3)
    pooled = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    np.testing.assert_array_equal(max_pool(x), pooled)


def test_pixel_patches_are_a_transposed_convolution():
    x = random(1, 3, 4, 5)
    layer = PixelPatches(2)
    variables = layer.init(jax.random.key(0), x)
    kernel = variables["params"]["kernel"]
    expected = lax.conv_transpose(
        x,
        kernel[::-1, ::-1],
        (2, 2),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        transpose_kernel=False,
    )
    patches = layer.apply(variables, x).reshape(1, 3, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 6, 8, 2)
    # conv_transpose of lax correlates with the kernel as it lies: flipped, it scatters it.
    np.testing.assert_allclose(patches, expected, atol=1e-5)


def test_bfloat16_keeps_parameters_and_statistics_in_float32():
    model = create_model("resnet18", dtype=jnp.bfloat16, **NARROW)
    images = random(2, 64, 64, 3)
    variables = jax.jit(model.init)(jax.random.key(0), images)
    outputs, updates = training_mode(model)(variables, images)
    assert {a.dtype for a in jax.tree.leaves((variables, updates))} == {jnp.dtype("float32")}
    assert {a.dtype for a in outputs.values()} == {jnp.dtype("float32")}
    exact = training_mode(create_model("resnet18", **NARROW))(variables, images)[0]
    assert np.abs(outputs["probability_map"] - exact["probability_map"]).mean() < 0.02


def training_mode(model: nn.Module) -> Callable[..., Any]:
    return jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))


def convolutions(compiled: str) -> int:
    return len(re.findall(r"convolution\(|dot\(|custom-call\(.*(?:conv|dot|matmul)", compiled))


def test_the_probability_map_alone_compiles_no_threshold_head():
    model = create_model("resnet18", **NARROW)
    images = jnp.zeros((1, 64, 64, 3), jnp.uint8)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))

    def lowered(names: tuple[str, ...]) -> str:
        return make_eval_step(model, "imagenet").lower(variables, images, names).compile().as_text()

    alone, both = lowered(("probability_map",)), lowered(("probability_map", "threshold_map"))
    assert "DBNet/threshold_head/" in both
    assert "DBNet/threshold_head/" not in alone
    assert convolutions(alone) < convolutions(both)


def test_names_and_sizes_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="resnet99"):
        create_model("resnet99")
    with pytest.raises(ValueError, match="depth"):
        create_model("resnet18", depth=3)
    with pytest.raises(ValueError, match="inner_channels"):
        create_model("resnet18", inner_channels=30)
    with pytest.raises(ValueError, match="multiples of 32"):
        create_model("resnet18", **NARROW).init(jax.random.key(0), random(1, 60, 64, 3))


def test_binarization_is_a_steep_sigmoid_and_a_step():
    p, t = jnp.array([0.2, 0.5, 0.8]), jnp.array([0.5, 0.5, 0.5])
    expected = 1 / (1 + np.exp(-50.0 * np.array([-0.3, 0.0, 0.3])))
    np.testing.assert_allclose(differentiable_binarization(p, t), expected, rtol=1e-5)
    np.testing.assert_array_equal(standard_binarization(p, 0.5), [0, 0, 1])
    # Equation 5 of the paper: where P = T the gradient is k / 4.
    gradient = jax.grad(lambda p: differentiable_binarization(p, jnp.float32(0.5)))(jnp.float32(0.5))
    assert gradient == pytest.approx(12.5)
