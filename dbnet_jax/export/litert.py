"""LiteRT (TensorFlow Lite): for phones and small computers."""

import functools
import os
import warnings
from typing import Any

import jax
import numpy as np
from jax import lax

from dbnet_jax.export.files import checked_path, metadata, with_archive, write
from dbnet_jax.export.program import Arrays, Network, Program, checked_difference, program_of
from dbnet_jax.images.resize import STRIDE as MULTIPLE
from dbnet_jax.models.recognition.encoders import HEIGHT, STRIDE
from dbnet_jax.ops.convolution import pixel_product
from dbnet_jax.ops.replaceable import replaced

SUFFIX = ".tflite"


def export_litert(network: Network, path: str | os.PathLike[str], *, size: tuple[int, int]) -> float:
    """Writes a .tflite file for one picture, or one word, of one size.

    Inputs and output are those of `export_onnx`, with a batch of one and fixed sizes. LiteRT has no operation for
    deformable convolution: it becomes many operations, and is slow. Behind the program, the file contains a zip archive
    with the config and the card, as LiteRT's own tools write it.

    **Arguments:**

    - `network`: a `Detector`, a `Recognizer` or `Weights`.
    - `path`: ends in .tflite.
    - `size`: (height, width) in pixels. A detector's are multiples of 32. A recogniser's height is 32, and its width a
        multiple of 4.

    **Returns:** the largest difference to JAX's probabilities, in [0, 0.001].

    **Raises:** ValueError if the size is not possible, the network has no LiteRT form, or the file differs from JAX.
    Nothing is written then.
    """
    path, program = checked_path(path, SUFFIX), program_of(network)
    _check_size(size, reads=program.reads)
    content = with_archive(_converted(program, size), metadata(network, path))
    difference = checked_difference(program, functools.partial(_run, content, program.output), size)
    write(path, content)
    return difference


def _check_size(size: tuple[int, int], *, reads: bool) -> None:
    multiples = (HEIGHT, STRIDE) if reads else (MULTIPLE, MULTIPLE)
    if min(size) < 1 or size[0] % multiples[0] or size[1] % multiples[1] or (reads and size[0] != HEIGHT):
        wanted = f"({HEIGHT}, width), the width a multiple of {STRIDE}" if reads else f"multiples of {MULTIPLE}"
        raise ValueError(f"`size` (={size}) must be {wanted}")


def _converted(program: Program, size: tuple[int, int]) -> bytes:
    # The messages of TensorFlow's start do not concern users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    tf.get_logger().setLevel("ERROR")
    (inputs,) = program.examples(size)
    function = functools.partial(program.function, program.variables)
    converter = tf.lite.TFLiteConverter.experimental_from_jax([function], [list(inputs.items())])
    try:
        with replaced({pixel_product: _product}):
            return bytes(converter.convert())
    except ConverterError as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"this network has no LiteRT form; ONNX and StableHLO have it. TensorFlow: {first}") from error


def _product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """`x @ matrix` for images as a 1×1 convolution: LiteRT fails for a product of four axes."""
    if x.ndim != 4:
        return x @ matrix
    return lax.conv_general_dilated(x, matrix[None, None], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _run(content: bytes, output: str, inputs: Arrays) -> dict[str, Any]:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this interpreter will move to another package
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for place, value in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.set_tensor(place["index"], np.asarray(value))
    interpreter.invoke()
    return {output: interpreter.get_tensor(interpreter.get_output_details()[0]["index"])}
