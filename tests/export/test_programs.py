"""A network as a program for others: compared with JAX, written with its config and card, or refused unwritten."""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.app import UsageError
from flax import linen as nn

from dbnet_jax.commands.export import FORMATS
from dbnet_jax.export import export_litert, export_onnx, export_stablehlo, litert
from dbnet_jax.export import onnx as onnx_export
from dbnet_jax.export.files import with_archive
from dbnet_jax.export.program import Program, checked_difference, program_of
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.weights.file import Weights, load_weights, save_weights
from dbnet_jax.weights.model_card import ModelCard
from tests.helpers import tiny_run as tiny
from tests.helpers.random_weights import random_weights

CARD = ModelCard(name="tiny", licences="CC0 Ümläut")


@pytest.fixture(scope="module")
def weights() -> Weights:
    config = tiny.config("predict.checkpoint=latest")
    return Weights(config, random_weights(model_from_config(config)), CARD)


@pytest.fixture(scope="module")
def wanted(weights):
    """The map of a picture, by JAX."""
    program = program_of(weights)
    (inputs,) = program.examples((64, 96))
    return inputs["images"], np.asarray(jax.jit(program.function)(program.variables, **inputs)[program.output])


def test_the_command_writes_onnx_with_config_and_card(weights, wanted, tmp_path, cli):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    file, output = tmp_path / "tiny.safetensors", tmp_path / "new/tiny.onnx"
    save_weights(file, weights.variables, weights.config, CARD, dtype="float32")
    printed = cli("--mode=export", f"--weights={file}", "--format=onnx", f"--output={output}")
    assert "largest difference to JAX: " in printed
    session = onnxruntime.InferenceSession(output)
    texts = session.get_modelmeta().custom_metadata_map
    assert json.loads(texts["card"]) == CARD.as_dict()
    assert json.loads(texts["config"]) == json.loads(json.dumps(load_weights(file).config.to_dict()))
    assert texts["licences"] == "CC0 Ümläut"
    (found,) = session.run(["probability_map"], {"images": wanted[0]})
    assert np.ptp(found) > 0.1
    np.testing.assert_allclose(found, wanted[1], atol=1e-4)


def test_stablehlo_is_loaded_by_jax_alone(weights, wanted, tmp_path):
    pytest.importorskip("flatbuffers")
    file = tmp_path / "tiny.stablehlo"
    assert export_stablehlo(weights, file) < 1e-5
    loaded = jax.export.deserialize(bytearray(file.read_bytes()))
    assert loaded.platforms == ("cpu", "cuda", "tpu")
    np.testing.assert_allclose(loaded.call(wanted[0])["probability_map"], wanted[1], atol=1e-4)
    with pytest.raises(ValueError, match="remainder"):
        loaded.call(np.zeros((1, 64, 100, 3), np.uint8))
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("card")) == CARD.as_dict()


def test_litert_has_one_size(weights, wanted, tmp_path):
    file = tmp_path / "tiny.tflite"
    assert export_litert(weights, file, size=(64, 96)) < 1e-3
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("card")) == CARD.as_dict()
    (found,) = litert._run(file.read_bytes(), "map", {"images": wanted[0]}).values()
    np.testing.assert_allclose(found, wanted[1], atol=1e-4)
    for size in ((64, 100), (0, 64)):
        with pytest.raises(ValueError, match=r"`size` \(=\(\d+, \d+\)\) must be multiples of 32"):
            export_litert(weights, file, size=size)


def test_a_file_that_differs_is_not_written(weights, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(onnx_export, "_runner", lambda program, content: lambda inputs: {"probability_map": 0.5})
    with pytest.raises(ValueError, match=r"differs from JAX by 0\.\d+ in its probabilities.*nothing was written"):
        export_onnx(weights, tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [0.01, -0.01, np.nan])
def test_one_wrong_pixel_is_enough(wrong):
    def program(variables, images):
        return {"map": images[..., 0] / 512}

    def run(inputs):
        output = inputs["images"][..., 0] / np.float32(512)
        output[-1, -1, -1] += wrong
        return {"map": output}

    tested = Program(nn.Dense(1), {}, program, {"images": (np.uint8, (1,))}, "map")
    assert checked_difference(tested, lambda inputs: program({}, jnp.asarray(inputs["images"], jnp.float32))) < 1e-6
    with pytest.raises(ValueError, match="differs from JAX by"):
        checked_difference(tested, run)


def test_columns_of_padding_do_not_count():
    def program(variables, images, widths):
        return {"log_probabilities": jnp.zeros((len(images), images.shape[2] // 4, 3))}

    def run(inputs):
        output = np.zeros((len(inputs["images"]), inputs["images"].shape[2] // 4, 3), np.float32)
        for row, width in enumerate(inputs["widths"]):
            output[row, -(-width // 4) + before :] = -1
        return {"log_probabilities": output}

    shapes = {"images": (np.uint8, (1,)), "widths": (np.int32, (1,))}
    tested, before = Program(nn.Dense(1), {}, program, shapes, "log_probabilities"), 0
    assert checked_difference(tested, run) == 0
    before = -1
    with pytest.raises(ValueError, match="differs from JAX by"):
        checked_difference(tested, run)


def test_a_path_that_is_none(weights, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.onnx'\) is a folder"):
        export_onnx(weights, tmp_path / "folder.onnx")
    for export, suffix in ((export_onnx, ".onnx"), (export_stablehlo, ".stablehlo")):
        with pytest.raises(ValueError, match=rf"x\.bin'\) must end in {suffix}"):
            export(weights, tmp_path / "x.bin")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--output=x.onnx"], r"must end in \.safetensors, or --format=onnx is missing"),
        (["--output=x.safetensors"], "is a .safetensors file already"),
        (["--format=onnx"], r"--output is missing: the file, for example small-word\.onnx"),
        (["--format=litert", "--output=x.tflite"], r"--size is missing: litert has one size"),
        (["--format=litert", "--output=x.tflite", "--size=64"], r"--size"),
        (["--format=onnx", "--output=x.onnx", "--size=64x64"], "--size is for litert: onnx takes every size"),
        (["--format=onnx", "--output=x.onnx", "--config.model.width=8"], "the weights decide the model"),
    ],
)
def test_flags_that_do_not_fit(cli, flags, text):
    with pytest.raises((UsageError, SystemExit), match=text):
        cli("--mode=export", "--weights=small-word", *flags)


def test_formats_that_are_none(cli):
    with pytest.raises((ValueError, SystemExit), match=r"`--format` \(='trt'\) must be one of 'safetensors', 'onnx'"):
        cli("--mode=export", "--weights=small-word", "--format=trt", "--output=x.trt")
    assert all(suffix.startswith(".") for suffix, _ in FORMATS.values())


def test_an_archive_behind_a_file_leaves_it_as_it_is():
    assert with_archive(b"flat", {"card": "{}"}).startswith(b"flat")
