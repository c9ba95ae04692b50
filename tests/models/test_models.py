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
from flax.traverse_util import flatten_dict
from jax import lax

from dbnet_jax.binarization import differentiable_binarization, standard_binarization
from dbnet_jax.detection.network import make_eval_step
from dbnet_jax.models import create_model
from dbnet_jax.models.head import PixelPatches
from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.layers.conv import Conv, max_pool
from dbnet_jax.models.layers.initialization import fresh_variables
from tests.helpers.convolutions import plain

NARROW = {"width": 8, "inner_channels": 16}


def random(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


def fresh(model: nn.Module) -> Any:
    return jax.jit(lambda: fresh_variables(model, 0))()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_maps_have_the_size_of_the_images_and_lie_in_0_1(name):
    model = create_model(name, **NARROW)
    outputs = jax.jit(model.apply)(fresh(model), random(2, 64, 96, 3))
    for key in ("probability_map", "threshold_map", "binary_map"):
        assert outputs[key].shape == (2, 64, 96)
        assert outputs[key].dtype == jnp.float32
        assert 0 <= outputs[key].min() <= outputs[key].max() <= 1


def shapes_of(name: str, **options: Any) -> tuple[dict[str, jax.ShapeDtypeStruct], int]:
    """What the model gives for a batch of two, and its number of parameters; nothing is computed."""
    model, images = create_model(name, **options), jnp.zeros((2, 64, 96, 3))
    outputs, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    return outputs, sum(a.size for a in jax.tree.leaves(variables["params"]))


# Backbones without their classifiers and dead weights; counted by torchvision's and the official modules.
PARAMETERS = {"resnet18": 11_176_512, "resnet34": 21_284_672, "resnet50": 23_508_032, "resnet101": 42_500_160}


@pytest.mark.parametrize("name", ["resnet34", "resnet101", "deformable_resnet18", "deformable_resnet50"])
def test_every_backbone_makes_maps(name):
    outputs, _ = shapes_of(name)
    for key in ("probability_map", "threshold_map", "binary_map"):
        assert (outputs[key].shape, outputs[key].dtype) == ((2, 64, 96), jnp.float32)


@pytest.mark.parametrize(("name", "neck"), [("resnet18", "fpn"), ("mobilenet_v3_small", "fpe")])
def test_every_neck_goes_with_scale_fusion(name, neck):
    plain, size = shapes_of(name, neck=neck)
    fused, fused_size = shapes_of(name, neck=neck, scale_fusion=True)
    assert plain["binary_map"].shape == fused["binary_map"].shape == (2, 64, 96)
    # 3×3 from 256 to 64 with a bias; a gate by 16 channels; 3×3 and 1×1 of one channel; four weights.
    assert fused_size - size == 256 * 64 * 9 + 64 + 2 * 64 * 16 + 9 + 1 + 64 * 4


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_resnet_has_as_many_parameters_as_its_namesake(name):
    model, images = create_model(name), jnp.zeros((1, 64, 64, 3))
    params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    assert sum(a.size for a in jax.tree.leaves(params["backbone"])) == PARAMETERS[name]


def test_deformable_convolutions_are_where_the_official_code_has_them():
    model, images = create_model("deformable_resnet50"), jnp.zeros((1, 64, 64, 3))
    backbone = jax.eval_shape(model.init, jax.random.key(0), images)["params"]["backbone"]
    found = {path[:2] for path in flatten_dict(backbone) if "offset" in path}
    assert found == {(f"layer{s}_block{i}", "conv2") for s, blocks in ((2, 4), (3, 6), (4, 3)) for i in range(blocks)}


def test_options_of_the_decoder_change_what_they_say():
    _, size = shapes_of("resnet18", **NARROW)
    outputs, standard = shapes_of("resnet18", **NARROW, adaptive=False)
    assert set(outputs) == {"probability_map", "probability_logits"}
    # Two normalisations, a 3×3, a transposed 2×2 with its bias and the last one.
    assert size - standard == 4 * 4 + 16 * 4 * 9 + 4 * 4 * 4 + 4 + 4 * 4 + 1
    assert shapes_of("resnet18", **NARROW, serial=True)[1] - size == 4 * 9
    for attention, parameters in (("scale_spatial", 9 + 1 + 4 * 4), ("scale_channel", 4 * 2 + 2 * 2 + 2 * 4)):
        fused = shapes_of("resnet18", **NARROW, scale_fusion=True, attention=attention)[1]
        assert fused - size == 16 * 4 * 9 + 4 + parameters


def test_steepness_of_the_binarisation_is_an_option():
    model = create_model("resnet18", **NARROW, k=10.0)
    outputs = jax.jit(model.apply)(fresh(model), random(1, 64, 64, 3))
    maps = outputs["probability_map"], outputs["threshold_map"]
    np.testing.assert_allclose(outputs["binary_map"], differentiable_binarization(*maps, 10.0), atol=1e-5)
    assert np.abs(outputs["binary_map"] - differentiable_binarization(*maps, 50.0)).max() > 0.01


@pytest.mark.parametrize(
    "options",
    [
        {"neck": "fpe", "scale_fusion": True, "attention": "scale_channel", "attention_channels": 16},
        {"neck": "fpn", "scale_fusion": True, "attention_channels": 16, "serial": True},
    ],
)
def test_every_parameter_learns(options):
    """A gradient reaches each parameter: no branch is left out, none is dead."""
    model, images = create_model("resnet18", **options, **NARROW), random(2, 64, 64, 3)
    variables = fresh(model)

    def loss(params: Any) -> jax.Array:
        outputs, _ = model.apply(variables | {"params": params}, images, train=True, mutable=["batch_stats"])
        return (outputs["probability_map"] ** 2).sum() + (outputs["threshold_map"] ** 3).sum()

    gradients = jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(variables["params"]))
    still = [jax.tree_util.keystr(path) for path, gradient in gradients if not np.any(gradient)]
    assert not still


def test_running_statistics_are_those_of_pytorch():
    """By hand: the running variance takes n / (n − 1) of the batch's; the normalisation takes the batch's own."""
    x = random(2, 3, 1, 5)
    layer = BatchNorm(use_running_average=False, momentum=0.9)
    variables = layer.init(jax.random.key(0), x)
    y, updated = layer.apply(variables, x, mutable=["batch_stats"])
    values = np.asarray(x).reshape(6, 5)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * values.mean(0), atol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.9 + 0.1 * values.var(0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(y.reshape(6, 5), (values - values.mean(0)) / np.sqrt(values.var(0) + 1e-5), atol=1e-5)
    # Far from zero, once the running mean has come near: the variance keeps its digits.
    settled = {"params": variables["params"], "batch_stats": {"mean": jnp.full(5, 999.0), "var": jnp.ones(5)}}
    far, updated = layer.apply(settled, x + 1000, mutable=["batch_stats"])
    np.testing.assert_allclose(far, y, atol=2e-3)  # of x + 1000 itself three digits are left behind the point
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.9 + 0.1 * values.var(0, ddof=1), rtol=1e-4)
    flax_y = nn.BatchNorm(use_running_average=False).apply(variables, x, mutable=["batch_stats"])[0]
    np.testing.assert_allclose(y, flax_y, atol=1e-5)
    still = BatchNorm(use_running_average=True).apply(variables, x)
    np.testing.assert_allclose(still, x / np.sqrt(1 + 1e-5), atol=1e-6)


@pytest.mark.parametrize(("size", "strides", "hw"), [(7, 2, (32, 64)), (1, 1, (8, 9)), (1, 2, (9, 8)), (3, 2, (8, 9))])
def test_a_convolution_equals_the_plain_one(size, strides, hw):
    x = random(2, *hw, 3)
    conv = Conv(5, size, strides)
    variables = conv.init(jax.random.key(1), x)
    expected = plain(x, variables["params"]["kernel"], strides, (size - 1) // 2)
    np.testing.assert_allclose(conv.apply(variables, x), expected, atol=1e-5)


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
    numbers = ("NHWC", "HWIO", "NHWC")
    expected = lax.conv_transpose(x, kernel[::-1, ::-1], (2, 2), "VALID", dimension_numbers=numbers)
    patches = layer.apply(variables, x).reshape(1, 3, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 6, 8, 2)
    # conv_transpose of lax correlates with the kernel as it lies: flipped, it scatters it.
    np.testing.assert_allclose(patches, expected, atol=1e-5)


def test_bfloat16_keeps_parameters_and_statistics_in_float32():
    model = create_model("resnet18", dtype=jnp.bfloat16, **NARROW)
    images = random(2, 64, 64, 3)
    variables = fresh(model)
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
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))

    def lowered(names: tuple[str, ...]) -> str:
        return make_eval_step(model, "imagenet").lower(variables, images, names).compile().as_text()

    alone, both = lowered(("probability_map",)), lowered(("probability_map", "threshold_map"))
    assert "/threshold_head/" in both
    assert "/threshold_head/" not in alone
    assert convolutions(alone) < convolutions(both)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet99", {}, "resnet99"),
        ("resnet18", {"depth": 3}, "depth"),
        ("deformable_resnet50", {"dcn": False}, r"`dcn`.*deformable_resnet50"),
        ("mobilenet_v3_small", {"dcn": True}, r"`dcn`.*mobilenet_v3_small"),
        ("mobilenet_v3_small", {"max_width": 8}, r"`max_width` \(=8\) is an option of resnet18, .* wants None"),
        ("resnet18", {"serial": True, "adaptive": False}, "`serial`"),
        ("resnet18", {"scale_fusion": True, "attention": "loud"}, r"`attention` .*loud.*scale_spatial"),
        ("resnet18", {"inner_channels": 8, "scale_fusion": True}, r"inner_channels.*multiple of 16"),
        ("resnet18", {"inner_channels": 30}, "inner_channels"),
    ],
)
def test_names_and_options_that_cannot_work_are_refused(name, options, words):
    with pytest.raises(ValueError, match=words):
        create_model(name, **options)


def test_a_size_that_is_no_multiple_of_32_is_refused():
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
