"""How many pictures a second a bulk job takes, in one process and on Ray, against `Detector.detect_many`.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --dir=PHOTOS --backends xla openvino --size=736 --repeats=3 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from detection import picture_files, write_pictures
from parts import measuring

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(ROOT))

PACKAGES = ("jax", "jaxlib", "ray", "pyarrow", "numpy", "opencv-python-headless")
# Each runs in a process of its own, so that all of them start and load the weights.
PLAIN = """
import sys
from dbnet_jax import Detector, keep_memory
keep_memory()
detector = Detector.from_pretrained("small-word", size=int(sys.argv[1]), backend=sys.argv[2])
print(sum(len(found.polygons) for found in detector.detect_many(sys.argv[3:])))
"""


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
                for name, words in programs(options, backend, chosen, files).items():
                    seconds = run(words)
                    result["turns"].append({"program": name, "backend": backend, "seconds": seconds})
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
) -> dict[str, Callable[[str], list[str]]]:
    """The command line of each program, for a folder of results."""

    def bulk(*more: str) -> Callable[[str], list[str]]:
        fields = [f"--config.predict.size={options.size}", f"--config.predict.backend={backend}"]
        words = ["run.py", "--mode=bulk", f"--input={chosen}", f"--shard_size={options.shard_size}", *fields, *more]
        return lambda output: [*words, f"--output={output}"]

    plain = ["-c", PLAIN, str(options.size), backend, *map(str, files)]
    ray = {
        f"bulk, ray, {n} process{'es' if n > 1 else ''}": bulk("--engine=ray", f"--workers={n}")
        for n in options.workers
    }
    return {"detect_many": lambda output: plain, "bulk, local": bulk(), **ray}


def run(words: Callable[[str], list[str]]) -> float:
    """The seconds that a program takes, with its start."""
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *words(output)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def show(result: dict[str, Any]) -> None:
    """Prints a line for each program."""
    count = result["pictures"]
    for name, backend in dict.fromkeys((turn["program"], turn["backend"]) for turn in result["turns"]):
        seconds = statistics.median(
            turn["seconds"] for turn in result["turns"] if (turn["program"], turn["backend"]) == (name, backend)
        )
        print(f"{backend:12} {name:24} {seconds:7.1f} s {count / seconds:6.2f} pictures/s")


if __name__ == "__main__":
    main()
