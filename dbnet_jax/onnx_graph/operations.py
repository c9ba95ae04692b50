"""Operations that ONNX has as one node, as primitives of JAX: the shape of the result, and the node.

Images are [batch, height, width, channels] in JAX and [batch, channels, height, width] in the graph. Kernels are HWIO.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive

from dbnet_jax.onnx_graph.graph import Graph

Shape = tuple[int, ...]
NODES: dict[str, Callable[..., str]] = {}
"""For each primitive by its name: adds its node, called as `(graph, *inputs, **parameters)`; returns the output.

An input is the name of a value, or an array if it is constant.
"""


def _operation(shape: Callable[..., Shape], node: Callable[..., str], kind: Any = jnp.float32) -> Primitive:
    """A primitive. `shape`: of the result, by the arguments and the parameters; `node`: its entry in `NODES`."""
    primitive = Primitive(f"onnx{node.__name__}")
    primitive.def_abstract_eval(lambda *args, **parameters: ShapedArray(shape(*args, **parameters), kind))
    NODES[primitive.name] = node
    return primitive


def _fewer(size: int, strides: int) -> int:
    return -(-size // strides)


def _by_features(kernel: Any) -> np.ndarray:
    return np.asarray(kernel).transpose(3, 2, 0, 1)


def _conv_shape(x: Any, kernel: Any, *rest: Any, strides: int, padded: bool = True, groups: int = 1) -> Shape:
    rows, cols = (0, 0) if padded else (kernel.shape[0] - 1, kernel.shape[1] - 1)
    return x.shape[0], _fewer(x.shape[1] - rows, strides), _fewer(x.shape[2] - cols, strides), kernel.shape[3]


def _conv(graph: Graph, x: str, kernel: Any, *, strides: int, padded: bool, groups: int) -> str:
    size = list(kernel.shape[:2])
    pads = [(side - 1) // 2 if padded else 0 for side in size] * 2
    weights = graph.constant(_by_features(kernel))
    return graph.emit("Conv", x, weights, kernel_shape=size, strides=[strides] * 2, pads=pads, group=groups)


def _deform_conv(graph: Graph, x: str, kernel: Any, offset: str, mask: str, *, strides: int) -> str:
    weights, bias = graph.constant(_by_features(kernel)), graph.constant(np.zeros(kernel.shape[3], np.float32))
    size = list(kernel.shape[:2])
    pads = [(side - 1) // 2 for side in size] * 2
    return graph.emit("DeformConv", x, weights, offset, bias, mask, kernel_shape=size, strides=[strides] * 2, pads=pads)


def _doubling_conv(graph: Graph, x: str, kernel: Any, bias: Any) -> str:
    weights = graph.constant(np.asarray(kernel).transpose(2, 3, 0, 1))
    return graph.emit("ConvTranspose", x, weights, graph.constant(bias), kernel_shape=[2, 2], strides=[2, 2])


def _max_pool(graph: Graph, x: str, *, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int]) -> str:
    return graph.emit("MaxPool", x, kernel_shape=list(size), strides=list(strides), pads=list(pads) * 2)


def _pool_shape(x: Any, *, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int]) -> Shape:
    rows, cols = ((x.shape[axis + 1] + 2 * pads[axis] - size[axis]) // strides[axis] + 1 for axis in (0, 1))
    return x.shape[0], rows, cols, x.shape[3]


def _upsample(graph: Graph, x: str, *, factor: int) -> str:
    scales = graph.constant(np.array([1, 1, factor, factor], np.float32))
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.emit("Resize", x, "", scales, mode="nearest", **how)


def _one_channel(graph: Graph, x: str) -> str:
    return graph.emit("Squeeze", x, graph.integers(1))


def _columns(graph: Graph, x: str) -> str:
    return graph.emit("Transpose", graph.emit("Squeeze", x, graph.integers(2)), perm=[0, 2, 1])


def _flat_head(graph: Graph, x: str, *, strides: int, channels: int) -> str:
    def sizes(first: int, end: int) -> str:
        return graph.emit("Shape", x, start=first, end=end)

    rounded = graph.emit("Add", sizes(2, 4), graph.integers(strides - 1))
    wanted = graph.emit("Concat", graph.integers(channels), graph.emit("Div", rounded, graph.integers(strides)), axis=0)
    flat = graph.emit("Reshape", x, graph.emit("Concat", sizes(0, 1), graph.integers(-1), axis=0))
    count = graph.emit("ReduceProd", wanted, keepdims=1)
    head = graph.emit("Slice", flat, graph.integers(0), count, graph.integers(1))
    return graph.emit("Reshape", head, graph.emit("Concat", sizes(0, 1), wanted, axis=0))


def _every_fourth(graph: Graph, x: str) -> str:
    ends = graph.integers(*[np.iinfo(np.int64).max] * 2)
    taken = graph.emit("Slice", x, graph.integers(0, 0), ends, graph.integers(1, 2), graph.integers(4, 4))
    return graph.emit("Unsqueeze", taken, graph.integers(1))


def _dense(graph: Graph, x: str, kernel: Any, bias: Any) -> str:
    return graph.emit("Add", graph.emit("MatMul", x, graph.constant(kernel)), graph.constant(bias))


def _lstm(graph: Graph, x: str, lengths: str, inputs: Any, states: Any, bias: Any) -> str:
    # Two LSTMs, as OpenVINO's bidirectional one reads the padding too.
    def turned(steps: str) -> str:
        return graph.emit("ReverseSequence", steps, graph.cast(lengths, np.int64), batch_axis=1, time_axis=0)

    def direction(steps: str, number: int) -> str:
        weights = [graph.constant(one[number : number + 1]) for one in (inputs, states, bias)]
        found = graph.emit("LSTM", steps, *weights, hidden_size=states.shape[2])
        return graph.emit("Squeeze", found, graph.integers(1))  # the axis of directions

    steps = graph.emit("Transpose", x, perm=[1, 0, 2])
    both = graph.emit("Concat", direction(steps, 0), turned(direction(turned(steps), 1)), axis=2)
    return graph.emit("Transpose", both, perm=[1, 0, 2])


def _column_lengths(graph: Graph, widths: str, columns: str, *, stride: int) -> str:
    rounded = graph.emit("Add", widths, graph.constant(np.int32(stride - 1)))
    count = graph.cast(graph.emit("Shape", columns, start=1, end=2), np.int32)
    return graph.emit("Min", graph.emit("Div", rounded, graph.constant(np.int32(stride))), count)


conv = _operation(_conv_shape, _conv)
deform_conv = _operation(_conv_shape, _deform_conv)
doubling_conv = _operation(
    lambda x, kernel, bias: (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[3]), _doubling_conv
)
max_pool = _operation(_pool_shape, _max_pool)
upsample = _operation(lambda x, factor: (x.shape[0], x.shape[1] * factor, x.shape[2] * factor, x.shape[3]), _upsample)
one_channel = _operation(lambda x: x.shape[:3], _one_channel)
columns = _operation(lambda x: (x.shape[0], x.shape[2], x.shape[3]), _columns)
flat_head = _operation(
    lambda x, strides, channels: (x.shape[0], _fewer(x.shape[1], strides), _fewer(x.shape[2], strides), channels),
    _flat_head,
)
every_fourth = _operation(lambda x: (x.shape[0], _fewer(x.shape[1], 4), _fewer(x.shape[2], 4), 1), _every_fourth)
dense = _operation(lambda x, kernel, bias: (*x.shape[:-1], kernel.shape[1]), _dense)
lstm = _operation(lambda x, lengths, inputs, states, bias: (*x.shape[:2], 2 * states.shape[2]), _lstm)
column_lengths = _operation(lambda widths, columns, stride: widths.shape, _column_lengths, jnp.int32)
