"""PyTorch weights come in whole or are refused with every reason; backbones come in alone."""

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dbnet_jax.models import create_model
from dbnet_jax.torch_weights import (
    convert_state_dict,
    describe,
    export_torch_weights,
    load_backbone_weights,
    load_torch_weights,
)
from tests.helpers.torch_models import SMALL, assert_same, random_variables, shapes_found_once  # noqa: F401  (the fixture works by itself)

MOBILE = ("mobilenet_v3_large", "mobilenet_v3_small")


@pytest.mark.parametrize(
    ("source", "name"),
    [*(("torchvision", name) for name in ("resnet101", *MOBILE)), *(("timm", name) for name in ("resnet18", *MOBILE))],
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
    with pytest.raises(ValueError, match=r"(?s)`load_backbone_weights`.*missing: neck/in2/kernel"):
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
