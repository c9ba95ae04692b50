"""An ONNX graph while it grows: its nodes and its constants."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ImportError("ONNX needs the package onnx: pip install 'dbnet_jax[onnx]'") from error

OPSET = 19  # the first with DeformConv
_IR_VERSION = 9  # the first that has this opset


class Graph:
    """Nodes in their order. A value of the graph is the name of a node's output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple[tuple[int, ...], str, bytes], str] = {}

    def emit(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node. **Returns:** the name of its first output."""
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def cast(self, value: str, kind: Any) -> str:
        """The value as another type of number, a NumPy type."""
        return self.emit("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def constant(self, value: Any) -> str:
        """The name of a constant; equal constants are one."""
        value = np.asarray(value, order="C")
        key = (value.shape, str(value.dtype), value.tobytes())
        return self._constants.setdefault(key, f"c{len(self._constants)}")

    def integers(self, *values: int) -> str:
        """A vector of int64, as axes, sizes and indices are."""
        return self.constant(np.array(values, np.int64))

    def finished(
        self, inputs: Mapping[str, tuple[Any, Sequence[Any]]], outputs: Mapping[str, tuple[str, Sequence[Any]]]
    ) -> Any:
        """The checked model.

        **Arguments:**

        - `inputs`: the type (a NumPy type) and the shape of each input by its name; a text is a size that changes.
        - `outputs`: the value and the shape of each output by its name. Outputs are float32.
        """
        live, nodes = set(outputs), []
        ends = [helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        for node in reversed([*self._nodes, *ends]):  # for example, the probability map needs no threshold head
            if live.intersection(node.output):
                live.update(node.input)
                nodes.append(node)
        constants = [
            numpy_helper.from_array(np.frombuffer(content, kind).reshape(shape), name)
            for (shape, kind, content), name in self._constants.items()
            if name in live
        ]
        kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for name, (kind, _) in inputs.items()}
        graph = helper.make_graph(
            nodes[::-1],
            "dbnet_jax",
            [helper.make_tensor_value_info(name, kinds[name], shape) for name, (_, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
            constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="dbnet_jax")
        onnx.checker.check_model(model, full_check=True)
        return model


def set_metadata(model: Any, metadata: Mapping[str, Any]) -> None:
    """Puts texts, and other values as JSON, into the file's metadata."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    helper.set_model_props(model, texts)
