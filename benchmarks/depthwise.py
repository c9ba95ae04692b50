"""How long the depthwise convolutions of MobileNetV3 take, as grouped convolutions and in the form of dbnet_jax.

    python benchmarks/depthwise.py
    python benchmarks/depthwise.py --size=320 --batch=8 --dtype=bfloat16 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import collections
import functools
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
from jax import lax

from dbnet_jax.models.backbones.mobilenet_v3 import SIZES
from dbnet_jax.models.layers.depthwise import depthwise_conv

PASSES = ("forward", "forward and backward")


class Layer(NamedTuple):
    """A depthwise convolution of the network."""

    height: int
    channels: int
    kernel_size: int
    strides: int

    def __str__(self) -> str:
        return f"{self.height}×{self.height}×{self.channels}, {self.kernel_size}×{self.kernel_size}/{self.strides}"


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    layers = layers_of(options.network, options.size)
    result = measuring.environment(("jax", "jaxlib", "flax"), measuring.accelerator())
    result |= {"network": options.network, "size": options.size, "batch": options.batch, "dtype": options.dtype}
    result["layers"] = [
        {**layer._asdict(), "count": count, "milliseconds": measure(layer, options)} for layer, count in layers.items()
    ]
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(SIZES), default="large", help="which MobileNetV3")
    parser.add_argument("--size", type=int, default=640, help="pixels a side of the network's images")
    parser.add_argument("--batch", type=int, default=1, help="images")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def layers_of(network: str, size: int) -> dict[Layer, int]:
    """The network's different depthwise convolutions, and how many blocks have each."""
    layers, height = [], size // 2
    for row in SIZES[network].rows:
        layers.append(Layer(height, row.expansion, row.kernel_size, row.strides))
        height //= row.strides
    return dict(collections.Counter(layers))


def measure(layer: Layer, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Of each pass and form, the milliseconds once a repeat; the forms take turns."""
    keys, dtype = jax.random.split(jax.random.key(0), 3), jnp.dtype(options.dtype)
    rows = -(-layer.height // layer.strides)
    x = jax.random.normal(keys[0], (options.batch, layer.height, layer.height, layer.channels), dtype)
    kernel = jax.random.normal(keys[1], (layer.kernel_size, layer.kernel_size, 1, layer.channels), dtype)
    cotangent = jax.random.normal(keys[2], (options.batch, rows, rows, layer.channels), dtype)
    forms = {"grouped": grouped_conv, "ours": depthwise_conv}
    programs = {
        (name, form): functools.partial(
            jax.jit(maker(function, layer.strides)).lower(x, kernel, cotangent).compile(), x, kernel, cotangent
        )
        for name, maker in zip(PASSES, (forward, forward_and_backward), strict=True)
        for form, function in forms.items()
    }
    milliseconds = measuring.take_turns(programs, options.repeats)
    return {name: {form: milliseconds[name, form] for form in forms} for name in PASSES}


def grouped_conv(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    """The convolution as any framework writes it."""
    pad = (kernel.shape[0] - 1) // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def forward(conv: Callable[..., jax.Array], strides: int) -> Callable[..., Any]:
    """The output alone."""
    return lambda x, kernel, cotangent: conv(x, kernel, strides)


def forward_and_backward(conv: Callable[..., jax.Array], strides: int) -> Callable[..., Any]:
    """The output and the gradients of the input and the kernel."""

    def run(x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, ...]:
        y, transpose = jax.vjp(lambda x, kernel: conv(x, kernel, strides), x, kernel)
        return y, *transpose(cotangent)

    return run


def show(result: dict) -> None:
    """Prints the result as a table, medians and their ratios."""
    size = result["size"]
    print(f"MobileNetV3 {result['network']} of {size}×{size}, batches of {result['batch']}, {result['dtype']}")
    measuring.show_environment(result)
    print(f"\n{'milliseconds':<30}" + "".join(f"{name:>34}" for name in PASSES))
    print(f"{'':<22}{'blocks':>8}" + f"{'grouped':>14}{'ours':>10}{'ratio':>10}" * len(PASSES))
    totals = {name: {"grouped": 0.0, "ours": 0.0} for name in PASSES}
    for entry in result["layers"]:
        medians = {
            name: {form: statistics.median(times) for form, times in forms.items()}
            for name, forms in entry["milliseconds"].items()
        }
        for name, forms in medians.items():
            for form, median in forms.items():
                totals[name][form] += entry["count"] * median
        layer = Layer(*(entry[field] for field in Layer._fields))
        print(f"{layer!s:<22}{entry['count']:>8}" + line(medians))
    print(f"{'all':<22}{sum(entry['count'] for entry in result['layers']):>8}" + line(totals))


def line(passes: dict[str, dict[str, float]]) -> str:
    """The numbers of one row."""
    return "".join(
        f"{forms['grouped']:>14.2f}{forms['ours']:>10.2f}{forms['grouped'] / forms['ours']:>10.1f}"
        for forms in passes.values()
    )


if __name__ == "__main__":
    main()
