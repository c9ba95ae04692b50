"""Networks in files that others read."""

from dbnet_jax.export.int8 import export_int8
from dbnet_jax.export.litert import export_litert
from dbnet_jax.export.onnx import export_onnx
from dbnet_jax.export.stablehlo import export_stablehlo
from dbnet_jax.export.weights import Exported, export_run

__all__ = ["Exported", "export_int8", "export_litert", "export_onnx", "export_run", "export_stablehlo"]
