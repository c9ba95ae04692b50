"""The least time a training step or a detection can take: operations and memory traffic against a device's peaks.

    python benchmarks/roofline.py
    python benchmarks/roofline.py --device "NVIDIA A100" --flops=312e12 --bandwidth=2.04e12 --json=result.json

Nothing runs: programs are traced and counted. benchmarks/README.md says how to read the numbers.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal

from dbnet_jax.losses import db_loss
from dbnet_jax.models import create_model
from dbnet_jax.training.step_cost import count_flops, needed, programs_in

BACKBONES = ("mobilenet_v3_large", "resnet18", "resnet50")
LABELS = ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
SUMS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "argmax")
VIEWS = ("reshape", "squeeze", "expand_dims", "copy")


class Value(NamedTuple):
    """An array: its variable, or that of the array it is a view of, and the stored arrays that it comes from."""

    root: Any
    sources: frozenset[Any]


class Traffic:
    """Bytes through a device's memory, if everything is fused that can be.

    Convolutions and matrix products read arrays and write one. Elements, and their order, are computed on the way: to
    write what a product needs reads what that comes from; a sum reads what it comes from, several sums of the same
    arrays together. This is what XLA's fusion aims at; a real program moves more.
    """

    def __init__(self) -> None:
        self.bytes = 0.0
        self._stored: set[Any] = set()
        self._summed: set[Any] = set()

    def count(self, program: Jaxpr, arguments: Sequence[Value] | None = None) -> list[Value]:
        """Adds a program, whose arguments are stored unless they are given; its results."""
        arguments = [self._store(var) for var in program.invars] if arguments is None else arguments
        values = dict(zip(program.invars, arguments, strict=True))
        values |= {var: Value(var, frozenset()) for var in program.constvars}

        def value(atom: Any) -> Value:
            if isinstance(atom, Literal):
                return Value(None, frozenset())
            root, sources = values[atom]
            return Value(root, frozenset({root})) if root in self._stored else Value(root, sources)

        for equation in needed(program):
            results = self._add(equation, [value(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [value(atom) for atom in program.outvars]

    def write(self, value: Value) -> None:
        """Writes an array, unless it lies there already."""
        if value.root is not None and value.root not in self._stored:
            self.bytes += _bytes(*value.sources, value.root)
            self._store(value.root)

    def _add(self, equation: Any, operands: list[Value]) -> list[Value]:
        name, inner = equation.primitive.name, list(programs_in(equation.params))
        if name in ("conv_general_dilated", "dot_general"):
            for operand in operands:
                self.write(operand)
            self.bytes += _bytes(*equation.invars, *equation.outvars)
            return [self._store(var) for var in equation.outvars]
        if inner and name not in ("scan", "while"):
            # Of the forms for several platforms the last is that of accelerators.
            program = getattr(inner[-1], "jaxpr", inner[-1])
            return self.count(program, operands[len(operands) - len(program.invars) :])
        sources = frozenset[Any]().union(*(operand.sources for operand in operands))
        if name in SUMS or inner:
            pass_over = (sources, equation.invars[0].aval.shape)
            self.bytes += 0 if pass_over in self._summed else _bytes(*sources)
            self._summed.add(pass_over)
            return [self._store(var) for var in equation.outvars]
        if name in VIEWS:
            return [Value(operands[0].root, sources)]
        return [Value(var, sources) for var in equation.outvars]

    def _store(self, var: Any) -> Value:
        self._stored.add(var)
        return Value(var, frozenset({var}))


def _bytes(*atoms: Any) -> float:
    return float(sum(atom.aval.size * atom.aval.dtype.itemsize for atom in atoms))


def main() -> None:
    """Counts, prints and writes."""
    options = parse_options()
    result = measuring.environment(("jax", "flax"), options.device)
    result |= {name: value for name, value in vars(options).items() if name != "json"}
    result["programs"] = [entry for name in BACKBONES for entry in count_network(name, options)]
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="NVIDIA H200", help="its name, for the table")
    parser.add_argument("--flops", type=float, default=989e12, help="its dense bfloat16 FLOP/s")
    parser.add_argument("--bandwidth", type=float, default=4.8e12, help="its memory's bytes a second")
    parser.add_argument("--batch", type=int, default=16, help="images in a step of training")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def count_network(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A training step at 640×640, and the forward pass of one picture of 736×1280."""
    model = create_model(name, dtype=jnp.dtype(options.dtype))
    # The probability map alone.
    detector = create_model(name, adaptive=False, dtype=jnp.dtype(options.dtype))
    images = jax.ShapeDtypeStruct((options.batch, 640, 640, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    labels = {label: jax.ShapeDtypeStruct(images.shape[:3], jnp.float32) for label in LABELS}

    def loss(params: Any, batch_stats: Any, images: jax.Array, labels: Any) -> tuple[jax.Array, Any]:
        state = {"params": params, "batch_stats": batch_stats}
        outputs, updates = model.apply(state, images, train=True, mutable=["batch_stats"])
        return db_loss(outputs, labels)[0], updates

    def detect(variables: Any, images: jax.Array) -> jax.Array:
        return detector.apply(variables, images)["probability_map"]

    step = jax.make_jaxpr(jax.value_and_grad(loss, has_aux=True))(
        variables["params"], variables["batch_stats"], images, labels
    )
    picture = jax.ShapeDtypeStruct((1, 736, 1280, 3), jnp.float32)
    detection = jax.make_jaxpr(detect)(jax.eval_shape(detector.init, jax.random.key(0), images), picture)
    return [
        {"backbone": name, "program": "training, 640×640", **count(step, options.batch)},
        {"backbone": name, "program": "detection, 736×1280", **count(detection, 1)},
    ]


def count(program: Any, images: int) -> dict[str, float]:
    """FLOPs and bytes of one image."""
    traffic = Traffic()
    for result in traffic.count(program.jaxpr):
        traffic.write(result)
    return {"flops": count_flops(program) / images, "bytes": traffic.bytes / images}


def show(result: dict[str, Any]) -> None:
    """Prints the counts, the least times and the most images a second."""
    print(f"{result['dtype']}, batches of {result['batch']} in training")
    peaks = f"{result['flops'] / 1e12:.0f} TFLOP/s, {result['bandwidth'] / 1e12:.2f} TB/s"
    print(f"{result['machine']['device']}: {peaks}")
    print(f"\n{'':<42}{'GFLOP':>8}{'GB':>8}{'compute, ms':>14}{'memory, ms':>13}{'images/s at most':>19}")
    for entry in result["programs"]:
        compute, memory = entry["flops"] / result["flops"], entry["bytes"] / result["bandwidth"]
        print(
            f"{entry['backbone']:<20}{entry['program']:<22}{entry['flops'] / 1e9:>8.1f}{entry['bytes'] / 1e9:>8.2f}"
            f"{1000 * compute:>14.3f}{1000 * memory:>13.3f}{1 / max(compute, memory):>19.0f}"
        )


if __name__ == "__main__":
    main()
