"""Scene text detection with Differentiable Binarization, in JAX.

`Detector` finds text in pictures, `create_model` makes the network, `keep_memory` makes both faster on a CPU. Training
starts from `run.py` or `dbnet_jax.train.train_and_evaluate`, which needs `input_pipeline` and TensorFlow beside.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbnet_jax.detector import Detector
    from dbnet_jax.models import create_model
    from dbnet_jax.postprocess import Detections
    from dbnet_jax.training.cpu_memory import keep_memory

__all__ = ["Detections", "Detector", "create_model", "keep_memory"]
_HOMES = {
    "Detections": "dbnet_jax.postprocess",
    "Detector": "dbnet_jax.detector",
    "create_model": "dbnet_jax.models",
    "keep_memory": "dbnet_jax.training.cpu_memory",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: the input pipeline takes `dbnet_jax.geometry`, and must not wait for JAX.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dbnet_jax' has no attribute {name!r}")
