"""Files to polygons on a CPU by each back end: XLA, ONNX Runtime, OpenVINO; and the time of the first picture.

    python benchmarks/backends.py
    python benchmarks/backends.py --dir=PHOTOS --weights=RUN --backends xla openvino --json=result.json

Needs the extras onnx and openvino. benchmarks/README.md says how to read the numbers.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from detection import picture_files, write_pictures
from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

PACKAGES = ("jax", "jaxlib", "numpy", "opencv-python-headless", "onnxruntime", "openvino")
BASE = "xla"


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    # So many threads has the pool on which XLA computes; the other back ends count the cores of the process.
    os.environ |= {"NPROC": str(options.threads), "JAX_PLATFORMS": "cpu"}
    if options.one:
        answer(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        if not options.dir:
            write_pictures(pathlib.Path(folder), options.pictures)
            options.dir = folder
        result = measuring.environment(PACKAGES) | {
            name: getattr(options, name) for name in ("size", "threads", "pictures")
        }
        result["backends"] = measure(options)
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="a folder of pictures (default: synthetic ones of 720×1280, as JPEG)")
    parser.add_argument("--weights", default="small-word", help="the name of shipped weights, or a run's folder")
    parser.add_argument("--backends", nargs="+", default=[BASE, "onnxruntime", "openvino_float32", "openvino"])
    parser.add_argument("--size", type=int, default=736, help="pixels of the short side")
    parser.add_argument("--pictures", type=int, default=16, help="how many")
    parser.add_argument("--threads", type=int, default=2, help="cores of each back end")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, of which the median is shown")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the back end of a process that `measure` starts
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Of each back end the seconds until its first picture is done, and the milliseconds of a picture in each turn.

    Each runs in a process of its own, and waits for its turn.
    """
    flags = ["dir", "weights", "size", "pictures", "threads"]
    command = [sys.executable, __file__, *(f"--{flag}={getattr(options, flag)}" for flag in flags)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    sides, found = {}, {}
    try:
        for name in options.backends:  # one after another, as the first picture's time is one of a quiet machine
            sides[name] = subprocess.Popen([*command, f"--one={name}"], **pipes)
            found[name] = _answer(sides[name]) | {"milliseconds": []}
        for repeat in range(options.repeats + 1):
            for name, side in sides.items():
                milliseconds = _answer(side)["milliseconds"]
                if repeat > 0:  # the first warms up
                    found[name]["milliseconds"].append(milliseconds)
    finally:
        for side in sides.values():
            side.communicate()
    return found


def _answer(side: Any) -> dict[str, Any]:
    """What the process measures in its next turn. **Raises:** ValueError if it ended."""
    side.stdin.write("\n")
    side.stdin.flush()
    line = side.stdout.readline()
    if not line:
        raise ValueError(f"the process of a back end ended with status {side.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def answer(options: argparse.Namespace) -> None:
    """Prints a measurement for each line of the standard input: the first picture, then all pictures."""
    measurements = measurements_of(options)
    for _ in sys.stdin:
        print(json.dumps(next(measurements)), flush=True)


def measurements_of(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The measurements of one back end."""
    from dbnet_jax import Detector, keep_memory

    keep_memory()
    files = picture_files(pathlib.Path(options.dir))[: options.pictures]
    load = Detector.from_checkpoint if pathlib.Path(options.weights).exists() else Detector.from_pretrained
    start = time.perf_counter()
    detector = load(options.weights, backend=options.one, resize="short", size=options.size)
    detector.detect(files[0])
    first = time.perf_counter() - start
    # Each turn finds the same.
    polygons = sum(len(found.polygons) for found in detector.detect_batch(files))
    yield {"first_picture": first, "polygons": polygons}
    while True:
        start = time.perf_counter()
        detector.detect_batch(files)
        yield {"milliseconds": 1000 * (time.perf_counter() - start) / len(files)}


def show(result: dict[str, Any]) -> None:
    """Prints the result as a table."""
    measuring.show_environment(result)
    print(f"{result['pictures']} pictures, short side {result['size']}, {result['threads']} threads")
    print(f"\n{'':<18}{'first picture, s':>18}{'ms a picture':>14}{'from–to':>16}{'times as fast':>15}{'polygons':>10}")
    base = result["backends"].get(BASE, {}).get("milliseconds")
    for name, found in result["backends"].items():
        times = found["milliseconds"]
        # Of the turns that followed each other, as a busy moment hits both.
        ratio = statistics.median(a / b for a, b in zip(base, times, strict=True)) if base else float("nan")
        span = f"{min(times):.1f}–{max(times):.1f}"
        print(
            f"{name:<18}{found['first_picture']:>18.1f}{statistics.median(times):>14.1f}{span:>16}{ratio:>15.2f}"
            f"{found['polygons']:>10}"
        )


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
