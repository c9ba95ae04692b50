"""Hard negative mining: the k-th largest loss by bisection, as dbnet_jax finds it, against sorting all of them.

    python benchmarks/hard_negatives.py
    python benchmarks/hard_negatives.py --sizes 8x256x256 16x640x640 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dbnet_jax.losses.hard_negatives import hard_negative_weights

NEGATIVE_RATIO = 3
PASSES = ("forward", "forward and gradient")
# A sum of the `count` largest losses among the candidates.
HardestSum = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def main() -> None:
    """Checks, measures, prints and writes."""
    options = parse_options()
    result = measuring.environment(("jax", "jaxlib"), measuring.accelerator())
    result["positives"] = options.positives
    result["sizes"] = [{"size": size, "milliseconds": measure(size, options)} for size in options.sizes]
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["8x256x256", "16x640x640"], help="batch, height and width")
    parser.add_argument("--positives", type=float, default=0.05, help="share of the pixels that are text")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def bisection(losses: jax.Array, negative: jax.Array, count: jax.Array) -> jax.Array:
    """As the training step has it."""
    return jnp.sum(losses * hard_negative_weights(losses, negative, count))


def full_sort(losses: jax.Array, negative: jax.Array, count: jax.Array) -> jax.Array:
    """Sorts everything and masks what comes behind the first `count`."""
    ordered = -lax.sort(-jnp.where(negative, losses, 0.0).ravel(), is_stable=False)
    return jnp.sum(jnp.where(jnp.arange(ordered.size) < count, ordered, 0.0))


def top_k(losses: jax.Array, negative: jax.Array, count: jax.Array) -> jax.Array:
    """`lax.top_k` of all: its k must be known when the step is compiled, and `count` is not."""
    ordered, _ = lax.top_k(jnp.where(negative, losses, 0.0).ravel(), losses.size)
    return jnp.sum(jnp.where(jnp.arange(ordered.size) < count, ordered, 0.0))


def fixed_top_k(losses: jax.Array, negative: jax.Array, count: jax.Array) -> jax.Array:
    """`lax.top_k` of a fifth, for steps in which no more can be asked for."""
    ordered, _ = lax.top_k(jnp.where(negative, losses, 0.0).ravel(), losses.size // 5)
    return jnp.sum(jnp.where(jnp.arange(ordered.size) < count, ordered, 0.0))


WAYS: dict[str, HardestSum] = {
    "bisection": bisection,
    "sort": full_sort,
    "top_k": top_k,
    "top_k of 1/5": fixed_top_k,
}


def measure(size: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds by pass and way, once a repeat; the ways take turns."""
    shape = tuple(int(side) for side in size.split("x"))
    rng = np.random.default_rng(0)
    # Cross entropies of a network that has learned something: most of them small.
    losses = jnp.asarray(rng.exponential(0.1, shape) ** 2, jnp.float32)
    positive = jnp.asarray(rng.random(shape) < options.positives)
    count = jnp.sum(positive) * NEGATIVE_RATIO
    arguments = (losses, ~positive, count)
    programs: dict[str, Callable[[], Any]] = {}
    for name, way in WAYS.items():
        for which, function in zip(PASSES, (way, jax.value_and_grad(way)), strict=True):
            compiled = jax.jit(function).lower(*arguments).compile()
            programs[f"{which}, {name}"] = lambda run=compiled: run(*arguments)
    sums = {name: float(programs[f"forward, {name}"]()) for name in WAYS}
    for name, total in sums.items():
        np.testing.assert_allclose(total, sums["bisection"], rtol=1e-3, err_msg=name)
    return measuring.take_turns(programs, options.repeats)


def show(result: dict[str, Any]) -> None:
    """Prints medians, and how many times as long as the bisection each takes."""
    print(f"The sum of the hardest negatives, {NEGATIVE_RATIO} to a positive; {result['positives']:.0%} are positive")
    measuring.show_environment(result)
    for entry in result["sizes"]:
        print(f"\n{entry['size']:<16}" + "".join(f"{name:>30}" for name in PASSES))
        medians = {key: statistics.median(times) for key, times in entry["milliseconds"].items()}
        for name in WAYS:
            pairs = ((medians[f"{which}, {name}"], medians[f"{which}, bisection"]) for which in PASSES)
            cells = (f"{own:>16.1f} ms{own / bisection:>10.1f}×" for own, bisection in pairs)
            print(f"{name:<16}" + "".join(cells))


if __name__ == "__main__":
    main()
