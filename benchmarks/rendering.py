"""How many scenes a second are rendered, by threads and by processes.

    python benchmarks/rendering.py
    python benchmarks/rendering.py --size=640 --workers=1,2,4 --backgrounds=DIR --layouts=DIR --json=FILE

The same pictures are made by each number of threads and of processes, in turns. benchmarks/README.md says how to read
the numbers.
"""

import argparse
import pathlib
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from parts import measuring

# Before the folder of this file.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2

from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset
from input_pipeline.datasets.sample import Dataset
from input_pipeline.datasets.wrappers.in_processes import InProcesses

PACKAGES = ("numpy", "opencv-python-headless")
# Requests that wait beside those that are worked on, so that no process is idle.
WAITING = 2


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    cv2.setNumThreads(1)  # each worker has one core
    dataset = SceneDataset(
        options.pictures,
        size=(options.size, options.size),
        backgrounds=options.backgrounds,
        layouts=options.layouts,
        fonts=options.fonts,
    )
    words = [len(dataset[index].polygons) for index in range(options.pictures)]  # opens the fonts too
    start = time.process_time()
    for index in range(options.pictures):
        dataset[index]
    milliseconds = 1000 * (time.process_time() - start) / options.pictures
    result = measuring.environment(PACKAGES) | {
        "size": options.size,
        "pictures": options.pictures,
        "words": {"mean": statistics.mean(words), "most": max(words)},
        "cpu_milliseconds_per_picture": milliseconds,
        "pictures_per_second": measure(dataset, options.workers, options.repeats),
    }
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=640, help="pixels a side")
    parser.add_argument("--pictures", type=int, default=120, help="in one measurement")
    parser.add_argument("--workers", type=numbers, default=[1, 2], help="threads or processes (default: 1,2)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each")
    parser.add_argument("--backgrounds", default="", help="a folder of photographs without text")
    parser.add_argument("--layouts", default="", help="a folder of annotation files")
    parser.add_argument("--fonts", default="", help="a folder of fonts, or builtin")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """The numbers of "1,2"."""
    return [int(word) for word in text.split(",")]


def measure(dataset: Dataset, workers: list[int], repeats: int) -> dict[str, list[float]]:
    """Of each kind and number of workers, once a repeat: pictures a second.

    They take turns, so that a busy moment of the machine meets all of them.
    """
    ways: dict[str, tuple[Dataset, int]] = {}
    for count in workers:
        ways[f"{count} thread" + "s" * (count > 1)] = (dataset, count)
        ways[f"{count} process" + "es" * (count > 1)] = (InProcesses(dataset, count), count + WAITING)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, (source, threads) in ways.items():
            start = time.perf_counter()
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(source.__getitem__, range(len(dataset))):
                    pass
            if repeat > 0:  # the first waits for the processes to start
                rates[name].append(len(dataset) / (time.perf_counter() - start))
    for source, _ in ways.values():
        if isinstance(source, InProcesses):
            source.close()
    return rates


def show(result: dict) -> None:
    """Prints the result as a table."""
    print(f"{result['pictures']} scenes of {result['size']}×{result['size']}", end="")
    print(f", {result['words']['mean']:.1f} words each and {result['words']['most']} at most")
    measuring.show_environment(result)
    print(f"one picture costs one core {result['cpu_milliseconds_per_picture']:.1f} ms")
    rates = result["pictures_per_second"]
    one = statistics.median(next(iter(rates.values())))
    print(f"\n{'':<16}{'pictures/s':>12}{'from':>8}{'to':>8}{'ratio':>8}")
    for name, found in rates.items():
        median = statistics.median(found)
        print(f"{name:<16}{median:>12.1f}{min(found):>8.1f}{max(found):>8.1f}{median / one:>8.2f}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
