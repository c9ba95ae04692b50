"""Depthwise convolution: the sums of a grouped convolution on every platform, and no grouped convolution on a CPU."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from dbnet_jax.models.layers.depthwise import DepthwiseConv, depthwise_conv
from tests.helpers import convolutions
from tests.helpers.convolutions import random

PLATFORMS = ("cpu", "cuda", "tpu")


def grouped(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    return convolutions.plain(x, kernel, strides, (kernel.shape[0] - 1) // 2, groups=x.shape[-1])


def with_gradients(conv, strides: int):
    """x, kernel, cotangent → the output and both gradients, compiled."""
    return convolutions.with_gradients(lambda x, kernel: conv(x, kernel, strides))


@pytest.mark.parametrize("hw", [(9, 8), (8, 12), (2, 1)])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 5])
def test_the_output_and_both_gradients_equal_the_grouped_convolutions(size, strides, hw):
    x, kernel = random(0, 2, *hw, 7), random(1, size, size, 1, 7)
    cotangent = random(2, 2, -(-hw[0] // strides), -(-hw[1] // strides), 7)
    ours = with_gradients(depthwise_conv, strides)(x, kernel, cotangent)
    theirs = with_gradients(grouped, strides)(x, kernel, cotangent)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("strides", [1, 2])
def test_only_a_cpu_gets_the_shifted_sum(strides):
    x, kernel, cotangent = random(0, 2, 8, 8, 6), random(1, 3, 3, 1, 6), random(2, 2, 8 // strides, 8 // strides, 6)
    traced = with_gradients(depthwise_conv, strides).trace(x, kernel, cotangent)
    for platform in PLATFORMS:
        lowered = traced.lower(lowering_platforms=(platform,)).as_text()
        assert bool(re.search(r"stablehlo.convolution.*feature_group_count = 6", lowered)) == (platform != "cpu")
        assert bool(re.search(r"stablehlo.convolution.*batch_group_count = 6", lowered)) == (platform != "cpu")
        assert ("stablehlo.convolution" in lowered) == (platform != "cpu")


def test_one_program_is_exported_for_all_platforms_and_sizes():
    kernel = random(1, 5, 5, 1, 6)
    height, width = export.symbolic_shape("h, w")
    images = jax.ShapeDtypeStruct((2, 2 * height, 2 * width, 6), jnp.float32)
    conv = jax.jit(lambda x: depthwise_conv(x, kernel, 2))
    program = export.deserialize(export.export(conv, platforms=PLATFORMS)(images).serialize())
    assert program.platforms == PLATFORMS
    x = random(0, 2, 8, 10, 6)
    np.testing.assert_allclose(program.call(x), grouped(x, kernel, 2), atol=2e-5)


def test_gradients_are_exported_for_all_platforms():
    arguments = random(0, 2, 9, 8, 6), random(1, 3, 3, 1, 6), random(2, 2, 5, 4, 6)
    program = export.export(with_gradients(depthwise_conv, 2), platforms=PLATFORMS)(*arguments)
    for a, b in zip(program.call(*arguments), with_gradients(grouped, 2)(*arguments), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_bfloat16_is_rounded_once():
    x, kernel, cotangent = (
        a.astype(jnp.bfloat16) for a in (random(0, 2, 9, 8, 7), random(1, 5, 5, 1, 7), random(2, 2, 9, 8, 7))
    )
    ours = with_gradients(depthwise_conv, 1)(x, kernel, cotangent)
    exact = with_gradients(grouped, 1)(*(a.astype(jnp.float32) for a in (x, kernel, cotangent)))
    for a, b in zip(ours, exact, strict=True):
        assert a.dtype == jnp.bfloat16
        # Half a unit in the last of eight binary places.
        np.testing.assert_allclose(a.astype(jnp.float32), b, rtol=2**-8, atol=1e-4)


def test_a_batch_on_many_devices_sends_one_sum():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    arguments = random(0, 8, 9, 8, 6), random(1, 3, 3, 1, 6), random(2, 8, 5, 4, 6)
    placed = [jax.device_put(a, s) for a, s in zip(arguments, (split, whole, split), strict=True)]
    compiled = with_gradients(depthwise_conv, 2).lower(*placed).compile()
    assert re.findall(r"= \S+ ((?:all|reduce|collective)-[a-z-]+)\(", compiled.as_text()) == ["all-reduce"]
    for a, b in zip(compiled(*placed), with_gradients(grouped, 2)(*arguments), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_layer_has_a_kernel():
    x = random(0, 2, 9, 8, 512)
    params = jax.jit(DepthwiseConv(5, strides=2, dtype=jnp.bfloat16).init)(jax.random.key(0), x)["params"]
    assert {name: (a.shape, a.dtype) for name, a in params.items()} == {"kernel": ((5, 5, 1, 512), jnp.float32)}
    # He initialisation: a filter sees 25 pixels.
    assert np.std(params["kernel"]) == pytest.approx((2 / 25) ** 0.5, rel=0.03)
    y = DepthwiseConv(5, strides=2).apply({"params": params}, x)
    np.testing.assert_allclose(y, grouped(x, params["kernel"], 2), atol=2e-5)


def test_kernels_and_strides_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match=r"`kernel` \(=\(4, 4, 1, 3\)\) must have an odd size"):
        depthwise_conv(random(0, 1, 8, 8, 3), random(1, 4, 4, 1, 3))
    with pytest.raises(ValueError, match=r"`strides` \(=4\) must be from 1 to the kernel's size \(=3\)"):
        depthwise_conv(random(0, 1, 8, 8, 3), random(1, 3, 3, 1, 3), 4)
