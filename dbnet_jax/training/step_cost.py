"""What a compiled step costs: FLOPs, memory traffic, and the share of the accelerator's peak that a run achieves."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Dense bfloat16 FLOP/s of one device, as its maker states it, by the words that JAX's name of the device begins with.
# The cards of one chip differ: an H100 that is not listed has no peak. A V100 has float16 alone.
PEAKS = {
    "NVIDIA GB200": 2500e12,
    "NVIDIA B200": 2250e12,
    "NVIDIA GH200": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA A100": 312e12,
    "NVIDIA A40": 150e12,
    "NVIDIA A30": 165e12,
    "NVIDIA A10": 125e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA L40": 181e12,
    "NVIDIA L4": 121e12,
    "Tesla V100-SXM2": 125e12,
    "Tesla V100-PCIE": 112e12,
    "TPU v4": 275e12,
    "TPU v4 lite": 138e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}


class StepCost(NamedTuple):
    """One step over all devices.

    - `flops`: floating point operations of convolutions and matrix products, see `count_flops`.
    - `bytes`: read and written by one device, as XLA counts them in the compiled program.
    - `peak`: dense bfloat16 FLOP/s of all devices, None where it is not known.
    """

    flops: float
    bytes: float
    peak: float | None

    def utilization(self, steps_per_second: float) -> float | None:
        """The achieved share of the peak (MFU), in [0, 1]; None where the peak is not known."""
        return None if self.peak is None else self.flops * steps_per_second / self.peak

    def __str__(self) -> str:
        peak = "" if self.peak is None else f"; the devices' peak is {self.peak / 1e12:.0f} TFLOP/s"
        return f"a step: {self.flops / 1e9:.1f} GFLOP, {self.bytes / 1e9:.2f} GB a device{peak}"


class MeasuredStep:
    """A jitted function that is compiled once, at its first call, and whose `cost` is known from then on.

    **Arguments:** `step`: a function that `jax.jit` made; every call has arguments of the same shapes and shardings.
    """

    def __init__(self, step: Any):
        self._step = step
        self._compiled: Callable[..., Any] | None = None
        self.cost: StepCost | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            traced = self._step.trace(*arguments)
            self._compiled = compiled = traced.lower().compile()
            self.cost = StepCost(count_flops(traced.jaxpr), _bytes(compiled.cost_analysis()), peak_flops())
        return self._compiled(*arguments)


def peak_flops() -> float | None:
    """Dense bfloat16 FLOP/s of all devices; None where it is not known."""
    kind = jax.devices()[0].device_kind
    if " MIG " in kind:  # a part of a card
        return None
    # The longest name that fits: "TPU v5 lite" begins like "TPU v5".
    fitting = [name for name in PEAKS if re.match(rf"{re.escape(name)}\b", kind)]
    return PEAKS[max(fitting, key=len)] * jax.device_count() if fitting else None


def count_flops(program: ClosedJaxpr | Jaxpr) -> float:
    """Floating point operations of the convolutions and matrix products in a traced program: two a multiplication.

    Loops of known length count all of their rounds, as XLA's own analysis does not; others one. Of the branches of a
    condition, such as the forms for different platforms, the largest counts.
    """
    total = 0.0
    for equation in needed(program):
        name, inner = equation.primitive.name, [count_flops(each) for each in programs_in(equation.params)]
        if name == "dot_general":
            total += _dot_flops(equation)
        elif name == "conv_general_dilated":
            total += _conv_flops(equation)
        elif name == "cond":
            total += max(inner)
        else:
            total += sum(inner) * equation.params.get("length", 1)
    return total


def needed(program: ClosedJaxpr | Jaxpr) -> list[Any]:
    """The equations that the program's results come from, in their order; a compiler leaves the others out."""
    inside = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    live, equations = {atom for atom in inside.outvars if not isinstance(atom, Literal)}, []
    for equation in reversed(inside.eqns):
        if equation.effects or live.intersection(equation.outvars):
            equations.append(equation)
            live.update(atom for atom in equation.invars if not isinstance(atom, Literal))
    return equations[::-1]


def programs_in(parameters: dict[str, Any]) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The programs among an equation's parameters: what it calls, repeats or chooses from."""
    for value in parameters.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, (ClosedJaxpr, Jaxpr)):
                yield each


def _dot_flops(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)


def _conv_flops(equation: Any) -> float:
    kernel, numbers = equation.invars[1].aval, equation.params["dimension_numbers"]
    taps = kernel.size // kernel.shape[numbers.rhs_spec[0]]
    # Where the image is spread, for the gradient of a convolution with strides, most taps meet nothing.
    return 2.0 * equation.outvars[0].aval.size * taps / math.prod(equation.params["lhs_dilation"])


def _bytes(analysis: Any) -> float:
    """What XLA counts; 0 where the platform does not."""
    return float(analysis.get("bytes accessed", 0.0)) if isinstance(analysis, dict) else 0.0
