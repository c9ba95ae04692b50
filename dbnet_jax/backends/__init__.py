"""Programs that run a network: XLA, ONNX Runtime and OpenVINO.

A back end has the call of the compiled evaluation step. It is chosen by `config.predict.backend`.
"""

import importlib.util

import jax

from dbnet_jax.messages import check_choice

BACKENDS = ("xla", "onnxruntime", "openvino", "openvino_float32", "auto")
"""The values of `config.predict.backend`."""

_PACKAGES = {
    "xla": (),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "openvino_float32": ("onnx", "openvino"),
}


def choose_backend(name: str, *, deformable: bool = False) -> str:
    """The back end that a network gets.

    "auto" is XLA on an accelerator, and on a CPU the fastest one that is installed: OpenVINO, then ONNX Runtime, then
    XLA. With deformable convolution, ONNX Runtime comes first.

    **Arguments:** `name`: one of `BACKENDS`; `deformable`: whether the network has deformable convolution.

    **Raises:** ValueError if the name is unknown; ImportError if a package is missing.
    """
    check_choice("config.predict.backend", name, BACKENDS)
    if name == "auto":
        fastest = ("onnxruntime", "openvino") if deformable else ("openvino", "onnxruntime")
        on_cpu = jax.default_backend() == "cpu"
        return next((one for one in fastest if on_cpu and not _missing(one)), "xla")
    if missing := _missing(name):
        extra = "openvino" if "openvino" in name else "onnx"
        raise ImportError(
            f"`config.predict.backend` (={name!r}) needs the package {' and '.join(missing)}: "
            f"pip install 'dbnet_jax[{extra}]'"
        )
    return name


def _missing(name: str) -> list[str]:
    return [package for package in _PACKAGES[name] if importlib.util.find_spec(package) is None]
