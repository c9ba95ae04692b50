"""The ResNet-18 network against the official implementation's, with weights that are made from their names."""

import importlib.util
import json
import re

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from dbnet_jax.models import create_model

# Ours → theirs, in this order.
NAMES = (
    (r"backbone/layer(\d)_block(\d)/", r"backbone.layer\1.\2."),
    (r"downsample_conv", "downsample.0"),
    (r"downsample_bn", "downsample.1"),
    (r"neck/in(\d)", r"decoder.in\1"),
    (r"neck/out([345])", r"decoder.out\1.0"),
    (r"neck/out2", "decoder.out2"),
    (r"probability_head/", "decoder.binarize."),
    (r"threshold_head/", "decoder.thresh."),
    (r"(binarize|thresh)\.conv/", r"\1.0/"),
    (r"(binarize|thresh)\.bn1/", r"\1.1/"),
    (r"(binarize|thresh)\.up1/", r"\1.3/"),
    (r"(binarize|thresh)\.bn2/", r"\1.4/"),
    (r"(binarize|thresh)\.up2/", r"\1.6/"),
    (r"/(kernel|scale)$", "/weight"),
    (r"/(mean|var)$", r"/running_\1"),
    (r"/", "."),
)


def official_name(path: tuple[str, ...]) -> str:
    name = "/".join(path)
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def test_the_maps_equal_the_official_ones(shared):
    spec = importlib.util.spec_from_file_location("named_weights", shared / "golden/named_weights.py")
    assert spec is not None
    assert spec.loader is not None
    named_weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(named_weights)
    shapes = json.loads((shared / "golden/keys_resnet18.json").read_text())
    golden = np.load(shared / "golden/named_resnet18.npz")
    model = create_model("resnet18")
    like = jax.eval_shape(lambda: model.init(jax.random.key(0), golden["images"]))
    weights = {}
    for path, leaf in flatten_dict(like).items():
        name = official_name(path[1:])
        array = named_weights.named_array(name, tuple(shapes[name][0]))
        if array.ndim == 4:
            transposed = re.search(r"(binarize|thresh)\.[36]\.", name) is not None
            array = array.transpose((2, 3, 0, 1) if transposed else (2, 3, 1, 0))
        assert array.shape == leaf.shape
        weights[path] = array
    outputs = jax.jit(model.apply)(unflatten_dict(weights), golden["images"])
    for key, tolerance in (("probability_map", 1e-4), ("threshold_map", 1e-4), ("binary_map", 1e-3)):
        np.testing.assert_allclose(outputs[key], golden[key].reshape(outputs[key].shape), atol=tolerance)
