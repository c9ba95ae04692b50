"""The layers as ONNX nodes: they compute what the layers do, at a size at which they were not traced."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from dbnet_jax.models.backbones.mobilenet_v3 import HS, Block, Row  # noqa: E402
from dbnet_jax.models.layers.batch_norm import BatchNorm  # noqa: E402
from dbnet_jax.models.layers.conv import Conv  # noqa: E402
from dbnet_jax.models.layers.deformable import DeformableConv  # noqa: E402
from dbnet_jax.models.necks.fpe import FPE  # noqa: E402
from dbnet_jax.models.necks.scale_fusion import ScaleFusion  # noqa: E402
from dbnet_jax.models.recognition.encoders import Vgg  # noqa: E402
from dbnet_jax.onnx_graph.graph import Graph  # noqa: E402
from dbnet_jax.onnx_graph.layers import as_onnx  # noqa: E402
from dbnet_jax.onnx_graph.translation import translate  # noqa: E402
from tests.helpers.random_weights import random_arrays  # noqa: E402

norm = partial(BatchNorm, use_running_average=True)
LEVELS = [(8, 4), (4, 4), (2, 4), (1, 4)]
# A layer, and of each of its images the factor of its size and its channels.
LAYERS = {
    "deformable": (DeformableConv(4, strides=2), [(3, 3)]),
    "deformable official": (DeformableConv(4, strides=2, offsets="official"), [(3, 3)]),
    "official block": (Block(Row(5, 24, 8, True, HS, 2), Conv, norm), [(4, 8)]),
    "torchvision block": (Block(Row(3, 8, 8, True, HS, 1), Conv, norm, layout="torchvision"), [(4, 8)]),
    "FPE": (FPE(16, norm, repeats=1), LEVELS),
    "scale_spatial": (ScaleFusion("scale_spatial", 4, norm), LEVELS[::-1]),
    "scale_channel": (ScaleFusion("scale_channel", 4, norm), LEVELS[::-1]),
    "VGG": (Vgg(Conv, norm), [(16, 1)]),
}


@pytest.mark.parametrize(("layer", "kinds"), LAYERS.values(), ids=LAYERS.keys())
def test_the_nodes_compute_what_the_layer_does(layer, kinds):
    random = np.random.default_rng(0)

    def call(variables, images):
        return jax.tree.leaves(layer.apply(variables, images if len(images) > 1 else images[0]))

    def images(batch, height, width):
        shapes = [(batch, height * factor, width * factor, channels) for factor, channels in kinds]
        return [jnp.array(random.standard_normal(shape), jnp.float32) for shape in shapes]

    traced = images(2, 2, 3)
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), traced if len(traced) > 1 else traced[0]))
    variables = random_arrays(shapes)
    with as_onnx():
        jaxpr = jax.make_jaxpr(partial(call, variables))(traced)
    graph, names = Graph(), [f"image{number}" for number in range(len(kinds))]
    values = translate(graph, jaxpr, [graph.emit("Transpose", name, perm=[0, 3, 1, 2]) for name in names])
    inputs = {name: (np.float32, (None, None, None, one.shape[3])) for name, one in zip(names, traced, strict=True)}
    outputs = {
        f"output{number}": (value, [None] * len(aval.shape))
        for number, (value, aval) in enumerate(zip(values, jaxpr.out_avals, strict=True))
    }
    session = onnxruntime.InferenceSession(graph.finished(inputs, outputs).SerializeToString())
    # The VGG takes no other height.
    others = images(1, 2, 5) if isinstance(layer, Vgg) else images(1, 3, 2)
    found = session.run(None, {name: np.asarray(one) for name, one in zip(names, others, strict=True)})
    for one, wanted in zip(found, jax.jit(call)(variables, others), strict=True):
        if one.ndim == 4:
            one = one.transpose(0, 2, 3, 1)
        assert np.ptp(wanted) > 0.1, "the layer must say something"
        np.testing.assert_allclose(one, wanted, atol=1e-5 * np.abs(wanted).max())


def test_what_has_no_node_is_refused():
    for function in (lambda x: x[:, 1:], jnp.sin, lambda x: x + np.arange(36, dtype=np.float32).reshape(1, 3, 4, 3)):
        traced = jax.make_jaxpr(function)(np.zeros((1, 3, 4, 3), np.float32))
        with pytest.raises(NotImplementedError, match="has no translation to ONNX"):
            translate(Graph(), traced, ["x"])
