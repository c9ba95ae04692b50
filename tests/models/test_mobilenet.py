"""MobileNetV3: both layouts' sizes and parameters, and the official implementation's outputs."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from dbnet_jax.models import create_model
from dbnet_jax.models.backbones.mobilenet_v3 import LAYOUTS, SIZES, Block, MobileNetV3, Row, nearest, scaled
from dbnet_jax.models.layers.conv import Conv
from dbnet_jax.models.layers.depthwise import depthwise_conv
from dbnet_jax.torch_weights import load_backbone_weights

NORM = functools.partial(nn.BatchNorm, use_running_average=True, epsilon=1e-5)
CHANNELS = {"large": (24, 40, 112, 960), "small": (16, 24, 48, 576)}


@functools.cache
def variables_of(size: str, layout: str) -> dict[tuple[str, ...], jax.ShapeDtypeStruct]:
    model = MobileNetV3(size, NORM, layout=layout)
    return flatten_dict(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3))))


def parameters(size: str, layout: str) -> int:
    return sum(leaf.size for path, leaf in variables_of(size, layout).items() if path[0] == "params")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("width", "hw"), [(64, (64, 96)), (24, (32, 64))])
def test_the_features_have_the_strides_4_8_16_32_and_the_widths_channels(size, layout, width, hw):
    model, images = MobileNetV3(size, NORM, width=width, layout=layout), jnp.zeros((2, *hw, 3))
    features, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images))
    expected = [
        (2, hw[0] // stride, hw[1] // stride, scaled(channels, width))
        for stride, channels in zip((4, 8, 16, 32), CHANNELS[size], strict=True)
    ]
    assert [feature.shape for feature in features] == expected


def test_channels_are_multiples_of_8():
    assert [scaled(channels, 64) for channels in (16, 184, 960)] == [16, 184, 960]
    assert [scaled(channels, 16) for channels in (16, 72, 120, 960)] == [8, 24, 32, 240]
    assert [nearest(channels / 4) for channels in (16, 72, 120, 672, 960)] == [8, 24, 32, 168, 240]


def test_the_layouts_differ_where_they_should():
    """The numbers of parameters, without the classifiers, are those of torchvision and of the official network."""
    assert parameters("large", "official") == 2965336
    assert parameters("large", "torchvision") == 2971952
    assert parameters("small", "torchvision") == 927008
    official, torchvision = (set(variables_of("large", layout)) for layout in LAYOUTS)
    assert ("params", "block1", "expand_conv", "kernel") in official - torchvision
    assert ("params", "block4", "squeeze", "bias") in torchvision - official
    assert {path[1:3] for path in official ^ torchvision} == {
        ("block1", "expand_conv"),
        ("block1", "expand_bn"),
        *((f"block{i}", layer) for i in (4, 5, 6, 11, 12, 13, 14, 15) for layer in ("squeeze", "excite")),
    }


def test_unknown_sizes_and_layouts_are_refused():
    with pytest.raises(ValueError, match="`size` \\(='medium'\\) must be one of 'large', 'small'"):
        variables_of("medium", "torchvision")
    with pytest.raises(ValueError, match="`layout` \\(='timm'\\)"):
        variables_of("large", "timm")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_block_computes_its_layouts_formula(layout):
    x = jax.random.normal(jax.random.key(0), (2, 6, 5, 8))
    block = Block(Row(5, 24, 8, True, nn.hard_swish, 1), conv=Conv, norm=NORM, layout=layout)
    shapes, rng = flatten_dict(jax.eval_shape(block.init, jax.random.key(0), x)), np.random.default_rng(0)
    v = {path[1:]: rng.uniform(-1, 1, leaf.shape).astype(np.float32) for path, leaf in shapes.items()}
    v |= {path: np.abs(a) for path, a in v.items() if path[-1] == "var"}

    def norm(y, name):
        scale, bias, mean, var = (v[name, leaf][None, None, None] for leaf in ("scale", "bias", "mean", "var"))
        return (y - mean) / np.sqrt(var + 1e-5) * scale + bias

    def gate(y):
        biases = [v.get((name, "bias"), np.zeros(1))[None] for name in ("squeeze", "excite")]
        y = np.maximum(y.mean((1, 2)) @ v["squeeze", "kernel"][0, 0] + biases[0], 0)
        return (np.clip(y @ v["excite", "kernel"][0, 0] + biases[1] + 3, 0, 6) / 6)[:, None, None]

    def hard_swish(y):
        return y * np.clip(y + 3, 0, 6) / 6

    y = hard_swish(norm(np.asarray(x) @ v["expand_conv", "kernel"][0, 0], "expand_bn"))
    y = norm(np.asarray(depthwise_conv(jnp.asarray(y), jnp.asarray(v["depthwise", "kernel"]))), "depthwise_bn")
    y = hard_swish(y * gate(y)) if layout == "official" else hard_swish(y) * gate(hard_swish(y))
    y = np.asarray(x) + norm(y @ v["project_conv", "kernel"][0, 0], "project_bn")
    variables = unflatten_dict({path: v[path[1:]] for path in shapes})
    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), y, atol=1e-4, rtol=1e-4)


def test_a_block_in_bfloat16_keeps_its_parameters_in_float32():
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 8))

    def outputs_and_gradients(dtype):
        norm = functools.partial(nn.BatchNorm, use_running_average=False, dtype=dtype)
        row = Row(3, 32, 16, True, nn.hard_swish, 2)
        block = Block(row, functools.partial(Conv, dtype=dtype), norm, "torchvision", dtype)
        variables = jax.jit(block.init)(jax.random.key(1), x)

        def loss(params):
            y, updates = block.apply({**variables, "params": params}, x.astype(dtype), mutable=["batch_stats"])
            return jnp.sum(jnp.sin(y.astype(jnp.float32))), (y, updates)

        return jax.jit(jax.grad(loss, has_aux=True))(variables["params"])

    gradients, (y, updates) = outputs_and_gradients(jnp.bfloat16)
    exact, (exact_y, _) = outputs_and_gradients(jnp.float32)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves((gradients, updates))} == {jnp.dtype("float32")}
    assert np.abs(y.astype(jnp.float32) - exact_y).mean() < 0.02
    for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(exact), strict=True):
        assert np.abs(a - b).mean() <= 0.1 * np.abs(b).max()


def test_the_features_equal_the_official_ones(shared, official_weights):
    golden = np.load(shared / "golden/named_mobilenet_v3_large.npz")
    model = create_model("mobilenet_v3_large")
    backbone = MobileNetV3("large", NORM)
    variables = load_backbone_weights(official_weights("mobilenet_v3_large"), model)
    variables = {collection: tree["backbone"] for collection, tree in variables.items()}
    c2, _, _, c5 = jax.jit(backbone.apply)(variables, golden["images"])
    for ours, theirs in ((c2, golden["c2"]), (c5, golden["c5"])):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
