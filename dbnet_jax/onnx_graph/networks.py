"""The networks of detectors and recognisers as ONNX models, from uint8 pixels on."""

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from dbnet_jax.images.normalization import grey_to_unit, normalize
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.models.variables import Variables
from dbnet_jax.onnx_graph.graph import Graph
from dbnet_jax.onnx_graph.layers import as_onnx
from dbnet_jax.onnx_graph.translation import translate


def detector_graph(model: nn.Module, variables: Variables, normalization: str, names: Sequence[str]) -> Any:
    """A detector: "images", uint8 RGB [batch, height, width, 3], to float32 maps [batch, height, width].

    All sizes are dynamic; the height and the width must be multiples of 32. The computation is float32, also if the
    model's is not.

    **Arguments:**

    - `model`: of `create_model`, with its `variables`.
    - `normalization`: see `dbnet_jax.images.normalization`.
    - `names`: of the maps; the graph contains only their layers.

    **Returns:** an `onnx.ModelProto`.

    **Raises:** ImportError without the package onnx; NotImplementedError if an operation has no translation.
    """

    def maps(images: Array) -> list[Array]:
        outputs = cast(Any, _in_float32(model).apply(constants, normalize(images, normalization), train=False))
        return [outputs[name] for name in names]

    constants = jax.device_get(variables)
    with as_onnx():
        traced = jax.make_jaxpr(maps)(jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.uint8))
    graph, sizes = Graph(), ("batch", "height", "width")
    values = translate(graph, traced, [graph.emit("Transpose", "images", perm=[0, 3, 1, 2])])
    outputs = {name: (value, sizes) for name, value in zip(names, values, strict=True)}
    return graph.finished({"images": (jnp.uint8, (*sizes, 3))}, outputs)


def recognizer_graph(model: nn.Module, variables: Variables) -> Any:
    """A recogniser: grey words to "log_probabilities", float32 [batch, steps, classes].

    Its inputs are "images", uint8 [batch, 32, width] with a width that is a multiple of 4, and "widths", int32 [batch]:
    the pixels of each word that are no padding. The batch and the width are dynamic. The computation is float32.

    **Arguments:** `model`: of `create_recognizer`, with its `variables`.

    **Returns:** an `onnx.ModelProto`.

    **Raises:** ValueError if the decoder is not CTC; ImportError without the package onnx.
    """
    if (decoder := cast(Any, model).decoder) != "ctc":
        raise ValueError(
            f"`config.model.decoder` (={decoder!r}) has no ONNX form, only 'ctc' has: use StableHLO, or XLA"
        )

    def logits(images: Array, widths: Array) -> Array:
        return cast(Array, _in_float32(model).apply(constants, grey_to_unit(images), widths))

    constants = jax.device_get(variables)
    example = jax.ShapeDtypeStruct((2, HEIGHT, 96), jnp.uint8), jax.ShapeDtypeStruct((2,), jnp.int32)
    with as_onnx():
        traced = jax.make_jaxpr(logits)(*example)
    graph = Graph()
    value = graph.emit("LogSoftmax", *translate(graph, traced, ["images", "widths"]), axis=-1)
    inputs = {"images": (jnp.uint8, ("batch", HEIGHT, "width")), "widths": (jnp.int32, ("batch",))}
    classes = traced.out_avals[0].shape[-1]
    return graph.finished(inputs, {"log_probabilities": (value, ("batch", "steps", classes))})


def _in_float32(model: nn.Module) -> nn.Module:
    return model.clone(dtype=jnp.float32)
