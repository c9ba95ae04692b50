"""A wider network that starts as the narrow one."""

import pathlib

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dbnet_jax.models import DBNet, create_model
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.weights.file import save_weights
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.model_card import ModelCard
from dbnet_jax.weights.widening import widened
from tests.helpers import tiny_run as tiny

NARROW = {"width": 4, "max_width": 12, "inner_channels": 8, "serial": True}
WIDE = {"width": 6, "max_width": 20, "inner_channels": 12, "serial": True}


def variables(model: DBNet):
    """As after some training: no bias and no statistic is what it began with."""
    rng = np.random.default_rng(0)

    def leaf(shape):
        if len(shape.shape) == 1:
            return rng.uniform(0.5, 1.5, shape.shape).astype(np.float32)
        fan_in = np.prod(shape.shape[:-1])
        return rng.normal(0, (2 / fan_in) ** 0.5, shape.shape).astype(np.float32)

    return jax.tree.map(leaf, variable_shapes(model))


def maps(model: DBNet, weights):
    images = np.random.default_rng(1).normal(size=(1, 64, 96, 3)).astype(np.float32)
    return jax.jit(lambda weights: model.apply(weights, images))(weights)


def test_the_maps_are_those_of_the_narrow_network_and_every_new_channel_listens():
    narrow, wide = (create_model("resnet18", dcn=True, **options) for options in (NARROW, WIDE))
    given = variables(narrow)
    found = widened(given, wide, seed=3)
    before, after = maps(narrow, given), maps(wide, found)
    for name in ("probability_logits", "binary_logits"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-3, atol=1e-3 * np.abs(before[name]).max())
    assert np.ptp(before["probability_map"]) > 0.1, "the maps could hardly differ"
    for path, kernel in flatten_dict(found["params"], sep="/").items():
        if kernel.ndim == 4 and "offset" not in path:  # those start at zero in any network
            assert (np.abs(kernel).max((0, 1, 2)) > 0).all(), path


def saved(folder: pathlib.Path, extra: str = "") -> pathlib.Path:
    config = tiny.config(extra)
    file = folder / "narrow.safetensors"
    save_weights(file, variables(model_from_config(config)), config, ModelCard("narrow"))
    return file


def test_a_run_starts_from_fewer_channels(tmp_path):
    file = saved(tmp_path)
    config = tiny.config(f"init.checkpoint={file},init.widen=True,width=6,binarization=standard")
    found = initial_variables(config, model_from_config(config))
    assert found["params"]["backbone"]["conv1"]["kernel"].shape == (7, 7, 3, 6)
    assert "threshold_head" not in found["params"]


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("width=3", r"adds channels and nothing else[\s\S]*bn1/mean: \(4,\) found, \(3,\) wanted"),
        ("dcn=True", r"adds channels and nothing else[\s\S]*layer2\S*offset\S* missing"),
        ("backbone=mobilenet_v3_small", r"is for ResNets without scale fusion"),
        ("scale_fusion=True,inner_channels=16", r"is for ResNets without scale fusion"),
        ("init.checkpoint=", r"needs a `config.init.checkpoint` \(=''\) of this package"),
    ],
)
def test_what_cannot_be_widened_is_named(tmp_path, extra, text):
    config = tiny.config(f"init.checkpoint={saved(tmp_path)},init.widen=True,{extra}")
    with pytest.raises(ValueError, match=f"`config.init.widen` .*{text}"):
        initial_variables(config, model_from_config(config))
