"""Reading on a CPU: what a page of many words takes, and our reader beside RapidOCR on ICDAR 2015's photographs.

    python benchmarks/reading.py
    python benchmarks/reading.py --dir=ICDAR2015 --json=result.json

With `--dir` it needs rapidocr and onnxruntime. benchmarks/README.md says how to read the numbers.
"""

import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from parts import measuring
from parts.rapidocr_sides import bgr
from rapidocr_detector import PAUSE, keep_to_cores

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

PACKAGES = ("jax", "jaxlib", "numpy", "opencv-python-headless")
RAPIDOCR = ("rapidocr", "onnxruntime")
SCENES, CHOSEN = 300, 12  # rendered, and looked at by the detector
OURS, OURS_736, THEIRS = "ours", "ours, short side 736", "RapidOCR"


@dataclass(frozen=True)
class Side:
    """A reader: `read` does all that it needs to, and `words` returns the polygons and texts of the words."""

    read: Callable[[np.ndarray], Any]
    words: Callable[[np.ndarray], tuple[list[np.ndarray], list[str]]]


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    keep_to_cores(options.threads)
    from dbnet_jax.training.cpu_memory import keep_memory

    keep_memory()
    result = measuring.environment((*PACKAGES, *RAPIDOCR) if options.dir else PACKAGES)
    result |= {name: value for name, value in vars(options).items() if name not in ("json", "dir")}
    measuring.show_environment(result)
    if options.words:
        result["page"] = measure_page(options)
        show_page(result["page"])
        measuring.write_json(result, options.json)
    if options.dir:
        result |= compare(options)
        show_comparison(result)
        measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=100, help="words that are found on the page, nearly; 0: no page")
    parser.add_argument("--dir", help="ICDAR 2015's folder, of which every tenth training photo is read")
    parser.add_argument("--photos", type=int, help="how many photos are scored, evenly over the split (default: all)")
    parser.add_argument("--pictures", type=int, default=20, help="how many of them are timed")
    parser.add_argument("--threads", type=int, default=2, help="cores that everything is kept to")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def measure_page(options: argparse.Namespace) -> dict[str, Any]:
    """The seconds of the first page, and once a repeat those of detection, recognition, lines and the whole."""
    from dbnet_jax import Detector, Reader

    page = rendered_page(Detector.from_pretrained(), options.words)
    reader = Reader.from_pretrained()
    first = seconds(lambda: reader.read(page))
    found = reader.detector.detect(page)
    programs: dict[str, Callable[[], Any]] = {
        "detection": lambda: reader.detector.detect(page),
        "recognition": lambda: reader.read_words(page, found),
        "reading": lambda: reader.read(page),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(options.repeats):
        for name, program in programs.items():
            processor = time.process_time()
            clock = seconds(program)
            times[name].append((clock, time.process_time() - processor))
    return {"words": len(found.polygons), "size": page.shape[:2], "first": first, "seconds": times}


def rendered_page(detector: Any, count: int) -> np.ndarray:
    """The rendered scene, of those with the most words, on which the detector finds the number nearest to `count`."""
    from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset

    scenes = SceneDataset(SCENES, size=(736, 1280))
    labelled = [int(np.sum(~np.asarray(scene.ignore, bool))) for scene in (scenes[i] for i in range(SCENES))]
    pages = [scenes[int(index)].image for index in np.argsort(labelled)[-CHOSEN:]]
    return min(pages, key=lambda page: abs(len(detector.detect(page).polygons) - count))


def seconds(program: Callable[[], Any]) -> float:
    """What a call takes on the clock."""
    begin = time.perf_counter()
    program()
    return time.perf_counter() - begin


def show_page(page: Mapping[str, Any]) -> None:
    """Prints medians, and the aim's ratio."""
    times = page["seconds"]
    print(f"\na page of {page['size'][0]}×{page['size'][1]} pixels with {page['words']} words found")
    for name, taken in times.items():
        clock, processor = (statistics.median(one[i] for one in taken) for i in (0, 1))
        print(f"{name:<12}{clock:>8.3f} s, of the processor {processor:.3f} s")
    for i, what in enumerate(("on the clock", "of the processor")):
        pairs = zip(times["detection"], times["reading"], strict=True)
        print(f"reading / detection {what}: {statistics.median(b[i] / a[i] for a, b in pairs):.2f}")
    print(f"the very first page: {page['first']:.1f} s")


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """End-to-end scores of all held-out photos, and seconds a photo, of our reader and of RapidOCR."""
    from dbnet_jax.evaluation.reading import evaluate_reading
    from input_pipeline.datasets import BENCHMARKS

    dataset = BENCHMARKS["icdar2015"](options.dir, "validation")
    samples = [dataset[index] for index in evenly(options.photos or len(dataset), len(dataset))]
    sides = make_sides(options.threads)
    first = {name: seconds(lambda side=side: side.read(samples[0].image)) for name, side in sides.items()}
    scores = {}
    for name, side in sides.items():
        found, texts = zip(*(side.words(sample.image) for sample in samples), strict=True)
        truths = [sample.polygons for sample in samples]
        one = evaluate_reading(found, truths, [s.ignore for s in samples], texts, [s.texts for s in samples])
        scores[name] = {"precision": one.precision, "recall": one.recall, "hmean": one.hmean}
    images = [samples[index].image for index in evenly(options.pictures, len(samples))]
    return {"photos": len(samples), "first": first, "scores": scores, "speed": speed(sides, images, options.repeats)}


def evenly(count: int, total: int) -> list[int]:
    """`count` places, evenly over `total`, or all."""
    count = min(count, total)
    return [place * total // count for place in range(count)]


def make_sides(threads: int) -> dict[str, Side]:
    """Our shipped weights, at their own sizes and at RapidOCR's; RapidOCR by default."""
    from dbnet_jax import Detector, Reader, Recognizer

    recognizer = Recognizer.from_pretrained()
    readers = {
        OURS: Reader(Detector.from_pretrained(), recognizer),
        OURS_736: Reader(Detector.from_pretrained(size=736), recognizer),
    }
    return {name: our_side(reader) for name, reader in readers.items()} | {THEIRS: their_side(threads)}


def our_side(reader: Any) -> Side:
    def words(image: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
        found = reader.read(image).words
        return [word.polygon for word in found], [word.text for word in found]

    return Side(reader.read, words)


def their_side(threads: int) -> Side:
    """RapidOCR with its own settings and models; its word boxes, where words are asked for."""
    from rapidocr import RapidOCR

    settings = {"EngineConfig.onnxruntime.intra_op_num_threads": threads, "Global.log_level": "error"}
    engine = RapidOCR(params=settings)

    def words(image: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
        lines = engine(bgr(image), return_word_box=True).word_results
        found = [word for line in lines for word in line if word[2] is not None]
        return [np.asarray(box, np.float32) for _, _, box in found], [text for text, _, _ in found]

    return Side(lambda image: engine(bgr(image)), words)


def speed(sides: Mapping[str, Side], images: Sequence[np.ndarray], repeats: int) -> dict[str, list[float]]:
    """Seconds a photo, once a repeat; the sides take turns photo by photo, another one first each time."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for repeat in range(repeats + 1):  # the first warms up, and every shape is compiled
        times = dict.fromkeys(sides, 0.0)
        for image in images:
            order.append(order.pop(0))
            for name in order:
                time.sleep(PAUSE)
                times[name] += seconds(lambda name=name, image=image: sides[name].read(image))
        if repeat > 0:
            for name, taken in times.items():
                found[name].append(taken / len(images))
    return found


def show_comparison(result: Mapping[str, Any]) -> None:
    """Prints scores and times side by side."""
    print(f"\nICDAR 2015, {result['photos']} held-out photos; {result['pictures']} of them timed")
    print(
        f"{'':<24}{'precision':>10}{'recall':>10}{'hmean':>10}{'s a photo (from–to)':>26}{'ratio':>8}{'first, s':>10}"
    )
    for name, times in result["speed"].items():
        scores = "".join(f"{result['scores'][name][key]:>10.3f}" for key in ("precision", "recall", "hmean"))
        ratio = statistics.median(b / a for a, b in zip(times, result["speed"][THEIRS], strict=True))
        taken = f"{statistics.median(times):.3f} ({min(times):.3f}–{max(times):.3f})"
        print(f"{name:<24}{scores}{taken:>26}{ratio:>8.2f}{result['first'][name]:>10.1f}")


if __name__ == "__main__":
    try:
        main()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
