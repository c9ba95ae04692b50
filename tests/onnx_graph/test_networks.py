"""Whole networks as ONNX, from pixels to maps and to the classes of characters."""

import jax
import numpy as np
import pytest

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from dbnet_jax.images.normalization import grey_to_unit, normalize  # noqa: E402
from dbnet_jax.models import create_model  # noqa: E402
from dbnet_jax.models.recognition import create_recognizer  # noqa: E402
from dbnet_jax.onnx_graph.networks import detector_graph, recognizer_graph  # noqa: E402
from tests.helpers.random_weights import random_weights  # noqa: E402


def test_a_detector_with_all_of_its_parts():
    options = {"scale_fusion": True, "serial": True, "width": 4, "inner_channels": 16}
    model = create_model("resnet18", **options, dtype=jax.numpy.bfloat16)
    variables, names = random_weights(model), ["probability_logits", "threshold_map", "binary_map"]
    graph = detector_graph(model, variables, "official", names)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 128, 3)).astype(np.uint8)
    found = onnxruntime.InferenceSession(graph.SerializeToString()).run(names, {"images": images})
    exact = create_model("resnet18", **options)
    wanted = jax.jit(lambda v, x: exact.apply(v, normalize(x, "official")))(variables, images)
    for one, name in zip(found, names, strict=True):
        assert np.ptp(one) > 0.1, "the network must say something"
        np.testing.assert_allclose(one, wanted[name], atol=1e-3 if name == "binary_map" else 1e-4, rtol=1e-4)


def test_the_probability_map_alone_needs_no_threshold_head():
    model = create_model("resnet18", width=4, inner_channels=8)
    variables = random_weights(model)
    both, one = (
        detector_graph(model, variables, "imagenet", names).graph
        for names in (("probability_map", "threshold_map"), ("probability_map",))
    )
    assert len(both.node) > len(one.node) + 5
    assert [value.name for value in one.output] == ["probability_map"]


def test_a_recogniser_reads_no_padding():
    model = create_recognizer(hidden=8, classes=5)
    variables = random_weights(model, example=jax.ShapeDtypeStruct((1, 32, 64, 1), np.float32))
    session = onnxruntime.InferenceSession(recognizer_graph(model, variables).SerializeToString())
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 68)).astype(np.uint8)
    widths = np.array([68, 40, 9], np.int32)
    (found,) = session.run(None, {"images": images, "widths": widths})
    logits = jax.jit(lambda v, x, w: model.apply(v, grey_to_unit(x), w))(variables, images, widths)
    wanted = np.asarray(jax.nn.log_softmax(logits))
    for row, steps in enumerate((17, 10, 3)):
        assert np.ptp(found[row, :steps]) > 0.1
        np.testing.assert_allclose(found[row, :steps], wanted[row, :steps], atol=1e-4)


def test_an_attention_decoder_is_refused():
    with pytest.raises(ValueError, match=r"`config\.model\.decoder` \(='attention'\) has no ONNX form"):
        recognizer_graph(create_recognizer(decoder="attention"), {})
