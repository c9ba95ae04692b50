"""From the equations of a traced function (its jaxpr) to the nodes of an ONNX graph.

The function is traced at one size, and the graph is for all sizes. A number of the traced size may be in the equations
in two ways: as the divisor of a mean, which becomes ReduceMean, and as the shape of a constant that is the same
everywhere, which becomes one number. Anything else of this kind is refused.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend import core

from dbnet_jax.onnx_graph.graph import Graph
from dbnet_jax.onnx_graph.operations import NODES

# An axis of [batch, height, width, channels] in [batch, channels, height, width].
_AXES = (0, 2, 3, 1)
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_ELEMENTWISE = {
    "add": "Add",
    "add_any": "Add",
    "div": "Div",
    "exp": "Exp",
    "logistic": "Sigmoid",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "sub": "Sub",
    "tanh": "Tanh",
}
_CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "checkpoint", "remat2")
_REDUCTIONS = {"reduce_max": "ReduceMax", "reduce_sum": "ReduceSum"}
# Nothing to do where the shape stays the same, or where axes of length 1 come back that a reduction kept.
_NOTHING = ("broadcast_in_dim", "copy", "expand_dims", "reshape", "squeeze", "stop_gradient")


def translate(graph: Graph, function: core.ClosedJaxpr, inputs: Sequence[str]) -> list[str]:
    """Adds the nodes of a function.

    **Arguments:**

    - `function`: traced; its equations are operations of `NODES` and arithmetic.
    - `inputs`: the values of its arguments. Images are channels first in the graph.

    **Returns:** the values of its results.

    **Raises:** NotImplementedError if there is no node for an equation.
    """
    outputs = _Translation(graph).run(function.jaxpr, function.consts, inputs)
    return [value if isinstance(value, str) else graph.constant(value) for value in outputs]


class _Translation:
    """A value is the name of one in the graph, or an array: constants are computed at once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sums: dict[str, tuple[str, str, int]] = {}  # of each sum: its summands, its axes, their count
        # Values with axes of length 1 that the equations dropped, by the number of axes in the equations. A name that
        # has more axes again in a later equation has just these.
        self._reduced: dict[str, int] = {}

    def run(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The values of the results."""
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, core.Literal) else values[atom]

        for equation in jaxpr.eqns:
            outputs = self._outputs(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _outputs(self, equation: Any, inputs: list[Any]) -> list[Any]:
        name, parameters = equation.primitive.name, equation.params
        if name in NODES:
            return [NODES[name](self._graph, *inputs, **parameters)]
        if not any(isinstance(value, str) for value in inputs):
            outputs = equation.primitive.bind(*inputs, **parameters)
            return list(outputs) if equation.primitive.multiple_results else [outputs]
        if name in _CALLS:
            if parameters.get("name") == "relu":  # other programs join it to the convolution before it
                return [self._graph.emit("Relu", inputs[0])]
            inner = next(parameters[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in parameters)
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs)
        return [self._one(equation, inputs)]

    def _one(self, equation: Any, inputs: list[Any]) -> str:
        name, graph, x = equation.primitive.name, self._graph, inputs[0]
        if name in _NOTHING and (self._lacks_axes(equation, inputs) or _keeps_shape(equation)):
            return str(x)
        if name in _NOTHING and _adds_channel(equation):
            return graph.emit("Unsqueeze", x, graph.integers(1))
        if name in _REDUCTIONS:
            return self._reduction(equation, x)
        if name == "div" and x in self._sums and _number(inputs[1]) == self._sums[x][2]:
            summands, axes, _ = self._sums[x]
            mean = graph.emit("ReduceMean", summands, axes, keepdims=1)
            return self._kept(mean, equation) if self._lacks_axes(equation, inputs) else mean
        if name == "square":
            return graph.emit("Mul", x, x)
        if name == "convert_element_type":
            kind = equation.params["new_dtype"]
            return str(x) if kind == equation.invars[0].aval.dtype else graph.cast(x, kind)
        if name == "rev" and equation.params["dimensions"] == (3,):
            channels = equation.outvars[0].aval.shape[3]
            return graph.emit("Gather", x, graph.integers(*reversed(range(channels))), axis=1)
        if name == "concatenate" and len(equation.outvars[0].aval.shape) == 4:
            return graph.emit("Concat", *map(self._named, inputs), axis=_AXES[equation.params["dimension"]])
        if name == "slice" and (span := _channel_span(equation)):
            return graph.emit("Slice", x, *map(graph.integers, span), graph.integers(1))
        if name in _ELEMENTWISE:
            output = graph.emit(_ELEMENTWISE[name], *map(self._named, inputs))
            return self._kept(output, equation) if self._lacks_axes(equation, inputs) else output
        raise NotImplementedError(f"{equation} has no translation to ONNX")

    def _reduction(self, equation: Any, x: str) -> str:
        shape, axes = equation.invars[0].aval.shape, equation.params["axes"]
        there = self._graph.integers(*[_AXES[axis] if len(shape) == 4 else axis for axis in axes])
        output = self._graph.emit(_REDUCTIONS[equation.primitive.name], x, there, keepdims=1)
        self._kept(output, equation)
        if equation.primitive.name == "reduce_sum":
            self._sums[output] = x, there, math.prod(shape[axis] for axis in axes)
        return output

    def _kept(self, reduced: str, equation: Any) -> str:
        self._reduced[reduced] = len(equation.outvars[0].aval.shape)
        return reduced

    def _lacks_axes(self, equation: Any, inputs: Sequence[Any]) -> bool:
        """Whether an input has axes in the graph that it lacks in the equation."""
        return any(
            isinstance(value, str) and self._reduced.get(value) == len(atom.aval.shape)
            for value, atom in zip(inputs, equation.invars, strict=True)
        )

    def _named(self, value: Any) -> str:
        """The name of a value. A constant image of the traced size becomes one pixel if all of its pixels are equal."""
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        if array.ndim == 4:
            pixel = array[:1, :1, :1]
            if not (array == pixel).all():
                raise NotImplementedError(f"a constant of the traced size {array.shape} has no translation to ONNX")
            array = pixel.transpose(_TO_CHANNELS_FIRST)
        elif array.ndim and array.size != array.shape[-1]:
            raise NotImplementedError(f"a constant of shape {array.shape} has no translation to ONNX")
        return self._graph.constant(array)


def _keeps_shape(equation: Any) -> bool:
    return bool(equation.invars[0].aval.shape == equation.outvars[0].aval.shape)


def _adds_channel(equation: Any) -> bool:
    """Whether [batch, height, width] becomes [batch, height, width, 1]."""
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return len(before) == 3 and (*before, 1) == after


def _number(value: Any) -> float | None:
    """The number in an array with one number."""
    return None if isinstance(value, str) or np.size(value) != 1 else float(np.asarray(value).item())


def _channel_span(equation: Any) -> tuple[int, int] | None:
    """The first channel and the end of a slice of [batch, height, width, channels] that takes only channels apart."""
    shape, parameters = equation.invars[0].aval.shape, equation.params
    spans = list(zip(parameters["start_indices"], parameters["limit_indices"], strict=True))
    whole = [(0, size) for size in shape]
    if len(shape) != 4 or parameters["strides"] is not None or spans[:3] != whole[:3]:
        return None
    return spans[3]
