"""A detector's network in int8: written, run in the place of the weights, or refused."""

import numpy as np
import pytest
from absl.app import UsageError

from dbnet_jax import Detector
from dbnet_jax.commands.export import FORMATS
from dbnet_jax.export import export_int8, export_onnx, int8
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.weights.file import Weights, save_weights
from dbnet_jax.weights.model_card import ModelCard
from tests.helpers import tiny_run as tiny
from tests.helpers.pictures import saved
from tests.helpers.random_weights import random_weights

SOME = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def weights() -> Weights:
    config = tiny.config("predict.checkpoint=latest,predict.size=64")
    return Weights(config, random_weights(model_from_config(config)), ModelCard(name="tiny"))


def test_the_command_quantises_and_the_detector_runs_the_file(weights, tmp_path, cli):
    for package in ("onnx", "openvino", "nncf"):
        pytest.importorskip(package)
    (tmp_path / "photos").mkdir()
    for name, image in (("a", SOME), ("b", SOME[::-1])):
        (tmp_path / f"photos/{name}.png").write_bytes(saved(image, "PNG"))
    (tmp_path / "photos/bad.png").write_bytes(b"no picture")
    file, output = tmp_path / "tiny.safetensors", tmp_path / "tiny.onnx"
    save_weights(file, weights.variables, weights.config, weights.card, dtype="float32")
    printed = cli(
        "--mode=export", f"--weights={file}", "--format=onnx", f"--int8={tmp_path}/photos", f"--output={output}"
    )
    assert "mean difference to JAX: " in printed
    assert "bad.png" in printed
    import onnx

    operations = {node.op_type for node in onnx.load(output).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operations
    exact = Detector.from_checkpoint(file, backend="openvino_float32")
    quantised = exact.with_options(network=str(output))
    maps = [one.detect_with_maps(SOME)[1] for one in (exact, quantised)]
    differences = {name: np.abs(maps[0][name] - maps[1][name]).mean() for name in maps[0]}
    assert 0 < differences["probability_map"] < 0.02
    assert differences["threshold_map"] == 0  # the file lacks it: it is that of the weights


def test_windows_are_calibrated_with_windows():
    predict = tiny.config("predict.resize=none,predict.tiles=128").predict
    scan = np.full((600, 900, 3), 200, np.uint8)
    scan[300:330, 420:450] = SOME[:30, :30]
    seen = int8._look(predict, scan, 64)
    assert seen.shape == (1, 128, 128, 3)
    assert (seen != 200).all(-1).sum() > 850  # the window with the text, and no other one
    assert int8._look(predict, scan[:96, :90], 64).shape == (1, 96, 96, 3)
    predict.tiles = None
    assert int8._look(predict, scan, 64).shape == (1, 768, 1024, 3)


def test_a_network_that_cannot_be_run_is_refused(weights, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    detector = Detector(weights.config, weights.variables)
    file = tmp_path / "tiny.onnx"
    export_onnx(detector, file)
    with pytest.raises(ValueError, match=r"needs `config\.predict\.backend`"):
        detector.with_options(network=str(file))
    with pytest.raises(
        FileNotFoundError, match=r"`config\.predict\.network` \(='nowhere\.onnx'\) must be an ONNX file"
    ):
        detector.with_options(network="nowhere.onnx", backend="onnxruntime")
    monkeypatch.setenv("HOME", str(tmp_path))
    other = detector.with_options(network="~/tiny.onnx", backend="onnxruntime")
    np.testing.assert_allclose(other.detect(SOME).scores, detector.detect(SOME).scores, atol=1e-4)
    with pytest.raises(ValueError, match="has the outputs probability_map, and lacks binary_map"):
        detector.with_options(network=str(file), backend="onnxruntime", map="binary")
    file.write_bytes(b"no network")
    with pytest.raises(ValueError, match="is no ONNX file"):
        detector.with_options(network=str(file), backend="onnxruntime")


def test_int8_is_for_onnx_and_needs_pictures(weights, tmp_path, cli):
    file = tmp_path / "tiny.safetensors"
    save_weights(file, weights.variables, weights.config, weights.card)
    for kind in sorted(set(FORMATS) - {"onnx", "safetensors", "litert"}):
        with pytest.raises(UsageError, match="--int8 is for --format=onnx"):
            cli("--mode=export", f"--weights={file}", f"--format={kind}", "--int8=.", f"--output=x{FORMATS[kind][0]}")
    for package in ("onnx", "openvino", "nncf"):
        pytest.importorskip(package)
    with pytest.raises(ValueError, match=r"`pictures` \(=\[\]\) must be pictures"):
        export_int8(weights, tmp_path / "tiny.onnx", [])
