"""Detection and training of the network alone, dbnet_jax against a plain PyTorch twin: the same maps, losses, steps.

    python benchmarks/network.py
    python benchmarks/network.py --width=24 --inner=64 --size 736 1280 --batch=1 --passes forward
    python benchmarks/network.py --backbone=resnet50 --dtype=bfloat16 --batch 16 32 --compile

Needs PyTorch. benchmarks/README.md says how to read the numbers.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from parts import measuring
from parts.apart import Apart
from parts.network_sides import SIDES, Ours, Twin

PASSES = ("forward", "training")


def main() -> None:
    """Checks, measures, prints and writes."""
    options = parse_options()
    # Half for each side on a GPU; both see what the other has taken otherwise, and JAX would take most of it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
    with tempfile.TemporaryDirectory() as folder, Apart(Twin, options, Path(folder)) as twin:
        if twin("device") == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        with Apart(Ours, options, Path(folder)) as ours:
            measure({"ours": ours, "PyTorch": twin}, options)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", choices=("resnet18", "resnet50"), default="resnet18")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage; less is a narrow model")
    parser.add_argument("--inner", type=int, default=256, help="channels of the pyramid")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="pixels: a side, or height and width")
    parser.add_argument("--batch", type=int, nargs="+", default=[8], help="images; one size after another")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="PyTorch's side goes through torch.compile")
    switch = {"action": argparse.BooleanOptionalAction, "default": True}
    parser.add_argument("--channels-last", **switch, help="PyTorch's memory format")
    parser.add_argument("--keep-memory", **switch, help="PyTorch keeps freed memory, as ours does")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--repeats", type=int, default=9, help="turns of each, of which the median is shown")
    parser.add_argument("--steps", type=int, help="steps a turn (default: 1 on a CPU, 10 on a GPU)")
    parser.add_argument("--json", help="a file to write the result to")
    options = parser.parse_args()
    options.size = (options.size * 2)[:2]
    return options


def measure(sides: dict[str, Apart], options: argparse.Namespace) -> None:
    """Every size of batch; what is measured is written before the next one begins."""
    backend, kind = sides["ours"]("device")
    gpu = backend != "cpu"
    if not gpu:
        sides["PyTorch"]("use_cpu")
    sides["ours"]("make_check")
    result = measuring.environment(("jax", "jaxlib", "flax", "torch"), kind if gpu else None)
    result |= {name: value for name, value in vars(options).items() if name != "json"} | {"batches": []}
    result["difference"] = sides["PyTorch"]("check")
    show_head(result)
    for batch_size in options.batch:
        sides["ours"]("make_batch", batch_size)
        cost, _ = [waiting.result() for waiting in [sides[name].begin("prepare") for name in SIDES]]
        sides["PyTorch"]("warm_up")
        milliseconds = take_turns(sides, options, options.steps or (10 if gpu else 1))
        entry = {"batch": batch_size, "cost": cost, "milliseconds": milliseconds}
        result["batches"].append(entry)
        show(entry, options.passes, gpu)
        measuring.write_json(result, options.json)


def take_turns(sides: dict[str, Apart], options: argparse.Namespace, steps: int) -> dict[str, list[float]]:
    """Milliseconds of a step, by pass and side, once a repeat; a busy moment of the machine hits both."""
    found: dict[str, list[float]] = {f"{name}, {side}": [] for name in options.passes for side in SIDES}
    for repeat in range(options.repeats + 1):
        for name in options.passes:
            for side in SIDES:
                milliseconds = sides[side]("turn", name, steps)
                if repeat > 0:  # the first warms up
                    found[f"{name}, {side}"].append(milliseconds)
    return found


def show_head(result: dict[str, Any]) -> None:
    """Prints what is measured, and by how much the sides differ."""
    words = [word for word in ("compile", "channels_last", "keep_memory") if result[word]]
    height, width = result["size"]
    print(f"{result['backbone']}, {height}×{width}, {result['dtype']}; PyTorch: {', '.join(words) or 'as it is'}")
    measuring.show_environment(result)
    print("largest difference: " + ", ".join(f"{name} {value:.1e}" for name, value in result["difference"].items()))
    print(f"\n{'batch':>5} {'pass':<10}{'ours':>12}{'PyTorch':>12}{'ratio':>8}{'images/s: ours':>18}{'PyTorch':>10}")


def show(entry: dict[str, Any], passes: list[str], gpu: bool) -> None:
    """Prints medians, and the median of the turns' ratios; absolute speed where it means something."""
    batch, cost = entry["batch"], entry["cost"]
    for name in passes:
        ours, theirs = (entry["milliseconds"][f"{name}, {side}"] for side in SIDES)
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        line = (
            f"{batch:>5} {name:<10}{statistics.median(ours):>10.1f}ms{statistics.median(theirs):>10.1f}ms{ratio:>8.2f}"
        )
        if gpu:
            rates = [1000 * batch / statistics.median(times) for times in (ours, theirs)]
            line += f"{rates[0]:>18.0f}{rates[1]:>10.0f}"
            if name == "training" and cost["peak"]:
                shares = [cost["flops"] * rate / batch / cost["peak"] for rate in rates]
                line += "   share of peak: {:.1%}, {:.1%}".format(*shares)
        print(line, flush=True)


if __name__ == "__main__":
    main()
