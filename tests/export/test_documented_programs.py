"""The Python programs in docs/export.md find and read what this package does."""

import re

import cv2
import numpy as np
import pytest

from dbnet_jax import Detector
from dbnet_jax.export.files import metadata
from dbnet_jax.recognition.recognizer import recognizer_from_config
from dbnet_jax.weights.file import load_weights
from dbnet_jax.weights.shipped import pretrained_path
from tests.helpers.paths import ROOT

DETECT, _, _, READ, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_detector(folder):
    from dbnet_jax.models.from_config import model_from_config
    from dbnet_jax.onnx_graph.graph import set_metadata
    from dbnet_jax.onnx_graph.networks import detector_graph

    weights = load_weights(pretrained_path("small-word"))
    config, variables, _ = weights
    graph = detector_graph(model_from_config(config), variables, config.data.normalization, ["probability_map"])
    set_metadata(graph, metadata(weights, "small-word.onnx"))
    (folder / "small-word.onnx").write_bytes(graph.SerializeToString())
    samples = [cv2.imread(str(ROOT / f"docs/images/samples/{name}.jpg")) for name in ("scripts", "signs")]
    cv2.imwrite("photo.jpg", np.hstack(samples))
    found: dict = {}
    exec(DETECT, found)
    detector = Detector.from_pretrained("small-word", backend="onnxruntime", shape="quad", size=736)
    wanted = detector.detect(folder / "photo.jpg").polygons
    assert len(wanted) > 20
    boxes, quads = (np.array([sorted(polygon.tolist()) for polygon in some]) for some in (found["boxes"], wanted))
    distances = np.abs(boxes[:, None] - quads[None]).max((2, 3))
    # A score that is just at the threshold may be rounded to the other side.
    assert (distances.min(1) < 3).sum() >= 0.9 * max(len(boxes), len(quads))


def test_the_recogniser(folder, capsys):
    from dbnet_jax.onnx_graph.graph import set_metadata
    from dbnet_jax.onnx_graph.networks import recognizer_graph

    weights = load_weights(pretrained_path("small-latin"))
    graph = recognizer_graph(recognizer_from_config(weights.config), weights.variables)
    set_metadata(graph, metadata(weights, "small-latin.onnx"))
    (folder / "small-latin.onnx").write_bytes(graph.SerializeToString())
    word = np.full((60, 220, 3), 90, np.uint8)
    cv2.putText(word, "Street", (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (250, 250, 250), 3, cv2.LINE_AA)
    cv2.imwrite("word.png", word)
    exec("import cv2\nimport numpy as np\nimport onnxruntime\n" + READ, {})
    assert capsys.readouterr().out.lower() == "street\n"
