"""Weights in one file: what survives it, what it tells of itself, and what is refused."""

import pathlib
import struct

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from configs import common
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.config.saved import changed_fields, without_paths
from dbnet_jax.detector import Detector
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.weights.file import is_weights_file, load_weights, save_weights
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.model_card import CardScore, ModelCard
from dbnet_jax.weights.run_folder import load_config
from input_pipeline.datasets.wrappers.mixed import parse_mix
from tests.helpers import tiny_run as tiny

CARD = ModelCard(
    "tiny-word",
    data="rendered pictures",
    command="python run.py --config=x.py",
    date="2026-01-02",
    commit="abc1234",
    scores=(CardScore("icdar2015, validation", "iou", 100, {"precision": 0.7, "recall": 0.5, "hmean": 0.583}),),
    limits="Words are too short: 漢字.",
    licences="None.",
)


def random_variables(extra: str = "") -> dict:
    rng = np.random.default_rng(0)
    shapes = variable_shapes(model_from_config(tiny.config(extra)))
    return jax.tree.map(lambda leaf: rng.uniform(0.1, 0.5, leaf.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def variables() -> dict:
    return random_variables()


@pytest.fixture(scope="module")
def file(variables, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("weights") / "new" / "tiny-word.safetensors"
    config = tiny.config("data.dir=/home/jane/photos,unclip_ratio=1.7,resize=none,box_threshold=0.0,threshold=0.01")
    assert save_weights(path, variables, config, CARD) == path.with_suffix(".md")
    return path


# What survives
def test_every_weight_keeps_its_precision_and_every_statistic_its_value(file, variables):
    loaded = load_weights(file).variables
    assert jax.tree.structure(loaded) == jax.tree.structure(variables)
    kernels = 0
    for path, array in flatten_dict(variables).items():
        found = flatten_dict(loaded)[path]
        assert found.dtype == np.float32
        if array.ndim > 1:
            kernels += 1
            np.testing.assert_allclose(found, array, rtol=2**-11)
            assert (found != array).any()
        else:
            np.testing.assert_array_equal(found, array)
    assert kernels > 20


@pytest.mark.parametrize("scale", [1e-7, 1e-5, 1e6, 3e38])
def test_what_float16_cannot_hold_stays_float32(variables, tmp_path, scale):
    extreme = jax.tree.map(lambda leaf: (leaf * scale).astype(np.float32), variables)
    save_weights(tmp_path / "x.safetensors", extreme, tiny.config(), CARD)
    jax.tree.map(np.testing.assert_array_equal, load_weights(tmp_path / "x.safetensors").variables, extreme)


def test_float32_is_exact_and_twice_as_large(file, variables, tmp_path):
    path = tmp_path / "x.safetensors"
    save_weights(path, variables, tiny.config(), CARD, dtype="float32")
    jax.tree.map(np.testing.assert_array_equal, load_weights(path).variables, variables)
    kernels = sum(leaf.size for leaf in jax.tree.leaves(variables) if leaf.ndim > 1)
    assert path.stat().st_size - file.stat().st_size == pytest.approx(2 * kernels, abs=500)


def test_config_and_card_come_back(file):
    config, _, card = load_weights(file)
    wanted = tiny.config("data.dir=photos,unclip_ratio=1.7,resize=none,box_threshold=0.0,threshold=0.01")
    assert config.to_dict() == wanted.to_dict()
    assert card == CARD


def test_a_detector_is_made_of_the_file_alone(file, variables):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    detector = Detector.from_checkpoint(file, box_threshold=0.1)
    assert (detector.config.predict.box_threshold, detector.config.predict.unclip_ratio) == (0.1, 1.7)
    maps = detector.detect_with_maps(image)[1]
    for name, wanted in Detector(load_config(file), variables).detect_with_maps(image)[1].items():
        np.testing.assert_allclose(maps[name], wanted, atol=0.01)
    with pytest.raises(ValueError, match=r"`size_of` \(=3\) is no field of `config.predict`"):
        Detector.from_checkpoint(file, size_of=3)


def test_others_may_read_it_and_nothing_else_is_left(file):
    assert file.stat().st_mode & 0o777 == file.with_suffix(".md").stat().st_mode & 0o777
    assert sorted(path.name for path in file.parent.iterdir()) == ["tiny-word.md", "tiny-word.safetensors"]


def test_training_starts_from_it(file, variables, caplog):
    config = tiny.config(f"init.checkpoint={file}")
    found = initial_variables(config, model_from_config(config))
    jax.tree.map(np.testing.assert_array_equal, found, load_weights(file).variables)
    plain = tiny.config(f"init.checkpoint={file},binarization=standard")
    assert "threshold_head" not in initial_variables(plain, model_from_config(plain))["params"]
    assert not caplog.text
    initial_variables(tiny.config(f"init.checkpoint={file},normalization=official"), model_from_config(config))
    assert "used to `config.data.normalization` = 'imagenet', not 'official'" in caplog.text
    wide = tiny.config(f"init.checkpoint={file},width=8")
    with pytest.raises(ValueError, match=r"another architecture.*Its own is --config\.model\.width=4; .*widen"):
        initial_variables(wide, model_from_config(wide))


# What it tells of itself
def test_the_card_can_be_read_beside_it(file):
    text = file.with_suffix(".md").read_text(encoding="utf-8")
    assert "| icdar2015, validation | iou | 100 | 0.700 | 0.500 | 0.583 |" in text
    parameters = sum(leaf.size for leaf in jax.tree.leaves(random_variables()["params"]))
    for words in ("# tiny-word", CARD.command, CARD.limits, "2026-01-02. Code: abc1234", f"{parameters:,} parameters"):
        assert words in text
    assert "Not measured." in ModelCard("x").as_markdown([])


def test_no_folder_of_the_machine_that_trained_and_no_password_is_told(file):
    assert b"/home" not in file.read_bytes()
    config = common.get_config()
    config.update({"data": {"backgrounds": "~/b/", "train_labels": "/x/y/a.json", "eval_labels": "l/b.json"}})
    config.init.checkpoint, config.predict.password = "/tmp/small-word.safetensors", "key"
    shown = without_paths(config)
    assert shown.predict.password is None
    assert (shown.data.backgrounds, shown.init.checkpoint) == ("b", "small-word.safetensors")
    assert (shown.data.train_labels, shown.data.eval_labels) == ("a.json", "l/b.json")
    assert shown.data.tfds_dir == config.data.tfds_dir
    assert config.data.backgrounds == "~/b/"


def test_no_list_of_words_of_the_machine_that_trained_is_told():
    config = recognition_config()
    config.data.vocabulary, config.predict.lexicon = "/tmp/vocab.txt", "/home/me/plates.txt"
    shown = without_paths(config)
    assert (shown.data.vocabulary, shown.predict.lexicon) == ("vocab.txt", "plates.txt")


def test_no_folder_of_another_system_is_told():
    config = common.get_config()
    folders = {"dir": r"C:\Users\jane\photos", "backgrounds": r"\\server\jane\b", "train_labels": r"D:\jane\a.json"}
    config.update({"data": folders | {"mix": r"hust=C:\Users\me*1\d*2,scenes,total_text=\\server\me\t\@0.5"}})
    shown = without_paths(config).data
    assert (shown.dir, shown.backgrounds, shown.train_labels) == ("photos", "b", "a.json")
    assert shown.mix == "hust=d*2,scenes,total_text=t@0.5"
    config.data.update({"dir": "//data/x", "train_labels": "l/b.json"})
    assert (without_paths(config).data.dir, without_paths(config).data.train_labels) == ("x", "l/b.json")


# The inner folders may hold what else means something.
folders = st.tuples(st.lists(st.text("ab.@*1= ", min_size=1), max_size=2), st.text("ab1", min_size=1)).map(
    lambda names: [*names[0], names[1]]
)
numbers = st.sampled_from(["", "*2", "*0.5", "@0.4", "*1e-3@3"])


@given(st.lists(st.tuples(st.sampled_from(["icdar2015+lines", "scenes"]), folders | st.just([]), numbers), max_size=3))
@settings(max_examples=200)
def test_a_mix_keeps_names_and_numbers_and_of_folders_the_last_name(parts):
    config = common.get_config()
    words = [name + (f"=/{'/'.join(folder)}/" if folder else "") + number for name, folder, number in parts]
    config.data.mix = ",".join(words)
    before, after = parse_mix(config.data.mix), parse_mix(without_paths(config).data.mix)
    assert [part._replace(folder="") for part in after] == [part._replace(folder="") for part in before]
    for part, (_, folder, _) in zip(after, parts, strict=True):
        assert part.folder == (folder[-1] if folder else "")


def test_the_changed_fields_are_those_that_differ():
    config = common.get_config()
    assert changed_fields(config) == {}
    config.seed, config.data.crop, config.predict.unclip_ratio = 3, (64, 64), 1.5
    assert changed_fields(config) == {"seed": 3, "data.crop": (64, 64), "predict.unclip_ratio": 1.5}


# What is refused
def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors'\) is not there"):
        Detector.from_checkpoint(tmp_path / "gone.safetensors")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_weights(tmp_path)
    (tmp_path / "run.safetensors").mkdir()  # a run's folder may be called so
    with pytest.raises(FileNotFoundError, match="holds no run"):
        Detector.from_checkpoint(tmp_path / "run.safetensors")


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_file_that_was_cut_off(file, tmp_path, share):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ValueError, match=r"cut\.safetensors'\) is no whole \.safetensors file"):
        load_weights(cut)
    assert not is_weights_file(cut)


def test_no_flipped_bit_is_read(file, tmp_path):
    """In the weights, nor in the thresholds of the header."""
    rng, whole, flipped = np.random.default_rng(0), file.read_bytes(), tmp_path / "flipped.safetensors"
    places = [*rng.integers(len(whole), size=30), *rng.integers(whole.index(b"params/"), size=30)]
    threshold = whole.index(b'\\"box_threshold\\": 0.0') + len(b'\\"box_threshold\\": ')
    for place in [*places, threshold, whole.index(b'"digest"') + 1]:
        content = bytearray(whole)
        content[place] ^= 1 << rng.integers(4)
        flipped.write_bytes(content)
        with pytest.raises(ValueError, match=r"flipped\.safetensors"):
            load_weights(flipped)


def test_a_file_of_an_earlier_version_has_no_digest(file, tmp_path):
    with safe_open(file, framework="numpy") as opened:
        header = {key: text for key, text in opened.metadata().items() if key != "digest"}
    save_file(load_file(file), tmp_path / "old.safetensors", header)
    old, new = load_weights(tmp_path / "old.safetensors"), load_weights(file)
    jax.tree.map(np.testing.assert_array_equal, old.variables, new.variables)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=100)
def test_any_bytes_are_refused_by_name(tmp_path_factory, content, with_length):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content if with_length else content)
    with pytest.raises(ValueError, match=r"any\.safetensors"):
        load_weights(path)
    assert not is_weights_file(path)


def test_arrays_of_somebody_else(file, tmp_path):
    save_file({"backbone.conv1.weight": np.zeros((2, 2), np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"no config of dbnet_jax in its header.*--mode=convert"):
        Detector.from_checkpoint(tmp_path / "x.safetensors")
    assert not is_weights_file(tmp_path / "x.safetensors")
    assert is_weights_file(file)


def test_nothing_is_written_of_what_does_not_fit(file, variables, tmp_path):
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"(?s)`variables` are not of the network.*\(4,\) found, \(8,\) wanted"):
        save_weights(file, variables, tiny.config("width=8"), CARD)
    broken = jax.tree.map(np.copy, variables)
    jax.tree.leaves(broken)[0].flat[0] = np.nan
    with pytest.raises(ValueError, match=r"not finite: \w+/"):
        save_weights(file, broken, tiny.config(), CARD)
    assert file.read_bytes() == before
    with pytest.raises(ValueError, match=r"`path` \(='.*x\.npz'\) must end in \.safetensors"):
        save_weights(tmp_path / "x.npz", variables, tiny.config(), CARD)
    with pytest.raises(ValueError, match=r"`dtype` \(='int8'\)"):
        save_weights(tmp_path / "x.safetensors", variables, tiny.config(), CARD, dtype="int8")
    assert list(tmp_path.iterdir()) == []
