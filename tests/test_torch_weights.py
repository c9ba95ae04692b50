"""PyTorch weights come in whole, in the right places, and go out again as they were."""

import functools
import importlib.util
import json
import pathlib
import sys
from types import ModuleType

import jax
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from dbnet_jax import torch_weights
from dbnet_jax.models import create_model
from dbnet_jax.torch_files import read_state_dict
from dbnet_jax.torch_layouts import Layout
from dbnet_jax.torch_names import NameTable, is_dead
from dbnet_jax.torch_weights import (
    convert_state_dict,
    describe,
    export_torch_weights,
    load_backbone_weights,
    load_torch_weights,
    variable_shapes,
)

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "shared/golden"
SMALL = {"width": 8, "inner_channels": 16}


# Most of the time here would go into finding the shapes of the same few models.
shapes_of = functools.cache(variable_shapes)


@pytest.fixture(autouse=True)
def _shapes_are_found_once(monkeypatch):
    monkeypatch.setattr(torch_weights, "variable_shapes", shapes_of)


def random_variables(model, seed: int = 0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes_of(model))


def assert_same(a, b) -> None:
    a, b = flatten_dict(a), flatten_dict(b)
    assert a.keys() == b.keys()
    for key, array in a.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, b[key], err_msg="/".join(key))


def model_of(state_dict):
    options = describe(state_dict)
    options.pop("normalization")
    return create_model(options.pop("backbone"), **options)


@pytest.fixture(scope="module")
def named_weights(shared) -> ModuleType:
    spec = importlib.util.spec_from_file_location("named_weights", shared / "golden/named_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- against the official implementation
@pytest.mark.parametrize("name", ["resnet18", "resnet18_scale_fusion", "deformable_resnet18", "mobilenet_v3_large"])
def test_the_maps_equal_the_official_ones(shared, named_weights, name):
    shapes = json.loads((shared / f"golden/keys_{name}.json").read_text())
    weights = {key: named_weights.named_array(key, tuple(shape)) for key, (shape, _) in shapes.items()}
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
    assert (options["backbone"], options["dcn"]) == (
        backbone.removeprefix("deformable_"),
        backbone.startswith("deformable_"),
    )
    assert options["scale_fusion"] == name.endswith("_scale_fusion")
    assert options["dcn_offsets"] == ("official" if backbone == "deformable_resnet50" else "strided")
    assert options["normalization"] == "official"
    model = model_of(weights)
    wrapped = {"epoch": 3, "state_dict": {f"model.module.{key}": array for key, array in weights.items()}}
    exported = export_torch_weights(load_torch_weights(wrapped, model), model)
    assert exported.keys() == {key for key in weights if not is_dead(key)}
    for key, array in exported.items():
        np.testing.assert_array_equal(array, weights[key], err_msg=key)


# ---------------------------------------------------------------- names and layouts
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
        assert getattr(model, option) == value, option


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


# ---------------------------------------------------------------- backbones
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("torchvision", "resnet101"),
        ("torchvision", "mobilenet_v3_large"),
        ("torchvision", "mobilenet_v3_small"),
        ("timm", "resnet18"),
        ("timm", "mobilenet_v3_large"),
        ("timm", "mobilenet_v3_small"),
    ],
)
def test_an_imagenet_backbone_comes_in(source, name):
    model = create_model(name, **SMALL | {"width": 64 if "mobile" in name else 8}, mobilenet="torchvision")
    variables = random_variables(model)
    weights = export_torch_weights(variables, model, source)
    weights |= {"fc.weight": np.ones(3, np.float32), "classifier.3.bias": np.ones(3, np.float32)}
    weights |= {"bn1.num_batches_tracked": np.array(7)}
    loaded = load_backbone_weights(weights, model)
    for collection in ("params", "batch_stats"):
        ours = flatten_dict(variables[collection]["backbone"])
        theirs = flatten_dict(loaded[collection]["backbone"])
        assert ours.keys() == theirs.keys()
        for key, array in ours.items():
            np.testing.assert_allclose(theirs[key], array, rtol=1e-6)
    assert describe(weights)["backbone"] == name
    with pytest.raises(ValueError, match=r"(?s)missing: .*neck/in2/kernel.*`load_backbone_weights`"):
        load_torch_weights(weights, model)


def test_a_variance_takes_the_difference_of_torchvisions_epsilon():
    model = create_model("mobilenet_v3_small", mobilenet="torchvision")
    weights = export_torch_weights(random_variables(model), model, "torchvision")
    var = load_backbone_weights(weights, model)["batch_stats"]["backbone"]["block3"]["expand_bn"]["var"]
    np.testing.assert_allclose(var + 1e-5, weights["features.3.block.0.1.running_var"] + 1e-3, rtol=1e-6)


def test_a_deformable_backbone_keeps_its_offsets_where_the_weights_have_none():
    plain, deformable = (create_model(f"{kind}resnet50", **SMALL) for kind in ("", "deformable_"))
    weights = export_torch_weights(random_variables(plain), plain, "torchvision")
    params = load_backbone_weights(weights, deformable)["params"]["backbone"]
    assert params["layer2_block0"]["conv2"].keys() == {"kernel"}
    whole = export_torch_weights(random_variables(deformable), deformable, "mmocr")
    params = load_backbone_weights(whole, deformable)["params"]
    assert params.keys() == {"backbone"}
    assert params["backbone"]["layer2_block0"]["conv2"].keys() == {"kernel", "offset"}
    del whole["backbone.layer2.0.conv2.conv_offset.bias"]
    with pytest.raises(ValueError, match=r"missing: backbone.layer2.0.conv2.conv_offset.bias \(27,\)"):
        load_backbone_weights(whole, deformable)


# ---------------------------------------------------------------- what does not fit
@pytest.mark.parametrize("prefix", ["", "model.module."])
def test_one_error_names_all_that_is_missing_unexpected_and_misshapen(prefix):
    model = create_model("resnet18", **SMALL)
    weights = export_torch_weights(random_variables(model), model)
    del weights["decoder.in5.weight"], weights["backbone.bn1.running_var"]
    weights["decoder.extra.weight"] = np.ones(3, np.float32)
    weights["backbone.layer5.0.conv1.weight"] = np.ones((1, 1, 3, 3), np.float32)
    weights["backbone.conv1.weight"] = np.ones((8, 4, 7, 7), np.float32)
    weights["decoder.binarize.3.weight"] = np.ones((5, 4, 2, 2), np.float32)
    weights["decoder.thresh.1.bias"] = np.array([1, np.nan, 1, 1], np.float32)
    weights["decoder.thresh.4.bias"] = np.array([1, 2, 3, 4])
    weights["decoder.thresh.4.weight"] = "four"
    with pytest.raises(ValueError, match="do not fit") as caught:
        load_torch_weights({prefix + name: array for name, array in weights.items()}, model)
    assert str(caught.value).split("\n  ")[1:] == [
        f"misshapen: {prefix}backbone.conv1.weight is (8, 4, 7, 7), (8, 3, 7, 7) is wanted (backbone/conv1/kernel)",
        f"misshapen: {prefix}decoder.binarize.3.weight is (5, 4, 2, 2), (4, 4, 2, 2) is wanted"
        " (probability_head/up1/kernel)",
        f"missing: {prefix}backbone.bn1.running_var (8,) (backbone/bn1/var)",
        f"missing: {prefix}decoder.in5.weight (16, 64, 1, 1) (neck/in5/kernel)",
        f"not finite: {prefix}decoder.thresh.1.bias holds NaN or infinity",
        f"not of floating point: {prefix}decoder.thresh.4.bias (int64)",
        f"not of floating point: {prefix}decoder.thresh.4.weight (no array)",
        f"unexpected: {prefix}backbone.layer5.0.conv1.weight (1, 1, 3, 3)",
        f"unexpected: {prefix}decoder.extra.weight (3,)",
    ]


def test_two_names_for_one_place_are_refused():
    model = create_model("resnet18", **SMALL)
    weights = export_torch_weights(random_variables(model), model, "mmocr")
    weights["bbox_head.binarize.1.bias"] = weights["det_head.binarize.1.bias"]
    weights["module.backbone.bn1.bias"] = weights["backbone.bn1.bias"]
    with pytest.raises(ValueError, match="do not fit") as caught:
        load_torch_weights(weights, model)
    assert "twice: det_head.binarize.1.bias and bbox_head.binarize.1.bias" in str(caught.value)
    assert "twice: module.backbone.bn1.bias" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right", "hint"),
    [
        (("resnet18", {}), ("deformable_resnet18", {}), "`dcn` = True; this one has False"),
        (("resnet50", {}), ("resnet50", {"scale_fusion": True}), "`scale_fusion` = True"),
        (("mobilenet_v3_small", {}), ("mobilenet_v3_small", {"mobilenet": "torchvision"}), "`mobilenet` = 'official'"),
        (("resnet18", {"width": 16}), ("resnet34", {}), "`backbone` = 'resnet18'"),
    ],
)
def test_the_error_says_which_option_to_set(wrong, right, hint):
    """Weights of one of the two models do not fit the other, and the message says how they would."""
    models = [create_model(name, **SMALL | options) for name, options in (right, wrong)]
    holder, other = models if "`dcn`" in hint or "fusion" in hint else models[::-1]
    weights = export_torch_weights(random_variables(holder), holder)
    with pytest.raises(ValueError, match="hint") as caught:
        load_torch_weights(weights, other)
    assert hint in str(caught.value)


def test_the_threshold_branch_is_dead_to_a_model_without_one():
    whole, half = create_model("resnet18", **SMALL), create_model("resnet18", **SMALL, adaptive=False)
    variables = random_variables(whole)
    loaded = load_torch_weights(export_torch_weights(variables, whole), half)
    del variables["params"]["threshold_head"], variables["batch_stats"]["threshold_head"]
    assert_same(loaded, variables)
    with pytest.raises(ValueError, match=r"missing: decoder.thresh.0.weight \(4, 16, 3, 3\)"):
        load_torch_weights(export_torch_weights(variables, half), whole)


def test_offsets_of_the_other_kind_are_warned_of(caplog):
    model = create_model("deformable_resnet50", **SMALL)
    official = create_model("deformable_resnet50", **SMALL, dcn_offsets="official")
    weights = export_torch_weights(random_variables(model), model)
    load_torch_weights(weights, official)
    assert "dcn_offsets" not in caplog.text
    load_torch_weights(weights, model)
    assert "`dcn_offsets` = 'official' and the model has 'strided'" in caplog.text


def test_a_part_alone_is_converted_by_its_shapes():
    model = create_model("resnet18", **SMALL)
    variables = random_variables(model)
    part = {
        "params": {"neck": variables["params"]["neck"], "probability_head": variables["params"]["probability_head"]},
        "batch_stats": {"probability_head": variables["batch_stats"]["probability_head"]},
    }
    weights = {
        name: array
        for name, array in export_torch_weights(variables, model).items()
        if name.startswith(("decoder.in", "decoder.out", "decoder.binarize"))
    }
    assert_same(convert_state_dict(weights, part), part)


def test_what_is_given_may_change_afterwards():
    model = create_model("resnet18", **SMALL)
    weights = export_torch_weights(random_variables(model), model)
    loaded = load_torch_weights(weights, model)
    before = loaded["params"]["backbone"]["bn1"]["scale"].copy()
    weights["backbone.bn1.weight"] += 1
    np.testing.assert_array_equal(loaded["params"]["backbone"]["bn1"]["scale"], before)


def test_what_is_no_detector_is_refused():
    model = create_model("resnet18", **SMALL)
    with pytest.raises(ValueError, match=r"names \(encoder"):
        load_torch_weights({"encoder.weight": np.ones(3, np.float32)}, model)
    for empty in ({}, {"state_dict": {}}):
        with pytest.raises(ValueError, match="holds no state dict"):
            load_torch_weights(empty, model)
    with pytest.raises(ValueError, match="no known backbone"):
        describe({"backbone.layer1.0.conv1.weight": np.ones((8, 8, 3, 3), np.float32)})
    with pytest.raises(ValueError, match="paddle"):
        export_torch_weights(random_variables(model), model, "paddle")
    with pytest.raises(ValueError, match="neck/in5/kernel"):
        export_torch_weights(random_variables(model), create_model("resnet18", width=8, inner_channels=32))


# ---------------------------------------------------------------- files and types
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_any_floating_type_comes_in_as_float32_also_from_safetensors(tmp_path, dtype):
    model = create_model("resnet18", **SMALL)
    weights = {k: v.astype(dtype) for k, v in export_torch_weights(random_variables(model), model).items()}
    weights["backbone.bn1.num_batches_tracked"] = np.array(5)
    save_file(weights, tmp_path / "model.safetensors")
    want = weights["decoder.in2.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    for source in (weights, tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        loaded = load_torch_weights(source, model)
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(loaded))
        np.testing.assert_array_equal(loaded["params"]["neck"]["in2"]["kernel"], want)


def test_a_number_beyond_float32_is_not_finite():
    model = create_model("resnet18", **SMALL)
    weights = export_torch_weights(random_variables(model), model)
    weights["backbone.bn1.weight"] = np.full(8, 1e300)
    with pytest.raises(ValueError, match=r"not finite: backbone\.bn1\.weight"):
        load_torch_weights(weights, model)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "state_dict_ema"])
def test_what_is_wrapped_is_found(wrapper):
    weights = {"backbone.conv1.weight": np.ones((8, 3, 7, 7), np.float32)}
    for content in ({"epoch": 3, wrapper: weights, "optimizer": {"lr": 0.1}}, {wrapper: {"state_dict": weights}}):
        assert read_state_dict(content) == weights
    # What the run was evaluated with goes first.
    others = {"other": np.ones(1, np.float32)}
    if wrapper != "state_dict_ema":
        assert read_state_dict({wrapper: others, "state_dict_ema": weights}) == weights
        assert read_state_dict({wrapper: weights, "state_dict_ema": {}}) == weights


@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_files_of_pytorch(tmp_path, wrapper):
    torch = pytest.importorskip("torch")
    model = create_model("resnet18", **SMALL)
    variables = random_variables(model)
    weights = {f"module.{k}": torch.from_numpy(v) for k, v in export_torch_weights(variables, model).items()}
    weights["module.backbone.bn1.num_batches_tracked"] = torch.tensor(5)
    content = weights if wrapper is None else {"epoch": 3, "optimizer": {"lr": 0.1}, wrapper: weights}
    # The official files have no suffix.
    torch.save(content, tmp_path / "totaltext_resnet18")
    assert_same(load_torch_weights(tmp_path / "totaltext_resnet18", model), variables)
    torch.save(content, tmp_path / "x.pth.tar", _use_new_zipfile_serialization=False)
    assert_same(load_torch_weights(tmp_path / "x.pth.tar", model), variables)


def test_tensors_of_bfloat16_and_with_gradients():
    torch = pytest.importorskip("torch")
    model = create_model("resnet18", **SMALL)
    weights = {k: torch.from_numpy(v) for k, v in export_torch_weights(random_variables(model), model).items()}
    weights = {k: torch.nn.Parameter(v.bfloat16()) for k, v in weights.items()}
    kernel = load_torch_weights(weights, model)["params"]["neck"]["in2"]["kernel"]
    want = weights["decoder.in2.weight"].detach().float().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, want)


class Harmful:
    """What a pickle may hold."""


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {}, "hook": Harmful()}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"(?s)Harmful.*weights_only=False\)\['state_dict'\]"):
        describe(tmp_path / "x.pth")


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth'\) does not exist"):
        describe(tmp_path / "nowhere.pth")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        describe(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match=r"no whole \.safetensors"):
        describe(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello " * 100, b"\x80\x02", b"PK\x03\x04 torn"])
def test_a_file_that_is_not_pytorchs(tmp_path, content):
    pytest.importorskip("torch")
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth"):
        describe(tmp_path / "x.pth")


def test_without_torch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(ImportError, match="pip install torch"):
        describe(tmp_path / "x.pth")
