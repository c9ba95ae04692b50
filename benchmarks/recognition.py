"""Words recognised a second on a CPU: dbnet_jax, a plain PyTorch twin, and the twin in ONNX Runtime; equal weights.

    python benchmarks/recognition.py
    python benchmarks/recognition.py --backbones slim --width=64 --batch 1 8 --json=result.json

Needs PyTorch, onnx and onnxruntime. benchmarks/README.md says how to read the numbers.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from parts import measuring
from parts.apart import Apart
from parts.recognition_sides import ONNX, OURS, SIDES, TORCH

PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "onnx", "onnxruntime")
READER = "Recognizer"  # ours in its own batches


def main() -> None:
    """Checks, measures, prints and writes."""
    options = parse_options()
    result = measuring.environment(PACKAGES)
    result |= {name: value for name, value in vars(options).items() if name != "json"} | {"networks": {}}
    measuring.show_environment(result)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        sides = {name: stack.enter_context(Apart(kind, options, Path(folder))) for name, kind in SIDES.items()}
        for backbone in options.backbones:
            for side in sides.values():
                side("load", backbone)
            differences = {name: sides[name]("check") for name in (TORCH, ONNX)}
            entry = {"differences": differences, "milliseconds": take_turns(sides, options)}
            result["networks"][backbone] = entry
            show(backbone, entry, options)
            measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", choices=("vgg", "slim"), default=("vgg", "slim"))
    parser.add_argument("--width", type=int, default=128, help="pixels of a crop; a multiple of 4")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 32], help="crops in a batch of the networks")
    parser.add_argument("--threads", type=int, default=2, help="cores that each side is kept to")
    parser.add_argument("--crops", type=int, default=64, help="how many are recognised in a turn")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def take_turns(sides: dict[str, Apart], options: argparse.Namespace) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By batch and side the milliseconds for all crops, on the clock and of the processor, once a repeat.

    The sides take turns: a busy moment of the machine hits all of them.
    """
    ways = {str(batch): (list(sides), ("turn", batch)) for batch in options.batch} | {READER: ([OURS], ("read",))}
    found: dict[str, dict[str, list[tuple[float, float]]]] = {way: {} for way in ways}
    for repeat in range(options.repeats + 1):
        for way, (names, call) in ways.items():
            for name in names:
                taken = sides[name](*call)
                if repeat > 0:  # the first warms up
                    found[way].setdefault(name, []).append(taken)
    return found


def show(backbone: str, entry: dict[str, Any], options: argparse.Namespace) -> None:
    """Prints medians: crops a second, processor time a crop, and the ratios of the turns' times on the clock."""
    said = ", ".join(f"{name} {value:.1e}" for name, value in entry["differences"].items())
    print(f"\n{backbone}, crops of 32×{options.width}; largest difference of a logit: {said}")
    print(f"{'':<12}{'crops/s':^45}{'processor ms a crop':^45}{'ratio':^24}")
    print(f"{'batch':<12}" + 2 * "".join(f"{side:>15}" for side in SIDES) + f"{TORCH:>12}{ONNX:>15}")
    for way, sides in entry["milliseconds"].items():
        clock = {name: [one for one, _ in taken] for name, taken in sides.items()}
        rates = [f"{1000 * options.crops / statistics.median(taken):.0f}" for taken in clock.values()]
        costs = [f"{statistics.median(one for _, one in taken) / options.crops:.2f}" for taken in sides.values()]
        ratios = [
            f"{statistics.median(b / a for a, b in zip(clock[OURS], taken, strict=True)):.2f}"
            for name, taken in clock.items()
            if name != OURS
        ]
        blank = [""] * (len(SIDES) - len(rates))
        print(f"{way:<12}" + "".join(f"{one:>15}" for one in (*rates, *blank, *costs, *blank, *ratios)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
