"""Our detector and RapidOCR's on a CPU: the time that photographs take, stage by stage, and what is found in them.

    python benchmarks/rapidocr_detector.py --weights=small-word --data=icdar2015 --dir=DIR
    python benchmarks/rapidocr_detector.py --weights=RUN --data=msra_td500 --dir=DIR --threads=2 --json=result.json

Needs rapidocr and onnxruntime, and what --backends names. The file benchmarks/README.md says how to read the numbers.
"""

import argparse
import functools
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from parts import measuring
from parts.rapidocr_sides import BACKENDS, Side, check, make_detectors, our_side, their_side

# The folder of this file comes last: it has names of packages, and this file has that of RapidOCR.
HERE = pathlib.Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(path for path in sys.path if pathlib.Path(path).resolve() != HERE), str(HERE)]

PACKAGES = ("jax", "jaxlib", "numpy", "opencv-python-headless", "onnxruntime", "openvino", "rapidocr")
STAGES = ("preparation", "network", "post-processing")
WAYS = ("pixels to polygons", "files to polygons")
THEIRS, THEIRS_DEFAULT, THEIRS_OPENVINO = "RapidOCR", "RapidOCR, its own size", "RapidOCR, OpenVINO"
# ONNX Runtime's threads look for more work a while before they sleep; the next side's time is not to pay for that.
PAUSE = 0.03


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    keep_to_cores(options.threads)
    if options.keep_memory:
        from dbnet_jax.training.cpu_memory import keep_memory

        keep_memory()
    from input_pipeline.datasets import BENCHMARKS

    dataset = BENCHMARKS[options.data](options.dir, options.split)
    image = dataset[0].image
    detectors = make_detectors(options)
    sides = {name: our_side(detector) for name, detector in detectors.items()}
    sides |= {THEIRS: their_side(options.size, options.threads), THEIRS_DEFAULT: their_side(None, options.threads)}
    if "openvino" in options.backends:
        sides[THEIRS_OPENVINO] = their_side(options.size, options.threads, "openvino")
    # Before anything is compiled.
    first = {name: float(time_stages(side, image).sum()) for name, side in sides.items()}
    check(detectors, sides[THEIRS_DEFAULT], image, options.threads)
    result = measuring.environment(PACKAGES) | {
        name: value for name, value in vars(options).items() if name not in ("json", "dir")
    }
    result |= {"weights": pathlib.Path(options.weights).name, "first_photo": first}
    result["quality"] = {} if options.no_quality else quality(sides, dataset, options.protocol)
    result["speed"] = speed(sides, readers_of(dataset, options.pictures), options.repeats)
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="the name of shipped weights, or a run's folder")
    parser.add_argument("--data", required=True, choices=("icdar2015", "msra_td500"), help="whose photos")
    parser.add_argument("--dir", required=True, help="the data set's folder")
    parser.add_argument("--split", default="validation", help="of which every photo is scored")
    parser.add_argument("--size", type=int, default=736, help="pixels of the short side, of the sides without a size")
    parser.add_argument("--looks", type=int, nargs="+", default=[544, 800, 1152], help="sizes of the several looks")
    parser.add_argument("--text-height", type=float, default=24.0, help="pixels, which the several looks prefer")
    parser.add_argument("--protocol", default="iou", help="of the scores")
    parser.add_argument("--threads", type=int, default=2, help="cores that everything is kept to")
    parser.add_argument("--pictures", type=int, default=20, help="how many photos are timed, evenly over the split")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, of which the median is shown")
    parser.add_argument("--keep-memory", action="store_true", help="freed memory stays, for all sides (cpu_memory.py)")
    parser.add_argument("--backends", nargs="*", choices=BACKENDS, default=["onnxruntime"], help="of ours, beside XLA")
    parser.add_argument("--int8", help="the ONNX file of the weights in int8 (--mode=export --int8), for OpenVINO")
    parser.add_argument("--no-quality", action="store_true", help="leaves the scores out")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def keep_to_cores(count: int) -> None:
    """The whole process on `count` cores, and as many threads in XLA's pool and in OpenCV's; before JAX starts.

    **Raises:** ValueError where there are fewer.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if not 1 <= count <= len(cores):
            raise ValueError(f"`--threads` (={count}) must be 1 to {len(cores)}, the cores of this process")
        os.sched_setaffinity(0, cores[:count])
    os.environ |= {"JAX_PLATFORMS": "cpu", "NPROC": str(count)}
    import cv2

    cv2.setNumThreads(count)


def quality(sides: Mapping[str, Side], dataset: Any, protocol: str) -> dict[str, dict[str, float]]:
    """Precision, recall and hmean of each side over all photos of the split."""
    from dbnet_jax.evaluation import evaluate_detections

    found: dict[str, list[Sequence[np.ndarray]]] = {name: [] for name in sides}
    samples = [dataset[index] for index in range(len(dataset))]
    for sample in samples:
        for name, side in sides.items():
            found[name].append(side.detect(sample.image))
    truths, ignore = [sample.polygons for sample in samples], [sample.ignore for sample in samples]
    scores = {name: evaluate_detections(found[name], truths, ignore, protocol=protocol) for name in sides}
    return {
        name: {"precision": one.precision, "recall": one.recall, "hmean": one.hmean, "photos": len(samples)}
        for name, one in scores.items()
    }


def readers_of(dataset: Any, count: int) -> list[Callable[[], np.ndarray]]:
    """Functions that read and decode photos, evenly over the split; for every side the same."""
    from dbnet_jax.images.decode import decode_image

    def read(index: int) -> np.ndarray:
        return decode_image(dataset.picture(index), dataset.name(index))

    count = min(count, len(dataset))
    return [functools.partial(read, place * len(dataset) // count) for place in range(count)]


def speed(
    sides: Mapping[str, Side], readers: Sequence[Callable[[], np.ndarray]], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Of each side the milliseconds a photo, once a repeat: its stages, their sum, and from files to polygons.

    The sides take turns photo by photo, another one first each time.
    """
    images = [read() for read in readers]
    keys = (*STAGES, *WAYS)
    found: dict[str, dict[str, list[float]]] = {name: {key: [] for key in keys} for name in sides}
    order = list(sides)
    for repeat in range(repeats + 1):  # the first warms up, and every shape is compiled
        times = {name: np.zeros(len(STAGES)) for name in sides}
        for image in images:
            order.append(order.pop(0))
            for name in order:
                time.sleep(PAUSE)
                times[name] += time_stages(sides[name], image)
        for name, side in sides.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            side.read_and_detect(readers)
            files = 1000 * (time.perf_counter() - start)
            if repeat > 0:
                row = (*times[name], times[name].sum(), files)
                for key, value in zip(keys, row, strict=True):
                    found[name][key].append(float(value) / len(images))
    return found


def time_stages(side: Side, image: np.ndarray) -> np.ndarray:
    """The milliseconds of each stage."""
    clock = [time.perf_counter()]
    pixels, context = side.prepare(image)
    clock.append(time.perf_counter())
    probability_map = side.network(pixels)
    clock.append(time.perf_counter())
    side.finish(probability_map, context)
    clock.append(time.perf_counter())
    return 1000 * np.diff(clock)


def show(result: Mapping[str, Any]) -> None:
    """Prints the result as tables."""
    print(f"{result['weights']} on {result['data']} ({result['split']}), short side {result['size']}")
    measuring.show_environment(result)
    if result["quality"]:
        photos = next(iter(result["quality"].values()))["photos"]
        print(f"\n{result['protocol'] + f', {photos} photos':<26}{'precision':>12}{'recall':>12}{'hmean':>12}")
        for name, scores in result["quality"].items():
            print(f"{name:<26}" + "".join(f"{scores[key]:>12.3f}" for key in ("precision", "recall", "hmean")))
    print(f"\n{result['pictures']} photos on {result['threads']} threads, ms a photo, medians of {result['repeats']}")
    print(
        f"{'':<26}"
        + "".join(f"{title:>17}" for title in STAGES)
        + "".join(f"{way + ' (from–to)':>30}{'ratio':>7}" for way in WAYS)
    )
    for name, times in result["speed"].items():
        stages = "".join(f"{statistics.median(times[stage]):>17.1f}" for stage in STAGES)
        print(f"{name:<26}{stages}" + "".join(cell(times[way], result["speed"][THEIRS][way]) for way in WAYS))
    first = ", ".join(f"{name} {ms / 1000:.1f} s" for name, ms in result["first_photo"].items())
    print(f"the very first photo: {first}")


def cell(times: Sequence[float], theirs: Sequence[float]) -> str:
    """The median, the least and the most; and how many times as long RapidOCR took, the median of the turns."""
    ratio = statistics.median(b / a for a, b in zip(times, theirs, strict=True))
    return f"{f'{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})':>30}{ratio:>7.2f}"


if __name__ == "__main__":
    try:
        main()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
