"""Convolutions in the forms that a CPU finds fast: the sums of the plain ones, and nothing else on other platforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import export

from dbnet_jax.models.layers.conv import upsample
from dbnet_jax.models.layers.upsampled import LevelsConv, convolve_doubled
from dbnet_jax.models.necks.fpn import FPN
from dbnet_jax.ops.convolution import SMALL, convolve, pixel_product
from tests.helpers.convolutions import SAME, plain, random, with_gradients


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)


def assert_same(ours, theirs, arguments, tolerance=2e-6):
    """Function, output and all gradients, relative to the largest element of each."""
    shape = jax.eval_shape(theirs, *arguments).shape
    cotangent = random(9, *shape).astype(arguments[0].dtype)
    pairs = zip(with_gradients(ours)(*arguments, cotangent), with_gradients(theirs)(*arguments, cotangent), strict=True)
    for a, b in pairs:
        a, b = (np.asarray(array, np.float32) for array in (a, b))
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max(), rtol=0)


# Rows that are no multiple of a block's, several images in a block, one row that is more than a block, and few pixels.
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 45, 100), (3, 21, 100), (2, 3, 1400), (2, 5, 4)])
@pytest.mark.parametrize(("channels", "features"), [(5, 18), (18, 5)])
def test_it_is_the_plain_convolution(batch, height, width, channels, features):
    assert_same(convolve_same, plain, (random(0, batch, height, width, channels), random(1, 3, 3, channels, features)))


def convolve_same(x, kernel):
    return convolve(x, kernel, 1, SAME)


@pytest.mark.parametrize(("channels", "features"), [(5, 18), (18, 5)])
@pytest.mark.parametrize(
    ("size", "strides", "padding", "hw"),
    [
        (3, 2, SAME, (90, 97)),
        (3, 2, SAME, (90, 96)),
        (4, 1, ((2, 1), (2, 1)), (40, 41)),
        (2, 3, ((0, 2), (1, 0)), (100, 121)),
    ],
)
def test_with_strides_and_uneven_padding_too(size, strides, padding, hw, channels, features):
    def both(form):
        return lambda x, kernel: form(x, kernel, strides, padding)

    arguments = (random(0, 1, *hw, channels), random(1, size, size, channels, features))
    assert jax.eval_shape(both(plain), *arguments).size // features >= SMALL
    assert_same(both(convolve), both(plain), arguments)


def test_in_bfloat16_the_gradient_is_summed_in_float32():
    x, kernel, g = (
        random(i, *s).astype(jnp.bfloat16) for i, s in enumerate([(1, 64, 64, 8), (3, 3, 8, 4), (1, 64, 64, 4)])
    )
    _, _, gradient = with_gradients(convolve_same)(x, kernel, g)
    exact = with_gradients(plain)(*(a.astype(jnp.float32) for a in (x, kernel, g)))[2]
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_array_equal(gradient, exact.astype(jnp.bfloat16))


@pytest.mark.parametrize("shape", [(2, 40, 33), (2, 25, 10, 4), (2, 3, 3)])
@pytest.mark.parametrize(("channels", "features"), [(5, 9), (9, 5)])
def test_products_over_pixels_are_matrix_products(shape, channels, features):
    assert_same(pixel_product, jnp.matmul, (random(0, *shape, channels), random(1, channels, features)))


def test_only_a_cpu_gets_other_forms():
    x, kernel = random(0, 1, 64, 64, 8), random(1, 3, 3, 8, 16)
    run = with_gradients(lambda x, kernel: pixel_product(convolve(x, kernel, 1, SAME), kernel[0, 0].T))
    traced = run.trace(x, kernel, x)
    programs = {p: traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda", "tpu")}
    assert {p: text.count("stablehlo.while") for p, text in programs.items()} == {"cpu": 2, "cuda": 0, "tpu": 0}
    assert [p for p, text in programs.items() if "-> tensor<1x65x64x16xf32>" in text] == ["cpu"]
    export.export(run, platforms=("cpu", "cuda", "tpu"))(x, kernel, x)


@pytest.mark.parametrize("hw", [(5, 8), (1, 1)])
def test_a_doubled_image_is_convolved_without_its_doubling(hw):
    arguments = (random(0, 2, *hw, 6), random(1, 3, 3, 6, 4))
    assert_same(convolve_doubled, lambda x, kernel: plain(upsample(x, 2), kernel), arguments)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("use_bias", [False, True])
def test_levels_are_convolved_as_if_they_were_concatenated(count, use_bias):
    levels = [random(i, 2, 2 * 2**i, 3 * 2**i, 4 + i) for i in range(count)]
    conv = LevelsConv(5, use_bias=use_bias)
    shapes = jax.eval_shape(conv.init, jax.random.key(7), levels)
    variables = jax.tree.map(lambda leaf: random(8, *leaf.shape), shapes)
    together = jnp.concatenate([upsample(x, 2 ** (count - 1 - i)) for i, x in enumerate(levels)], -1)
    expected = nn.Conv(5, (3, 3), padding=1, use_bias=use_bias).apply(variables, together)
    largest = float(jnp.abs(expected).max())
    np.testing.assert_allclose(jax.jit(conv.apply)(variables, levels), expected, atol=2e-6 * largest, rtol=0)


def test_the_pyramids_finest_level_is_a_lateral_sum_smoothed():
    """What the two convolutions and the sum give that the finest level is named after."""
    features = [random(i, 1, 32 >> i, 64 >> i, 6 * 2**i) for i in range(4)]
    fpn = FPN(inner_channels=16)
    found, variables = jax.jit(fpn.init_with_output)(jax.random.key(5), features)
    p = variables["params"]
    above = 0
    for i, level in ((3, 5), (2, 4), (1, 3), (0, 2)):
        above = features[i] @ p[f"in{level}"]["kernel"][0, 0] + (upsample(above, 2) if level < 5 else 0)
        expected = plain(above, p[f"out{level}"]["kernel"])
        np.testing.assert_allclose(found[5 - level], expected, atol=2e-5 * float(jnp.abs(expected).max()))
