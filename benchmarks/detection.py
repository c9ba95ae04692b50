"""How many picture files a second are detected: stage after stage, and with the stages of many pictures side by side.

    python benchmarks/detection.py
    python benchmarks/detection.py --workdir=RUN --dir=PHOTOS --batches 1 8 --json=FILE
    python benchmarks/detection.py --xla-threads=1

benchmarks/README.md says how to read the numbers.
"""

import argparse
import functools
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any
from unittest import mock

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

PACKAGES = ("jax", "jaxlib", "flax", "numpy", "opencv-python-headless", "pyclipper")
PICTURE_SIZE = (720, 1280)
STAGES = ("read", "network", "post-processing")


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    if options.xla_threads:
        # Before JAX starts: so many threads has the pool on which XLA computes.
        os.environ["NPROC"] = str(options.xla_threads)
    with tempfile.TemporaryDirectory() as folder:
        pictures = pathlib.Path(options.dir or folder)
        if not options.dir:
            write_pictures(pictures, options.pictures)
        files = picture_files(pictures)[: options.pictures]
        result = measuring.environment(PACKAGES, measuring.accelerator()) | {
            "xla_threads": options.xla_threads,
            "pictures": {"count": len(files), "of": pathlib.Path(options.dir).name if options.dir else "synthetic"},
            "networks": [
                {"network": name, "batch": batch} | measure(detector, files, options.repeats)
                for name, make in networks(options)
                for batch in options.batches
                for detector in (make(batch),)
            ],
        }
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="a folder of pictures (default: synthetic ones of 720×1280, as JPEG)")
    parser.add_argument("--pictures", type=int, default=32, help="how many")
    parser.add_argument("--workdir", help="a run whose detector is measured beside the untrained one")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="pictures of a batch")
    parser.add_argument("--xla-threads", type=int, help="on a CPU: threads that XLA computes with (default: a core)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def write_pictures(folder: pathlib.Path, count: int) -> None:
    """Pictures with words on drawn backgrounds, the same every time."""
    import cv2

    from input_pipeline.datasets.rendered.synthetic.dataset import SyntheticDataset

    dataset = SyntheticDataset(count, split="test", size=PICTURE_SIZE)
    for index in range(count):
        bgr = cv2.cvtColor(dataset[index].image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{index:04}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])


def picture_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The pictures of a folder, in order."""
    from dbnet_jax.images.decode import PICTURE_SUFFIXES

    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)


def networks(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Each network's name, and what makes a detector with it for a size of batch."""
    import jax
    import jax.numpy as jnp

    from configs import common
    from dbnet_jax.detector import Detector
    from dbnet_jax.models.from_config import model_from_config

    def untrained(batch: int) -> Detector:
        config = common.get_config()
        config.model.width, config.model.inner_channels = 16, 64
        config.predict.batch_size = batch
        variables = jax.jit(model_from_config(config).init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        return Detector(config, dict(variables))

    yield "resnet18, width 16, untrained", untrained
    if options.workdir:
        name = pathlib.Path(options.workdir).name
        yield f"run {name}", lambda batch: Detector.from_checkpoint(options.workdir, batch_size=batch)


class OneAfterAnother:
    """In the place of threads: does what it is given at once."""

    def __init__(self, *arguments: object):
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Calls the function, and waits for it."""
        done: Future[Any] = Future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def shutdown(self, **how: bool) -> None:
        """There is nothing to end."""


def one_after_another(task: Callable[[], Any]) -> Any:
    """Does the task without threads: the same batches, each waited for before the next is made."""
    with mock.patch("dbnet_jax.detection.pipeline.ThreadPoolExecutor", OneAfterAnother):
        return task()


def measure(detector: Any, files: Sequence[pathlib.Path], repeats: int) -> dict[str, Any]:
    """The seconds of each task, done either way, and those of all cores; what a stage takes alone."""
    from dbnet_jax.commands.predict import predict_files

    with tempfile.TemporaryDirectory() as pictures, tempfile.TemporaryDirectory() as output:
        for index, file in enumerate(files):
            (pathlib.Path(pictures) / f"{index:05}{file.suffix}").symlink_to(file.resolve())
        tasks: dict[str, Callable[[], Any]] = {
            "detections": lambda: list(detector.detect_many(files)),
            "results page": lambda: predict_files(detector, pictures, output),
        }
        programs: dict[tuple[str, str], Callable[[], Any]] = {}
        for task, do in tasks.items():
            programs[task, "sequential"] = functools.partial(one_after_another, do)
            programs[task, "overlapped"] = do
        found = check(programs["detections", "sequential"](), programs["detections", "overlapped"]())
        seconds: dict[tuple[str, str], dict[str, list[float]]] = {key: {"wall": [], "cpu": []} for key in programs}
        for repeat in range(repeats + 1):
            for key, program in programs.items():
                start, start_cpu = time.perf_counter(), time.process_time()
                program()
                if repeat > 0:  # the first warms up
                    seconds[key]["wall"].append(time.perf_counter() - start)
                    seconds[key]["cpu"].append(time.process_time() - start_cpu)
    return {
        "found": found,
        "seconds": {task: {way: seconds[task, way] for way in ("sequential", "overlapped")} for task in tasks},
        "milliseconds_a_picture": measure_stages(detector, files),
    }


def check(sequential: list[Any], overlapped: list[Any]) -> int:
    """How many instances were found. **Raises:** ValueError when the ways do not agree to the last bit."""
    for a, b in zip(sequential, overlapped, strict=True):
        same = len(a.polygons) == len(b.polygons) and (a.scores == b.scores).all()
        if not same or any((p != q).any() for p, q in zip(a.polygons, b.polygons, strict=True)):
            raise ValueError("the two ways found different text")
    return sum(len(one.polygons) for one in overlapped)


def measure_stages(detector: Any, files: Sequence[pathlib.Path]) -> dict[str, float]:
    """Milliseconds of each stage of one picture, the median, with nothing beside it and a batch of one."""
    import jax
    import numpy as np

    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for file in (files[0], *files):
        clock = [time.perf_counter()]
        pixels, sizes = detector._fit(detector._read(file).image, detector._looks.first_size)
        clock.append(time.perf_counter())
        outputs = jax.device_get(detector._eval_step(detector._variables, np.stack([pixels]), (detector._map,)))
        clock.append(time.perf_counter())
        height, width = sizes.seen
        detector._extract({name: values[0, :height, :width] for name, values in outputs.items()}, sizes)
        clock.append(time.perf_counter())
        for stage, start, end in zip(STAGES, clock, clock[1:], strict=False):
            times[stage].append(1000 * (end - start))
    return {stage: statistics.median(values[1:]) for stage, values in times.items()}  # the first may compile


def show(result: dict[str, Any]) -> None:
    """Prints the result as a table."""
    pictures = result["pictures"]
    count = pictures["count"]
    threads = f", XLA computes with {result['xla_threads']} threads" if result["xla_threads"] else ""
    print(f"{count} pictures ({pictures['of']}){threads}")
    measuring.show_environment(result)
    for entry in result["networks"]:
        stages = ", ".join(f"{stage} {value:.1f} ms" for stage, value in entry["milliseconds_a_picture"].items())
        print(f"\n{entry['network']}, batches of {entry['batch']}: {entry['found'] / count:.1f} instances a picture")
        print(f"one picture alone: {stages}")
        print(f"{'pictures/s':<16}{'sequential (from–to)':>26}{'overlapped (from–to)':>26}{'ratio':>8}{'CPU ms':>16}")
        for task, ways in entry["seconds"].items():
            rates = {way: [count / wall for wall in times["wall"]] for way, times in ways.items()}
            cells = "".join(
                f"{f'{statistics.median(rate):.1f} ({min(rate):.1f}–{max(rate):.1f})':>26}" for rate in rates.values()
            )
            # Of each turn, so that what else the machine did is in both halves.
            ratio = statistics.median(b / a for a, b in zip(rates["sequential"], rates["overlapped"], strict=True))
            cpu = [1000 * statistics.median(times["cpu"]) / count for times in ways.values()]
            print(f"{task:<16}{cells}{ratio:>8.2f}{f'{cpu[0]:.1f} / {cpu[1]:.1f}':>16}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
