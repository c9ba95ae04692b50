"""Names and layouts of PyTorch weights: the official ones, mmocr's, torchvision's and timm's, there and back."""

import json

import jax
import numpy as np
import pytest

from dbnet_jax.models import create_model
from dbnet_jax.torch_weights import describe, export_torch_weights, load_torch_weights
from dbnet_jax.torch_weights.layouts import Layout
from dbnet_jax.torch_weights.names import NameTable, is_dead
from dbnet_jax.torch_weights.options import option_of
from tests.helpers.paths import SHARED
from tests.helpers.torch_models import SMALL, assert_same, random_variables, shapes_found_once  # noqa: F401  (the fixture works by itself)

GOLDEN = SHARED / "golden"


def model_of(state_dict):
    options = describe(state_dict)
    options.pop("normalization")
    return create_model(options.pop("backbone"), **options)


@pytest.mark.parametrize("name", ["resnet18", "resnet18_scale_fusion", "deformable_resnet18", "mobilenet_v3_large"])
def test_the_maps_equal_the_official_ones(shared, official_weights, name):
    weights = official_weights(name)
    golden = np.load(shared / f"golden/named_{name}.npz")
    model = model_of(weights)
    outputs = jax.jit(model.apply)(load_torch_weights(weights, model), golden["images"])
    for key, tolerance in (("probability_map", 1e-4), ("threshold_map", 1e-4), ("binary_map", 1e-3)):
        np.testing.assert_allclose(outputs[key], golden[key].reshape(outputs[key].shape), atol=tolerance)


@pytest.mark.parametrize("name", sorted(file.stem.removeprefix("keys_") for file in GOLDEN.glob("keys_*.json")))
def test_every_official_name_comes_in_and_goes_out(shared, name):
    shapes = json.loads((shared / f"golden/keys_{name}.json").read_text())
    weights = {
        key: np.arange(np.prod(shape), dtype=dtype.removeprefix("torch.")).reshape(shape)
        for key, (shape, dtype) in shapes.items()
    }
    options = describe(weights)
    backbone = name.removesuffix("_scale_fusion")
    plain = backbone.removeprefix("deformable_")
    assert (options["backbone"], options["dcn"]) == (plain, plain != backbone)
    assert options["scale_fusion"] == name.endswith("_scale_fusion")
    assert options["dcn_offsets"] == ("official" if backbone == "deformable_resnet50" else "strided")
    assert options["normalization"] == "official"
    model = model_of(weights)
    wrapped = {"epoch": 3, "state_dict": {f"model.module.{key}": array for key, array in weights.items()}}
    exported = export_torch_weights(load_torch_weights(wrapped, model), model)
    assert exported.keys() == {key for key in weights if not is_dead(key)}
    for key, array in exported.items():
        np.testing.assert_array_equal(array, weights[key], err_msg=key)


@pytest.mark.parametrize("source", ["official", "mmocr"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {}),
        ("deformable_resnet50", {"scale_fusion": True}),
        ("resnet34", {"scale_fusion": True, "attention": "scale_spatial", "attention_channels": 16}),
        ("deformable_resnet18", {"adaptive": False}),
        ("mobilenet_v3_small", {}),
        ("mobilenet_v3_large", {"width": 32}),
    ],
)
def test_what_is_exported_is_recognised_and_comes_back(source, name, options):
    model = create_model(name, **SMALL | options)
    variables = random_variables(model)
    exported = export_torch_weights(variables, model, source)
    assert_same(load_torch_weights(exported, model), variables)
    found = describe(exported)
    assert found.pop("normalization") == {"official": "official", "mmocr": "imagenet"}[source]
    if found.pop("dcn_offsets") == "official":
        assert (source, name) == ("official", "deformable_resnet50")
    for option, value in found.items():
        assert option_of(model, option, None) == value, option


def test_serial_and_scale_channel_have_official_names():
    model = create_model("resnet18", **SMALL, serial=True, scale_fusion=True, attention="scale_channel")
    variables = random_variables(model)
    exported = export_torch_weights(variables, model)
    assert exported["decoder.thresh.0.weight"].shape == (4, 17, 3, 3)
    assert exported["decoder.concat_attention.enhanced_attention.bn.running_var"].shape == (2,)
    assert_same(load_torch_weights(exported, model), variables)
    assert describe(exported)["serial"]
    assert describe(exported)["attention"] == "scale_channel"
    with pytest.raises(ValueError, match=r"mmocr.* scale_fusion/fc1/kernel"):
        export_torch_weights(variables, model, "mmocr")


def mmocr_of(official, head: str, threshold: str):
    """What mmocr would hold, written out: it has the finest level first where the official code has the coarsest."""

    def levels_reversed(array):
        return np.concatenate(np.split(array, 4, axis=1)[::-1], axis=1)

    attention = "decoder.concat_attention.enhanced_attention."
    renamed = {
        "decoder.concat_attention.conv": "neck.asf_conv.conv",
        f"{attention}channel_wise.1": "neck.asf_attn.channel_wise.0.conv",
        f"{attention}channel_wise.3": "neck.asf_attn.channel_wise.1.conv",
        f"{attention}spatial_wise.0": "neck.asf_attn.spatial_wise.0.conv",
        f"{attention}spatial_wise.2": "neck.asf_attn.spatial_wise.1.conv",
        f"{attention}attention_wise.0": "neck.asf_attn.attention_wise.conv",
    }
    for level in (2, 3, 4, 5):
        renamed[f"decoder.in{level}"] = f"neck.lateral_convs.{level - 2}.conv"
        renamed[f"decoder.out{level}" + (".0" if level > 2 else "")] = f"neck.smooth_convs.{level - 2}.conv"
    theirs = {}
    for name, array in official.items():
        module, leaf = name.rsplit(".", 1)
        if name in ("decoder.binarize.0.weight", "decoder.thresh.0.weight", "decoder.concat_attention.conv.weight"):
            array = levels_reversed(array)
        if "attention_wise" in name:
            array = array[::-1]
        module = renamed.get(module, module).replace("conv2_offset", "conv2.conv_offset")
        module = module.replace("decoder.binarize", f"{head}.binarize").replace("decoder.thresh", f"{head}.{threshold}")
        theirs[f"{module}.{leaf}"] = array
    return theirs


@pytest.mark.parametrize(("head", "threshold"), [("det_head", "threshold"), ("bbox_head", "thresh")])
def test_mmocr_weights_are_the_official_ones_with_the_levels_turned_round(head, threshold):
    model = create_model("deformable_resnet18", **SMALL, scale_fusion=True, attention_channels=16)
    variables = random_variables(model)
    theirs = mmocr_of(export_torch_weights(variables, model), head, threshold)
    theirs["data_preprocessor.mean"] = np.zeros((3, 1, 1), np.float32)
    assert_same(load_torch_weights({"meta": {}, "state_dict": theirs}, model), variables)
    if head == "det_head":
        exported = export_torch_weights(variables, model, "mmocr")
        assert exported.keys() | {"data_preprocessor.mean"} == theirs.keys()


def test_a_transposed_convolution_is_not_flipped():
    theirs = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)  # in, out, height, width
    ours = Layout.TRANSPOSED.to_ours(theirs)
    assert ours[0, 1, 1, 2] == theirs[1, 2, 0, 1]
    assert ours.shape == Layout.TRANSPOSED.our_shape(theirs.shape) == (2, 2, 2, 3)


@pytest.mark.parametrize("layout", Layout)
def test_a_layout_goes_there_and_back(layout):
    shape = (8, 12, 3, 5)[: layout.their_axes]
    theirs = np.random.default_rng(0).uniform(0.5, 1, shape).astype(np.float32)
    ours = layout.to_ours(theirs)
    assert ours.shape == layout.our_shape(shape)
    assert layout.their_shape(ours.shape) == shape
    np.testing.assert_allclose(layout.to_theirs(ours), theirs, rtol=0 if layout is not Layout.VARIANCE else 1e-6)


# Read off torchvision 0.29 and timm 1.0.
@pytest.mark.parametrize(
    ("source", "size", "name", "path"),
    [
        ("torchvision", "large", "features.0.0.weight", "stem_conv/kernel"),
        ("torchvision", "large", "features.1.block.0.0.weight", "block1/depthwise/kernel"),
        ("torchvision", "large", "features.1.block.1.1.running_var", "block1/project_bn/var"),
        ("torchvision", "large", "features.2.block.2.0.weight", "block2/project_conv/kernel"),
        ("torchvision", "large", "features.4.block.2.fc1.bias", "block4/squeeze/bias"),
        ("torchvision", "large", "features.15.block.3.1.weight", "block15/project_bn/scale"),
        ("torchvision", "large", "features.16.1.bias", "last_bn/bias"),
        ("torchvision", "small", "features.1.block.1.fc2.weight", "block1/excite/kernel"),
        ("torchvision", "small", "features.1.block.2.0.weight", "block1/project_conv/kernel"),
        ("torchvision", "small", "features.12.0.weight", "last_conv/kernel"),
        ("timm", "large", "bn1.weight", "stem_bn/scale"),
        ("timm", "large", "blocks.0.0.conv_pw.weight", "block1/project_conv/kernel"),
        ("timm", "large", "blocks.2.1.bn2.running_mean", "block5/depthwise_bn/mean"),
        ("timm", "large", "blocks.5.2.conv_pwl.weight", "block15/project_conv/kernel"),
        ("timm", "large", "blocks.6.0.conv.weight", "last_conv/kernel"),
        ("timm", "small", "blocks.0.0.se.conv_reduce.weight", "block1/squeeze/kernel"),
        ("timm", "small", "blocks.4.0.se.conv_expand.bias", "block9/excite/bias"),
        ("timm", "small", "blocks.5.0.bn1.bias", "last_bn/bias"),
    ],
)
def test_names_of_imagenet_mobilenets(source, size, name, path):
    table = NameTable(source, f"mobilenet_v3_{size}")
    place = table.path(name)
    assert place is not None
    assert place[0] == f"backbone/{path}"
    assert table.names(f"backbone/{path}")[0][0] == name
