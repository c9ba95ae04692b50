"""What a compiled step costs: FLOPs, memory traffic, and the share of the accelerator's peak that a run achieves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

# Dense bfloat16 FLOP/s of one device, as its maker states it, by how JAX's name of the device begins.
PEAKS = {
    "NVIDIA H200": 989e12,
    "NVIDIA H100": 989e12,
    "NVIDIA A100": 312e12,
    "NVIDIA L4": 121e12,
    "Tesla V100": 125e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
}


class StepCost(NamedTuple):
    """One step over all devices.

    - `flops`: floating point operations, as XLA counts them before it optimises; loops count one round, so deformable
        convolutions weigh less here than they do.
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
            lowered = self._step.lower(*arguments)
            self._compiled = compiled = lowered.compile()
            self.cost = StepCost(
                _count(lowered.cost_analysis(), "flops"),
                _count(compiled.cost_analysis(), "bytes accessed"),
                peak_flops(),
            )
        return self._compiled(*arguments)


def peak_flops() -> float | None:
    """Dense bfloat16 FLOP/s of all devices; None where it is not known."""
    kind = jax.devices()[0].device_kind
    # The longest name that fits: "TPU v5 lite" begins like "TPU v5".
    fitting = [name for name in PEAKS if kind.startswith(name)]
    return PEAKS[max(fitting, key=len)] * jax.device_count() if fitting else None


def _count(analysis: Any, name: str) -> float:
    """A number of XLA's analysis; 0 where the platform has none."""
    return float(analysis.get(name, 0.0)) if isinstance(analysis, dict) else 0.0
