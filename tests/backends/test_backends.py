"""Every back end finds and reads the same text."""

import importlib.util
import types

import cv2
import jax
import numpy as np
import pytest

from dbnet_jax import Detector, Reader, Recognizer
from dbnet_jax.backends import choose_backend

TOLERANCES = {"onnxruntime": 1e-4, "openvino_float32": 1e-4, "openvino": 1e-2}
LOOK = {"size": 160, "shape": "quad", "box_threshold": 0.6}
WORDS = ("Tolerance", "maps", "72")


def needs(backend: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip(backend.partition("_")[0])


def page() -> np.ndarray:
    image = np.full((160, 288, 3), (90, 120, 150), np.uint8)
    for line, word in enumerate(WORDS):
        cv2.putText(image, word, (20, 45 + 45 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (250, 250, 240), 2, cv2.LINE_AA)
    return image


def crops() -> list[np.ndarray]:
    return [page()[5 + 45 * line : 58 + 45 * line, 10:100] for line in range(3)]


@pytest.fixture(scope="module")
def by_xla():
    detector, recognizer = Detector.from_pretrained(**LOOK), Recognizer.from_pretrained(widths=(96,))
    return detector.detect_with_maps(page()), recognizer.recognize(crops())


@pytest.mark.parametrize("backend", TOLERANCES)
def test_a_detector(backend, by_xla):
    needs(backend)
    (wanted, maps), _ = by_xla
    detector = Detector.from_pretrained(**LOOK, backend=backend)
    found, its_maps = detector.detect_with_maps(page())
    (alone,) = detector.detect_batch([page()])
    assert len(wanted.polygons) == len(WORDS)
    for one in (found, alone):  # with all maps, and with the probability map alone
        np.testing.assert_allclose(one.scores, wanted.scores, atol=TOLERANCES[backend])
        for polygon, other in zip(one.polygons, wanted.polygons, strict=True):
            np.testing.assert_allclose(polygon, other, atol=2.0 if backend == "openvino" else 1e-3)
    assert its_maps.keys() == maps.keys()


@pytest.mark.parametrize("backend", TOLERANCES)
def test_a_recogniser(backend, by_xla):
    needs(backend)
    found = Recognizer.from_pretrained(widths=(96,), backend=backend).recognize(crops())
    assert [one.text for one in found] == [one.text for one in by_xla[1]]
    assert found[1].text == "maps"
    scores = [[one.score for one in some] for some in (found, by_xla[1])]
    np.testing.assert_allclose(*scores, atol=TOLERANCES[backend])


def test_other_weights_make_another_network():
    needs("onnxruntime")
    detector = Detector.from_pretrained(**LOOK, backend="onnxruntime")
    before = detector.detect(page())
    zeros = detector.with_variables(jax.tree.map(np.zeros_like, jax.device_get(detector._variables)))
    assert len(before.polygons) == len(WORDS)
    assert zeros.detect(page()).polygons == []
    assert len(detector.detect(page()).polygons) == len(WORDS)


def test_a_detector_changes_its_back_end(monkeypatch):
    detector = Detector.from_pretrained(**LOOK)
    fake(monkeypatch, ("onnx", "onnxruntime"))
    other = detector.with_options(backend="onnxruntime")
    assert other._eval_step is not detector._eval_step
    assert other.with_options(box_threshold=0.5, map="binary")._eval_step is other._eval_step
    with pytest.raises(ImportError, match="needs the package openvino"):
        detector.with_options(backend="openvino")


def test_an_unknown_back_end_is_refused():
    for predictor in (Detector, Recognizer, Reader):
        with pytest.raises(ValueError, match=r"`config\.predict\.backend` \(='tensorrt'\) must be one of"):
            predictor.from_pretrained(backend="tensorrt")


@pytest.mark.parametrize(
    ("installed", "platform", "deformable", "chosen"),
    [
        (("onnx", "onnxruntime", "openvino"), "cpu", False, "openvino"),
        (("onnx", "onnxruntime", "openvino"), "cpu", True, "onnxruntime"),
        (("onnx", "onnxruntime", "openvino"), "tpu", False, "xla"),
        (("onnx", "openvino"), "cpu", True, "openvino"),
        (("onnxruntime", "openvino"), "cpu", False, "xla"),
        ((), "cpu", False, "xla"),
    ],
)
def test_auto_is_the_fastest_that_is_installed(monkeypatch, installed, platform, deformable, chosen):
    fake(monkeypatch, installed)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert choose_backend("auto", deformable=deformable) == chosen


def test_a_missing_package_is_asked_for(monkeypatch):
    fake(monkeypatch, ("onnx",))
    with pytest.raises(ImportError, match=r"needs the package onnxruntime: pip install 'dbnet_jax\[onnx\]'"):
        choose_backend("onnxruntime")
    fake(monkeypatch, ())
    with pytest.raises(ImportError, match=r"needs the package onnx and openvino: pip install 'dbnet_jax\[openvino\]'"):
        choose_backend("openvino_float32")


def fake(monkeypatch, installed):
    spec = types.SimpleNamespace()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: spec if name in installed else None)
