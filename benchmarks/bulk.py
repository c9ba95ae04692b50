"""How many pictures a second a bulk job takes, in one process and on Ray, against `Detector.detect_many`.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --dir=PHOTOS --backends xla openvino --size=736 --repeats=3 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from detection import picture_files, write_pictures
from parts import measuring
from parts.cpu_time import run_and_count

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(ROOT))

KEYS = ("seconds", "rate", "processor")
PACKAGES = ("jax", "jaxlib", "ray", "pyarrow", "numpy", "opencv-python-headless")
# In a process of its own, as the others, so that all of them start and load the weights.
PLAIN = """
import sys, time
from dbnet_jax import Detector, keep_memory
keep_memory()
size, backend, first, *files = sys.argv[1:]
detector = Detector.from_pretrained("small-word", size=int(size), backend=backend)
for number, _ in enumerate(detector.detect_many(files), 1):
    if number in (int(first), len(files)):
        print(time.time())
"""


class Program(NamedTuple):
    """A program: its words for a folder of results, and the threads of its network; 0 for one a core."""

    words: Callable[[str], list[str]]
    threads: int = 0


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    result = measuring.environment(PACKAGES, measuring.accelerator())
    with tempfile.TemporaryDirectory() as folder:
        pictures = pathlib.Path(options.dir or folder)
        if not options.dir:
            write_pictures(pictures, options.pictures)
        files = picture_files(pictures)[: options.pictures]
        chosen = pathlib.Path(folder) / "pictures.txt"
        chosen.write_text("".join(f"{file.resolve()}\n" for file in files))
        result["pictures"], result["turns"] = len(files), []
        for _ in range(options.repeats):
            for backend in options.backends:
                for name, program in programs(options, backend, chosen, files).items():
                    turn = run(program, len(files) - options.shard_size)
                    result["turns"].append({"program": name, "backend": backend, **turn})
    measuring.show_environment(result)
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="a folder of pictures (default: synthetic ones of 720×1280, as JPEG)")
    parser.add_argument("--pictures", type=int, default=128, help="how many")
    parser.add_argument("--size", type=int, default=736, help="the short side in the network")
    parser.add_argument("--backends", nargs="+", default=["xla"], help="values of config.predict.backend")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of Ray on this machine")
    parser.add_argument("--shard_size", type=int, default=32, help="pictures of a shard")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each; the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def programs(
    options: argparse.Namespace, backend: str, chosen: pathlib.Path, files: list[pathlib.Path]
) -> dict[str, Program]:
    """The programs that are compared."""

    def bulk(*more: str) -> Callable[[str], list[str]]:
        fields = [f"--config.predict.size={options.size}", f"--config.predict.backend={backend}"]
        words = ["run.py", "--mode=bulk", f"--input={chosen}", f"--shard_size={options.shard_size}", *fields, *more]
        return lambda output: [*words, f"--output={output}"]

    plain = ["-c", PLAIN, str(options.size), backend, str(options.shard_size), *map(str, files)]
    found = {"detect_many": Program(lambda output: plain), "bulk, local": Program(bulk())}
    for count in options.workers:
        words = bulk("--engine=ray", f"--workers={count}")
        found[f"bulk, ray, workers={count}"] = Program(words)
        if count > 1 and backend == "xla":  # other back ends have no such setting
            found[f"bulk, ray, workers={count}, one thread each"] = Program(words, threads=1)
    return found


def run(program: Program, later: int) -> dict[str, float]:
    """Runs a program.

    **Arguments:** `program`; `later`: the pictures after the first shard.

    **Returns:** the seconds with its start, the pictures a second after the first shard, and the processor seconds.
    """
    with tempfile.TemporaryDirectory() as output:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if program.threads:
            environment["NPROC"] = str(program.threads)
        start = time.perf_counter()
        printed, processor = run_and_count([sys.executable, *program.words(output)], environment, ROOT)
        seconds = time.perf_counter() - start
        done = sorted(part.stat().st_mtime for part in pathlib.Path(output).glob("part-*.parquet"))
        done = done or [float(line) for line in printed.split()]
    return {"seconds": seconds, "rate": later / (done[-1] - done[0]), "processor": processor}


def show(result: dict[str, Any]) -> None:
    """Prints a line for each program: the medians."""
    for name, backend in dict.fromkeys((turn["program"], turn["backend"]) for turn in result["turns"]):
        turns = [turn for turn in result["turns"] if (turn["program"], turn["backend"]) == (name, backend)]
        seconds, rate, processor = (statistics.median(turn[key] for turn in turns) for key in KEYS)
        print(f"{backend:12} {name:36} {seconds:7.1f} s, {rate:6.2f} pictures/s, {processor:7.1f} s of the processor")


if __name__ == "__main__":
    main()
