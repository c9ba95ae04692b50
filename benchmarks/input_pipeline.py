"""How many training images a second the input pipeline makes, and where one image's time goes.

    python benchmarks/input_pipeline.py --data=synthetic
    python benchmarks/input_pipeline.py --data=icdar2015 --dir=DIR --json=FILE

The same examples are made in several ways, in turns: as training takes them from either path, by a pool of threads,
and by a plain loop in Python. benchmarks/README.md says how to read the numbers.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from parts import measuring

# Before the folder of this file, which has the name of the package that it measures.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from ml_collections import ConfigDict

from configs import icdar2015, quickstart
from input_pipeline.augment import Augmentation, sample_placement
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets import Dataset
from input_pipeline.examples import LABELS, Example, Examples
from input_pipeline.from_config import make_batches, make_examples, open_split
from input_pipeline.labels import make_labels

CONFIGS = {"synthetic": quickstart, "icdar2015": icdar2015}
PACKAGES = ("numpy", "opencv-python-headless", "pyclipper", "tensorflow-cpu", "jax")
# Before the clock starts: TensorFlow is imported, threads are started, and what was made ahead is used up.
WARM_UP = 4


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    config = make_config(options)
    dataset = open_split(config, "train")
    ways = measure_ways(config, dataset, options.steps, options.repeats)
    split = measure_split(config, dataset, options.steps * config.train.batch_size)
    result = measuring.environment(PACKAGES) | {
        "data": {"name": options.data, "pictures": len(dataset)},
        "crop": list(config.data.crop),
        "batch": config.train.batch_size,
        "steps": options.steps,
        "ways": ways,
        "stages": split,
    }
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(CONFIGS), default="synthetic")
    parser.add_argument("--dir", default="", help="the data set's folder; synthetic pictures need none")
    parser.add_argument("--crop", type=int, help="pixels a side (default: 640 of icdar2015, 256 of synthetic)")
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--steps", type=int, default=20, help="batches in one measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each way")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def make_config(options: argparse.Namespace) -> ConfigDict:
    """The experiment's config with the crop and the batch that were asked for."""
    config = CONFIGS[options.data].get_config()
    config.data.dir = options.dir
    config.train.batch_size = options.batch
    if options.crop:
        config.data.crop = (options.crop, options.crop)
    return config


def measure_ways(config: ConfigDict, dataset: Dataset, steps: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Of each way, once a repeat: images a second, and milliseconds of all cores that an image costs.

    The ways take turns, so that a busy moment of the machine meets all of them.
    """
    ways = {"tf.data pipeline": training, "thread pool": thread_pool, "plain loop": plain_loop}
    settings = dict.fromkeys(ways, (config, dataset))
    for name, cache in (("device path", "none"), ("device path, cached", "device")):
        ways[name] = training
        changed = config.copy_and_resolve_references()
        changed.data.update({"pixels": "device", "cache": cache})
        settings[name] = (changed, open_split(changed, "train") if cache == "device" else dataset)
    images = steps * config.train.batch_size
    measured: dict[str, dict[str, list[float]]] = {
        name: {"images_per_second": [], "cpu_milliseconds_per_image": []} for name in ways
    }
    for _ in range(repeats):
        for name, way in ways.items():
            batches = way(*settings[name])
            take(batches, WARM_UP)
            start, start_cpu = time.perf_counter(), time.process_time()
            take(batches, steps)
            measured[name]["images_per_second"].append(images / (time.perf_counter() - start))
            measured[name]["cpu_milliseconds_per_image"].append(1000 * (time.process_time() - start_cpu) / images)
            del batches  # or its threads would work on beside the next way
    return measured


def take(batches: Iterator[object], count: int) -> None:
    """Makes `count` batches and drops them."""
    for _ in itertools.islice(batches, count):
        pass


def training(config: ConfigDict, dataset: Dataset) -> Iterator[object]:
    """What training takes its batches from: tf.data, or threads where the device makes the pixels."""
    return make_batches(config, dataset, bad_samples(config, dataset), first_step=0)


def thread_pool(config: ConfigDict, dataset: Dataset) -> Iterator[object]:
    """A thread a core makes the examples of a batch; nothing is made ahead."""
    examples, size = examples_of(config, dataset), config.train.batch_size
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in itertools.count(0, size):
            yield stack(list(pool.map(examples.__getitem__, range(first, first + size))))


def plain_loop(config: ConfigDict, dataset: Dataset) -> Iterator[object]:
    """One example after another."""
    examples, size = examples_of(config, dataset), config.train.batch_size
    for first in itertools.count(0, size):
        yield stack([examples[position] for position in range(first, first + size)])


def examples_of(config: ConfigDict, dataset: Dataset) -> Examples:
    """The examples that training sees."""
    return make_examples(config, dataset, bad_samples(config, dataset))


def bad_samples(config: ConfigDict, dataset: Dataset) -> BadSamples:
    """Stops the benchmark, as it stops training, when too much of the data set cannot be read."""
    return BadSamples(len(dataset), config.data.max_bad_share)


def stack(examples: list[Example]) -> dict[str, np.ndarray]:
    """A batch, of the same arrays as the pipeline's."""
    return {key: np.stack([example[key] for example in examples]) for key in ("image", *LABELS)}


def measure_split(config: ConfigDict, dataset: Dataset, count: int) -> dict[str, float]:
    """Milliseconds of each stage of one example, the mean of `count`, on one core; the stages of `Examples`."""
    data, (height, width) = config.data, config.data.crop
    augmentation = Augmentation((height, width), data.flip, data.rotation, tuple(data.scale))
    examples = examples_of(config, dataset)
    seconds = dict.fromkeys(("read and decode", "placement", "warp", "labels"), 0.0)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for position in range(count):
        rng = np.random.default_rng(position)
        index = examples.index(position)
        times = [time.perf_counter()]
        sample = dataset[index]
        times.append(time.perf_counter())
        size = (sample.image.shape[0], sample.image.shape[1])
        placement = sample_placement(rng, size, sample.polygons, sample.ignore, augmentation)
        times.append(time.perf_counter())
        cv2.warpAffine(sample.image, placement.matrix, (width, height), flags=cv2.INTER_LINEAR)
        times.append(time.perf_counter())
        make_labels(placement.polygons, placement.ignore, height, width)
        times.append(time.perf_counter())
        for stage, (start, end) in zip(seconds, itertools.pairwise(times), strict=True):
            seconds[stage] += end - start
    cv2.setNumThreads(threads)
    return {stage: 1000 * total / count for stage, total in seconds.items()}


def show(result: dict) -> None:
    """Prints the result as two tables."""
    height, width = result["crop"]
    print(f"{result['data']['name']}, {result['data']['pictures']} pictures, crops of {height}×{width}")
    print(f"batches of {result['batch']}, {result['steps']} a measurement")
    measuring.show_environment(result)
    print(f"\n{'':<20}{'images/s':>10}{'from':>8}{'to':>8}{'CPU ms':>8}")
    for name, way in result["ways"].items():
        rates, cpu = way["images_per_second"], statistics.median(way["cpu_milliseconds_per_image"])
        print(f"{name:<20}{statistics.median(rates):>10.1f}{min(rates):>8.1f}{max(rates):>8.1f}{cpu:>8.2f}")
    total = sum(result["stages"].values())
    print(f"\n{'one core':<20}{'ms':>10}{'share':>8}")
    for stage, milliseconds in (*result["stages"].items(), ("together", total)):
        print(f"{stage:<20}{milliseconds:>10.2f}{milliseconds / total:>8.0%}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
