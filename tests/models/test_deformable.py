"""Modulated deformable convolution: against the official operation, against the plain convolution, and its limits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dbnet_jax.models.layers.deformable import DeformableConv, _flat_head, deformable_conv
from dbnet_jax.ops.bilinear import sample
from tests.helpers.convolutions import plain
from tests.helpers.paths import DATA

# Compiled whole: an operation at a time takes longer.
compiled_conv = jax.jit(deformable_conv, static_argnames=("strides", "padding", "dilation"))
GOLDEN = DATA / "dcn_op.npz"


def random(*shape: int, scale: float = 1.0) -> jax.Array:
    return scale * jax.random.normal(jax.random.key(sum(shape)), shape)


def golden(strides: int, offsets: str) -> tuple[Callable[..., jax.Array], list[jax.Array], dict[str, np.ndarray]]:
    """The official operation's case: the function of (x, offset, mask, weight), these, and what came out."""
    with np.load(GOLDEN) as file:
        case = {name.removeprefix(f"s{strides}_"): file[name] for name in file.files if name.startswith(f"s{strides}_")}
    arrays = {
        name: a.transpose(2, 3, 1, 0) if name.endswith("weight") else a.transpose(0, 2, 3, 1)
        for name, a in case.items()
    }

    def function(x: jax.Array, offset: jax.Array, mask: jax.Array, weight: jax.Array) -> jax.Array:
        if strides > 1:
            take = (lambda a: _flat_head(a, strides)) if offsets == "official" else (lambda a: a[:, ::2, ::2])
            offset, mask = take(offset), take(mask)
        offset = offset.reshape(*offset.shape[:3], 1, 9, 2)
        return deformable_conv(x, offset, mask[..., None, :], weight, strides=strides)

    return function, [jnp.asarray(arrays[name]) for name in ("x", "offset", "mask", "weight")], arrays


@pytest.mark.parametrize("offsets", ["strided", "official"])
@pytest.mark.parametrize("strides", [1, 2])
def test_it_equals_the_official_operation(strides, offsets):
    function, arguments, expected = golden(strides, offsets)
    np.testing.assert_allclose(jax.jit(function)(*arguments), expected[f"out_{offsets}"], atol=1e-5)


@pytest.mark.parametrize("strides", [1, 2])
def test_its_gradients_equal_the_official_ones(strides):
    function, arguments, expected = golden(strides, "strided")
    backward = jax.jit(lambda arguments, g: jax.vjp(function, *arguments)[1](g))
    gradients = backward(arguments, jnp.asarray(expected["grad_out"]))
    for name, gradient in zip(("x", "offset", "mask", "weight"), gradients, strict=True):
        np.testing.assert_allclose(gradient, expected[f"grad_{name}"], atol=3e-5, err_msg=name)


@pytest.mark.parametrize(
    ("size", "strides", "padding", "dilation"), [(3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 3, 0, 1), (1, 2, 0, 1)]
)
def test_without_displacement_it_is_the_plain_convolution(size, strides, padding, dilation):
    x, kernel = random(2, 13, 10, 4), random(size, size, 4, 3)
    expected = plain(x, kernel, strides, padding, dilation)
    points = (*expected.shape[:3], 1, size**2)
    out = compiled_conv(
        x, jnp.zeros((*points, 2)), jnp.ones(points), kernel, strides=strides, padding=padding, dilation=dilation
    )
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_each_group_of_channels_is_displaced_on_its_own():
    x, kernel = random(2, 6, 7, 4), random(3, 3, 4, 3)
    offset, mask = random(2, 6, 7, 2, 9, 2), random(2, 6, 7, 2, 9)
    out = compiled_conv(x, offset, mask, kernel)
    halves = [
        compiled_conv(
            x[..., 2 * g : 2 * g + 2], offset[:, :, :, g, None], mask[:, :, :, g, None], kernel[:, :, 2 * g : 2 * g + 2]
        )
        for g in range(2)
    ]
    np.testing.assert_allclose(out, halves[0] + halves[1], atol=1e-5)


def test_whole_displacements_read_other_pixels_and_zeros_outside():
    x = random(1, 5, 6, 2)
    kernel = jnp.eye(2)[None, None]
    points = (1, 5, 6, 1, 1)
    for dy, dx in ((1, -2), (-3, 4), (100, 0), (0, -1e9)):
        offset = jnp.broadcast_to(jnp.array([float(dy), float(dx)]), (*points, 2))
        out = compiled_conv(x, offset, jnp.ones(points), kernel, padding=0)
        expected = np.zeros(x.shape, np.float32)
        for row in range(5):
            for col in range(6):
                if 0 <= row + dy < 5 and 0 <= col + dx < 6:
                    expected[0, row, col] = x[0, row + int(dy), col + int(dx)]
        np.testing.assert_array_equal(out, expected)


def test_a_fresh_layer_is_half_of_a_plain_convolution_and_its_offsets_learn():
    x = random(1, 8, 9, 4)
    layer = DeformableConv(3, strides=2)
    out, variables = jax.jit(layer.init_with_output)(jax.random.key(0), x)
    np.testing.assert_allclose(out, 0.5 * plain(x, variables["params"]["kernel"], 2, 1, 1), atol=1e-5)
    gradients = jax.jit(jax.grad(lambda v: (layer.apply(v, x) ** 2).sum()))(variables)["params"]["offset"]
    assert np.abs(gradients["kernel"]).max(axis=(0, 1, 2)).min() > 0  # every offset and every mask


def test_official_offsets_are_the_head_of_the_flat_memory():
    x = random(2, 6, 8, 4)
    layer = DeformableConv(3, strides=2, offsets="official")
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    raw = random(2, 27, 6, 8)
    offset = np.stack([sample.ravel()[: 18 * 12].reshape(18, 3, 4) for sample in np.asarray(raw[:, :18])])
    logits = np.stack([sample.ravel()[: 9 * 12].reshape(9, 3, 4) for sample in np.asarray(raw[:, 18:])])
    expected = compiled_conv(
        x,
        jnp.asarray(offset.transpose(0, 2, 3, 1).reshape(2, 3, 4, 1, 9, 2)),
        jax.nn.sigmoid(jnp.asarray(logits.transpose(0, 2, 3, 1)))[..., None, :],
        variables["params"]["kernel"],
        strides=2,
    )

    def raw_instead(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        out = next_call(*args, **kwargs)
        if context.module.name != "offset":
            return out
        assert out.shape == (2, 6, 8, 27)  # of stride 1
        return raw.transpose(0, 2, 3, 1)

    with nn.intercept_methods(raw_instead):
        given = jax.jit(layer.apply)(variables, x)
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_a_point_at_the_border_has_no_gradient_and_one_between_pixels_has():
    """At −1 and at the height the reference's kernel has left the picture; just inside the derivative is the pixel."""
    x = random(1, 4, 5, 2)

    def value(y: jax.Array) -> jax.Array:
        points = jnp.stack([y, jnp.float32(2.0)])[None, None]
        return sample(x.reshape(1, 20, 2), (4, 5), points).sum()

    slope = jax.jit(jax.grad(value))
    slopes = [float(slope(jnp.float32(y))) for y in (-1.0, -0.5, 0.0, 1.0, 3.0, 3.5, 4.0)]
    column = np.asarray(x[0, :, 2].sum(-1))
    steps = np.diff(np.concatenate([[0.0], column, [0.0]]))
    np.testing.assert_allclose(slopes, [0, steps[0], steps[1], steps[2], steps[4], steps[4], 0], atol=1e-6)


def test_what_is_no_number_does_not_pass_for_a_point_outside():
    x = random(1, 4, 5, 2)
    points = jnp.array([[[jnp.nan, 1.0], [1.0, 1.0], [jnp.inf, 0.0], [1e30, 0.0]]])
    values = jax.jit(sample, static_argnums=1)(x.reshape(1, 20, 2), (4, 5), points)
    assert np.isnan(values[0, 0]).all()
    np.testing.assert_array_equal(values[0, 1:], np.stack([x[0, 1, 1], np.zeros(2), np.zeros(2)]))


def test_an_empty_batch_is_one():
    out = deformable_conv(
        jnp.zeros((0, 6, 6, 4)), jnp.zeros((0, 6, 6, 1, 9, 2)), jnp.zeros((0, 6, 6, 1, 9)), random(3, 3, 4, 2)
    )
    assert out.shape == (0, 6, 6, 2)


def test_bfloat16_keeps_its_positions_exact():
    """A picture wider than bfloat16 can count: its last columns must still be read each for itself."""
    width = 600
    x = jnp.broadcast_to(jnp.arange(width) % 100.0, (1, width))[:, None, :, None].astype(jnp.bfloat16)
    points = (1, 1, width, 1, 1)
    offset = jnp.zeros((*points, 2), jnp.bfloat16)
    out = compiled_conv(x, offset, jnp.ones(points, jnp.bfloat16), jnp.ones((1, 1, 1, 1)), padding=0)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_array_equal(out, x)

    def total(x: jax.Array) -> jax.Array:
        return deformable_conv(x, offset, jnp.ones(points), jnp.ones((1, 1, 1, 1)), padding=0).sum().astype(float)

    gradient = jax.jit(jax.grad(total))(x)
    np.testing.assert_array_equal(gradient.astype(jnp.float32), np.ones(x.shape))


def test_it_lowers_for_every_platform():
    layer = DeformableConv(8, strides=2)
    x = random(1, 8, 8, 4)
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)
    step = jax.jit(jax.value_and_grad(lambda v, x: layer.apply(v, x).sum()))
    exported = jax.export.export(step, platforms=["cpu", "cuda", "tpu"])(variables, x)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_no_array_holds_the_samples_of_all_taps():
    x, kernel = random(1, 16, 16, 32), random(3, 3, 32, 32)
    offset, mask = random(1, 16, 16, 1, 9, 2), random(1, 16, 16, 1, 9)
    loss = jax.grad(lambda *a: (deformable_conv(*a) ** 2).sum(), (0, 1, 2, 3))
    jaxpr = jax.make_jaxpr(loss)(x, offset, mask, kernel)

    def sizes(jaxpr: Any) -> list[int]:
        found = [v.aval.size for eqn in jaxpr.eqns for v in eqn.outvars]
        for eqn in jaxpr.eqns:
            for value in eqn.params.values():
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    found += sizes(inner)
        return found

    one_tap = 16 * 16 * 32
    assert max(sizes(jaxpr.jaxpr)) <= max(one_tap, kernel.size)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("offset", "mask", "kernel", "words"),
    [
        ((1, 5, 6, 1, 9, 2), (1, 5, 6, 1, 9), (3, 3, 4, 2), r"`mask` \(=\(1, 5, 6, 1, 9\)\).*\(1, 6, 6, 1, 9\)"),
        ((1, 6, 6, 9, 1, 2), (1, 6, 6, 1, 9), (3, 3, 4, 2), r"`offset` \(=\(1, 6, 6, 9, 1, 2\)\)"),
        ((1, 6, 6, 1, 9, 1), (1, 6, 6, 1, 9), (3, 3, 4, 2), r"`offset` \(=\(1, 6, 6, 1, 9, 1\)\)"),
        ((1, 6, 6, 1, 9, 2), (1, 6, 6, 1, 9), (3, 3, 2, 2), r"`kernel`.*4 channels"),
        ((1, 6, 6, 3, 9, 2), (1, 6, 6, 3, 9), (3, 3, 4, 2), r"3 groups"),
    ],
)
def test_sizes_that_do_not_fit_are_named(offset, mask, kernel, words):
    x, arrays = random(1, 6, 6, 4), [jnp.zeros(shape) for shape in (offset, mask, kernel)]
    with pytest.raises(ValueError, match=words):
        deformable_conv(x, *arrays)


def test_offsets_of_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match="sideways"):
        DeformableConv(2, offsets="sideways").init(jax.random.key(0), random(1, 6, 6, 4))
