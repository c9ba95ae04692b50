"""How long label maps take: edge by edge over each instance's box, and as input_pipeline/labels.py makes them.

    python benchmarks/labels.py
    python benchmarks/labels.py --instances 5 20 80 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import functools
import pathlib
import statistics
import sys
from collections.abc import Callable

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import pyclipper
import shapely
from parts.scenes import text_polygons

from input_pipeline.edge_distance import DISTANCES
from input_pipeline.labels import make_labels

SHRINK_RATIO, THRESHOLD_MIN, THRESHOLD_MAX, MIN_TEXT_SIZE = 0.4, 0.3, 0.7, 8
PICTURES = 5


def main() -> None:
    """Checks, measures, prints and writes."""
    options = parse_options()
    cv2.setNumThreads(1)
    result = measuring.environment(("numpy", "opencv-python-headless", "pyclipper", "shapely"))
    result["size"] = options.size
    result["scenes"] = [measure(count, kind, options) for count in options.instances for kind in DISTANCES]
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=640, help="pixels a side of the picture")
    parser.add_argument("--instances", type=int, nargs="+", default=[10, 50], help="instances of text in a picture")
    parser.add_argument("--repeats", type=int, default=11, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def measure(count: int, kind: str, options: argparse.Namespace) -> dict:
    """The milliseconds a picture, once a repeat; the two take turns of a few pictures each."""
    scenes = [text_polygons(count, options.size, options.size, seed=seed) for seed in range(PICTURES)]
    programs = {
        "loop": functools.partial(loop_labels, size=options.size, kind=kind),
        "ours": functools.partial(make_labels, height=options.size, width=options.size, threshold_distance=kind),
    }
    ignore = [index % 10 == 9 for index in range(count)]
    for polygons in scenes:
        assert_equal(programs["loop"](polygons, ignore), programs["ours"](polygons, ignore))
    turns = {name: functools.partial(make_all, program, scenes, ignore) for name, program in programs.items()}
    milliseconds = measuring.take_turns(turns, options.repeats)
    return {
        "instances": count,
        "distance": kind,
        "milliseconds": {name: [time / PICTURES for time in times] for name, times in milliseconds.items()},
    }


def make_all(program: Callable[..., dict], scenes: list[list[np.ndarray]], ignore: list[bool]) -> None:
    """The maps of picture after picture, as training asks for them."""
    for polygons in scenes:
        program(polygons, ignore)


def assert_equal(expected: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> None:
    """The same maps: exactly, and the threshold map as closely as float32 allows."""
    for name, label in labels.items():
        assert label.dtype == np.float32
        np.testing.assert_allclose(label, expected[name], rtol=0, atol=2e-6 if name == "threshold_map" else 0)


def loop_labels(polygons: list[np.ndarray], ignore: list[bool], size: int, kind: str) -> dict[str, np.ndarray]:
    """The maps from their definition (paper section 3.5), one instance after another."""
    shrink_map = np.zeros((size, size), np.float32)
    shrink_mask = np.ones((size, size), np.float32)
    threshold_map = np.zeros((size, size), np.float32)
    threshold_mask = np.zeros((size, size), np.float32)
    for polygon, ignored in zip(polygons, ignore, strict=True):
        polygon = np.clip(polygon.astype(np.float64), 0, size - 1)
        shape = shapely.Polygon(polygon)
        distance = shape.area * (1 - SHRINK_RATIO**2) / shape.length
        shrunk, grown = offset(polygon, -distance), offset(polygon, distance)
        if ignored or np.ptp(polygon, axis=0).min() < MIN_TEXT_SIZE or not shrunk:
            cv2.fillPoly(shrink_mask, [polygon.astype(np.int32)], 0)
            continue
        cv2.fillPoly(shrink_map, [np.array(shrunk[0], np.int32)], 1)
        outer = np.array(grown[0], np.int32)
        cv2.fillPoly(threshold_mask, [outer], 1)
        left, top = np.clip(outer.min(axis=0), 0, size - 1)
        right, bottom = np.clip(outer.max(axis=0), 0, size - 1) + 1
        x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        distances = np.zeros((len(polygon), *x.shape))
        for index in range(len(polygon)):
            to_edge = DISTANCE[kind](x, y, polygon[index - 1], polygon[index])
            distances[index] = np.clip(to_edge / distance, 0, 1)
        box = threshold_map[top:bottom, left:right]
        box[:] = np.maximum(box, 1 - distances.min(axis=0))
    threshold_map = threshold_map * (THRESHOLD_MAX - THRESHOLD_MIN) + THRESHOLD_MIN
    maps = shrink_map, shrink_mask, threshold_map, threshold_mask
    return dict(zip(("shrink_map", "shrink_mask", "threshold_map", "threshold_mask"), maps, strict=True))


def offset(polygon: np.ndarray, distance: float) -> list:
    """The pieces of the polygon, grown or shrunk."""
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(polygon.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return clipper.Execute(distance)


def distance_to_segment(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Of pixels from the nearest point between the ends."""
    (x0, y0), (dx, dy) = start, end - start
    share = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx**2 + dy**2), 0, 1)
    return np.sqrt((x - x0 - share * dx) ** 2 + (y - y0 - share * dy) ** 2)


def official_distance(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """That from the line, but from the nearer end where the ends are seen under an acute angle (law of cosines)."""
    first = (x - start[0]) ** 2 + (y - start[1]) ** 2
    second = (x - end[0]) ** 2 + (y - end[1]) ** 2
    length = (start[0] - end[0]) ** 2 + (start[1] - end[1]) ** 2
    product = np.maximum(first * second, 1e-12)
    cosine = (first + second - length) / (2 * np.sqrt(product))
    height = np.sqrt(product * np.maximum(1 - cosine**2, 0) / length)
    return np.where(cosine > 0, np.sqrt(np.minimum(first, second)), height)


DISTANCE = {"true": distance_to_segment, "official": official_distance}


def show(result: dict) -> None:
    """Prints the result as a table: medians and their ratio."""
    print(f"Label maps of a picture of {result['size']}×{result['size']}, one thread")
    measuring.show_environment(result)
    print(f"\n{'instances':>9}{'distance':>12}{'loop, ms':>12}{'ours, ms':>12}{'ratio':>8}")
    for scene in result["scenes"]:
        loop, ours = (statistics.median(scene["milliseconds"][name]) for name in ("loop", "ours"))
        print(f"{scene['instances']:>9}{scene['distance']:>12}{loop:>12.2f}{ours:>12.2f}{loop / ours:>8.1f}")


if __name__ == "__main__":
    main()
