"""What deformable convolution costs beside the plain 3×3 convolution in its place: time and memory.

    python benchmarks/deformable.py
    python benchmarks/deformable.py --batch=16 --dtype=bfloat16 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
from flax import linen as nn

from dbnet_jax.models import create_model
from dbnet_jax.models.layers.conv import Conv
from dbnet_jax.models.layers.deformable import DeformableConv

PASSES = ("forward", "forward and backward")
KINDS = ("plain", "deformable")


class Layer(NamedTuple):
    """A 3×3 convolution of a ResNet's stage: pixels a side of its input, channels, stride."""

    side: int
    channels: int
    strides: int

    def __str__(self) -> str:
        return f"{self.side}×{self.side}×{self.channels}, 3×3/{self.strides}"


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    size = options.size
    layers = [Layer(size // 8, 128, 1), Layer(size // 16, 256, 1), Layer(size // 32, 512, 1), Layer(size // 4, 128, 2)]
    result = measuring.environment(("jax", "jaxlib", "flax"), measuring.accelerator())
    result |= {"size": size, "batch": options.batch, "dtype": options.dtype}
    result["layers"] = [{**layer._asdict(), **measure_layer(layer, options)} for layer in layers]
    result["networks"] = {name: measure_network(name, options) for name in options.networks}
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=640, help="pixels a side of the network's images")
    parser.add_argument("--batch", type=int, default=1, help="images")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--networks", nargs="*", default=["resnet18", "resnet50"], help="whole detectors to compare")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def measure_layer(layer: Layer, options: argparse.Namespace) -> dict[str, Any]:
    """One layer with its offset convolution, displaced by about a pixel, against a plain one."""
    dtype = jnp.dtype(options.dtype)
    x = jax.random.normal(jax.random.key(0), (options.batch, layer.side, layer.side, layer.channels), dtype)
    convs = {
        "plain": Conv(layer.channels, 3, layer.strides, dtype=dtype),
        "deformable": DeformableConv(layer.channels, 3, layer.strides, dtype=dtype),
    }
    return measure({kind: (conv, (x,), lambda y: y) for kind, conv in convs.items()}, options.repeats)


def measure_network(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A whole detector: forward the probability map alone, backward all maps in training mode."""
    x = jax.random.normal(jax.random.key(0), (options.batch, options.size, options.size, 3))
    models = {
        "plain": create_model(name, dtype=jnp.dtype(options.dtype)),
        "deformable": create_model(f"deformable_{name}", dtype=jnp.dtype(options.dtype)),
    }
    return measure(
        {kind: (model, (x,), lambda outputs: outputs["probability_map"]) for kind, model in models.items()},
        options.repeats,
    )


def measure(
    modules: dict[str, tuple[nn.Module, tuple[jax.Array, ...], Callable[[Any], jax.Array]]], repeats: int
) -> dict[str, Any]:
    """Milliseconds of each pass and kind, and the megabytes that the compiled program needs beside its arguments."""
    programs, megabytes = {}, {}
    for kind, (module, inputs, pick) in modules.items():
        variables = displaced(jax.jit(module.init)(jax.random.key(1), *inputs))
        for name, function in zip(PASSES, (forward(module, pick), forward_and_backward(module, pick)), strict=True):
            compiled = jax.jit(function).lower(variables, *inputs).compile()
            programs[f"{name}, {kind}"] = lambda run=compiled, v=variables, x=inputs: run(v, *x)
            memory = compiled.memory_analysis()
            megabytes[f"{name}, {kind}"] = (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 1e6
    return {"milliseconds": measuring.take_turns(programs, repeats), "megabytes": megabytes}


def displaced(variables: Any) -> Any:
    """Offsets of about a pixel: a fresh layer's are zero, and reads what lies together."""

    def widen(path: Any, leaf: jax.Array) -> jax.Array:
        if "'offset'" not in jax.tree_util.keystr(path) or leaf.ndim != 4:
            return leaf
        fan_in = leaf.shape[0] * leaf.shape[1] * leaf.shape[2]
        return jax.random.normal(jax.random.key(2), leaf.shape) / fan_in**0.5

    return jax.tree_util.tree_map_with_path(widen, variables)


def forward(module: nn.Module, pick: Callable[[Any], jax.Array]) -> Callable[..., Any]:
    """The output alone."""
    return lambda variables, x: pick(module.apply(variables, x))


def forward_and_backward(module: nn.Module, pick: Callable[[Any], jax.Array]) -> Callable[..., Any]:
    """The gradients of the parameters and the input."""

    def loss(params: Any, x: jax.Array, rest: Any) -> jax.Array:
        return (pick(module.apply({"params": params, **rest}, x)).astype(jnp.float32) ** 2).mean()

    def run(variables: Any, x: jax.Array) -> Any:
        rest = {name: tree for name, tree in variables.items() if name != "params"}
        return jax.grad(loss, (0, 1))(variables["params"], x, rest)

    return run


def show(result: dict[str, Any]) -> None:
    """Prints the result as a table: medians, their ratios, and memory."""
    print(f"{result['size']}×{result['size']} images, batches of {result['batch']}, {result['dtype']}")
    measuring.show_environment(result)
    print(f"\n{'':<26}" + "".join(f"{name:>42}" for name in PASSES))
    print(f"{'':<26}" + f"{'plain':>12}{'deformable':>12}{'ratio':>8}{'MB':>10}" * len(PASSES))
    rows = [(str(Layer(*(entry[field] for field in Layer._fields))), entry) for entry in result["layers"]]
    for name, entry in [*rows, *result["networks"].items()]:
        cells = ""
        for which in PASSES:
            plain, deformable = (statistics.median(entry["milliseconds"][f"{which}, {kind}"]) for kind in KINDS)
            memory = "{:.0f}/{:.0f}".format(*(entry["megabytes"][f"{which}, {kind}"] for kind in KINDS))
            cells += f"{plain:>10.1f}ms{deformable:>10.1f}ms{deformable / plain:>8.2f}{memory:>10}"
        print(f"{name:<26}{cells}")


if __name__ == "__main__":
    main()
