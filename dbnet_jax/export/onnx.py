"""ONNX: for ONNX Runtime, OpenVINO, browsers and others."""

import importlib.util
import os
import pathlib
from typing import Any

from dbnet_jax.backends.sessions import open_session
from dbnet_jax.export.files import checked_path, metadata, write
from dbnet_jax.export.program import Arrays, Network, Program, checked_difference, program_of

SUFFIX = ".onnx"


def export_onnx(network: Network, path: str | os.PathLike[str]) -> float:
    """Writes an ONNX file (opset 19) that needs nothing else of this package.

    A detector's input is "images", uint8 RGB [batch, height, width, 3]; its output is the map in which text is found,
    float32 [batch, height, width]. A recogniser's inputs are "images", uint8 grey [batch, 32, width], and "widths",
    int32 [batch]; its output is "log_probabilities" [batch, steps, classes]. Sizes are dynamic: the sides of a
    detector's images are multiples of 32, and the width of a recogniser's is one of 4. The computation is float32.

    The file is compared with JAX before it is written, by ONNX Runtime; without it, a detector by the slow reference
    of the package onnx.

    **Arguments:**

    - `network`: a `Detector`, a `Recognizer` or `Weights`.
    - `path`: ends in .onnx.

    **Returns:** the largest difference to JAX's probabilities, in [0, 0.001].

    **Raises:** ImportError without the package onnx; ValueError for an attention decoder, or if the file differs from
    JAX; NotImplementedError if an operation of the network has no translation. Nothing is written then.
    """
    path, program = checked_path(path, SUFFIX), program_of(network)
    content = onnx_content(network, program, path)
    difference = checked_difference(program, _runner(program, content))
    write(path, content)
    return difference


def onnx_content(network: Network, program: Program, path: pathlib.Path) -> bytes:
    """The content of the file at `path`, with the config and the card. **Raises:** as `export_onnx`."""
    from dbnet_jax.onnx_graph.graph import set_metadata
    from dbnet_jax.onnx_graph.networks import detector_graph, recognizer_graph

    if program.reads:
        model = recognizer_graph(program.model, program.variables)
    else:
        normalization = network.config.data.normalization
        model = detector_graph(program.model, program.variables, normalization, [program.output])
    set_metadata(model, metadata(network, path))
    return bytes(model.SerializeToString())


def _runner(program: Program, content: bytes) -> Any:
    if importlib.util.find_spec("onnxruntime"):
        return open_session("onnxruntime", content)
    from onnx.reference import ReferenceEvaluator

    reference = ReferenceEvaluator(content)

    def run(inputs: Arrays) -> Arrays:
        outputs: Any = reference.run([program.output], dict(inputs))
        return {program.output: outputs[0]}

    return run
