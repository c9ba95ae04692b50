"""The header of a file of weights: which fields survive another version, and what is refused, by the file's name."""

import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dbnet_jax.config.saved import config_from_json
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.weights.digest import KEY
from dbnet_jax.weights.file import load_header, load_weights, save_weights
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.model_card import ModelCard
from tests.helpers import tiny_run as tiny

CARD = ModelCard("tiny-word", limits="Words are too short.")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("weights") / "tiny-word.safetensors"
    shapes = variable_shapes(model_from_config(tiny.config()))
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32), shapes)
    save_weights(path, variables, tiny.config(), CARD)
    return path


def rewritten(
    file: pathlib.Path, path: pathlib.Path, drop: str = "", arrays: Any = None, **header: str
) -> pathlib.Path:
    """The file with another header or other arrays, and without a digest, as another version may have written it."""
    with safe_open(file, framework="numpy") as opened:
        header = {**opened.metadata(), **header}
    for key in (drop, KEY):
        header.pop(key, None)
    save_file(arrays or load_file(file), path, header)
    return path


def test_a_newer_format_or_config(file, tmp_path):
    newer = rewritten(file, tmp_path / "newer.safetensors", version="2")
    with pytest.raises(ValueError, match=r"newer\.safetensors'\) is of format version 2.*update"):
        load_weights(newer)
    # It is ours, and its own complaint reaches who trains from it.
    with pytest.raises(ValueError, match="format version 2"):
        initial_variables(tiny.config(f"init.checkpoint={newer}"), model_from_config(tiny.config()))
    fields = tiny.config().to_dict()
    fields["model"]["depth"] = 3
    fields["predict"]["wings"] = True
    path = rewritten(file, tmp_path / "x.safetensors", config=json.dumps(fields))
    with pytest.raises(ValueError, match=r"does not know model\.depth, predict\.wings.*update"):
        load_weights(path)
    # What concerns the training alone, and what an older version did not know, is no obstacle.
    fields = tiny.config().to_dict()
    fields["train"]["lookahead"] = 5
    del fields["model"]["k"], fields["predict"]["max_side"]
    card = CARD.as_dict() | {"colour": "green"}
    path = rewritten(file, path, config=json.dumps(fields), card=json.dumps(card))
    config, _, read = load_weights(path)
    assert (config.model.k, config.predict.max_side, read) == (50.0, 4096, CARD)


@pytest.mark.parametrize(
    "header",
    [
        {"config": "{"},
        {"config": "[1]"},
        {"config": '{"model": 3}'},
        {"card": "3"},
        {"card": '{"name": 3}'},
        {"card": '{"name": "x", "scores": [{"hmean": "high"}]}'},
        {"drop": "config"},
        {"drop": "version"},
    ],
)
def test_a_damaged_header(file, tmp_path, header):
    path = rewritten(file, tmp_path / "x.safetensors", **header)
    with pytest.raises(ValueError, match=r"x\.safetensors'\) has a damaged header"):
        load_weights(path)


def test_other_arrays_than_the_config_describes(file, tmp_path):
    fields = tiny.config("width=8").to_dict()
    path = rewritten(file, tmp_path / "x.safetensors", config=json.dumps(fields))
    with pytest.raises(ValueError, match=r"(?s)another network.*bn1/mean: \(4,\) found, \(8,\) wanted.*… and \d+ more"):
        load_weights(path)
    arrays = load_file(file)
    first, *others = arrays
    rewritten(file, path, arrays={name: arrays[name] for name in others} | {"params": arrays[first]})
    with pytest.raises(ValueError, match=r"(?s): missing, \(4,\) wanted\n  params: \(4,\) found, nothing wanted"):
        load_weights(path)
    rewritten(file, path, arrays=arrays | {first: arrays[first].astype(np.int32)})
    with pytest.raises(ValueError, match="another type than float16"):
        load_weights(path)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("model.width", "24", r"`config\.model\.width` \(='24'\) must be of type int"),
        ("model.width", 24.0, r"`config\.model\.width` \(=24\.0\) must be of type int"),
        ("model.attention_channels", 2.5, r"`config\.model\.attention_channels` \(=2\.5\) must be of type int"),
        ("model.scale_fusion", "no", r"`config\.model\.scale_fusion` \(='no'\) must be of type bool"),
        ("predict.size", [1], r"`config\.predict\.size` \(=\[1\]\) must be of type int"),
        ("predict.batch_size", None, r"`config\.predict\.batch_size` \(=None\) must be of type int"),
        ("predict.box_threshold", "0.5", r"`config\.predict\.box_threshold` \(='0\.5'\) must be of type float"),
        ("predict.threshold", 10**400, r"`config\.predict\.threshold` \(=10+\) must be of type float"),
        ("predict.shape", {"a": 1}, r"`config\.predict\.shape` \(=\{'a': 1\}\) must be of type str"),
        ("data.normalization", 3, r"`config\.data\.normalization` \(=3\) must be of type str"),
    ],
)
def test_a_field_of_another_type(file, tmp_path, field, value, wanted):
    fields = tiny.config().to_dict()
    section, name = field.split(".")
    fields[section][name] = value
    path = rewritten(file, tmp_path / "x.safetensors", config=json.dumps(fields))
    with pytest.raises(ValueError, match=rf"x\.safetensors'\) has a damaged header.*{wanted}"):
        load_header(path)


def test_a_whole_number_may_stand_for_a_float_and_nothing_where_it_is_a_choice():
    config = config_from_json('{"seed": 3, "predict": {"box_threshold": 1, "unclip_ratio": 2, "size": null}}')
    assert (config.seed, config.predict.box_threshold, config.predict.size) == (3, 1.0, None)
    assert isinstance(config.predict.box_threshold, float)
    assert isinstance(config.predict.unclip_ratio, float)
    # The choice has a type all the same.
    with pytest.raises(TypeError):
        config.predict.size = "wide"


fields = st.sampled_from(["width", "size", "crop", "unclip_ratio", "items", "a.b", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=3),
    max_leaves=4,
)
sections = st.sampled_from(["model", "predict", "data", "seed", "items", "a.b"])


@given(st.dictionaries(sections, st.dictionaries(fields, values, max_size=2) | values, max_size=2))
@settings(max_examples=300)
def test_any_json_is_a_config_or_a_value_error(json_object: dict[str, Any]):
    try:
        config = config_from_json(json.dumps(json_object))
    except ValueError:
        return
    assert isinstance(config.model.width, int)
    assert isinstance(config.predict.size, int | None)
    assert isinstance(config.data.crop, tuple)
    assert isinstance(config.predict.unclip_ratio, float | None)


def test_a_network_that_there_is_none_of(file, tmp_path):
    for width in (0, 10**30):
        fields = tiny.config().to_dict()
        fields["model"]["width"] = width
        path = rewritten(file, tmp_path / "x.safetensors", config=json.dumps(fields))
        with pytest.raises(ValueError, match=r"x\.safetensors'\): `config\.model` describes no network"):
            load_weights(path)


def test_a_version_that_is_no_number_of_one(file, tmp_path):
    for version in ("9" * 5000, "1.0", "²", ""):
        path = rewritten(file, tmp_path / "x.safetensors", version=version)
        with pytest.raises(ValueError, match=r"x\.safetensors'\) has a damaged header \(version '.{0,60}\)"):
            load_header(path)


def test_weights_that_are_not_finite(file, tmp_path):
    arrays = load_file(file)
    name = next(name for name, array in arrays.items() if array.ndim == 4)
    for bad in (np.nan, np.inf):
        rewritten(file, tmp_path / "x.safetensors", arrays=arrays | {name: np.full_like(arrays[name], bad)})
        with pytest.raises(ValueError, match=rf"x\.safetensors'\) holds numbers that are not finite: {name};"):
            load_weights(tmp_path / "x.safetensors")
