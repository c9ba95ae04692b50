"""ONNX networks in ONNX Runtime and in OpenVINO."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Inputs = Mapping[str, np.ndarray]
Session = Callable[[Inputs], dict[str, np.ndarray]]
"""The outputs of a network, by name, for inputs of any size that it takes."""


def open_session(backend: str, network: bytes) -> Session:
    """Prepares a network.

    **Arguments:** `backend`: "onnxruntime", "openvino" or "openvino_float32"; `network`: the content of an ONNX file.
    """
    return _in_onnxruntime(network) if backend == "onnxruntime" else _in_openvino(network, backend)


def _in_onnxruntime(network: bytes) -> Session:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    # Its threads would wait in a loop for the next picture, on cores that read and post-process pictures meanwhile.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(network, settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _in_openvino(network: bytes, backend: str) -> Session:
    # OpenVINO's import would report itself to its maker, from a fork of this process: JAX warns of forks.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend.onnx import ConversionExtension

    core = openvino.Core()
    core.add_extension(ConversionExtension("DeformConv", "", _deformable_convolution))
    # Without the hint, OpenVINO computes in bfloat16 where the processor has instructions for it.
    precision = {"INFERENCE_PRECISION_HINT": "f32"} if backend == "openvino_float32" else {}
    options = {"PERFORMANCE_HINT": "LATENCY"} | precision
    compiled = core.compile_model(core.read_model(network), "CPU", options)
    names, lock = [output.any_name for output in compiled.outputs], threading.Lock()

    def run(inputs: Inputs) -> dict[str, np.ndarray]:
        with lock:  # the program has one set of buffers
            found = compiled(dict(inputs))
            return {name: np.array(found[name]) for name in names}

    return run


def _deformable_convolution(node: Any) -> Any:
    """OpenVINO's operation for ONNX's DeformConv, for which it has no rule."""
    from openvino import opset8

    x, kernel, offset, _, mask = (node.get_input(number) for number in range(5))
    strides, pads = node.get_attribute("strides"), node.get_attribute("pads")
    half = len(pads) // 2
    return opset8.deformable_convolution(
        x, offset, kernel, strides, pads[:half], pads[half:], [1, 1], mask, "EXPLICIT", 1, 1, True
    ).outputs()
