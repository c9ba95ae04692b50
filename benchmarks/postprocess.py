"""How long polygons take from a probability map: contour by contour, and as dbnet_jax/postprocess.py finds them.

    python benchmarks/postprocess.py
    python benchmarks/postprocess.py --instances 20 --json=FILE

benchmarks/README.md says how to read the numbers.
"""

import argparse
import functools
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import pyclipper
import shapely
from parts.scenes import text_polygons

from dbnet_jax.geometry import offset_distance, offset_polygon
from dbnet_jax.postprocess import Detections, extract_polygons

THRESHOLD, MIN_SIZE, MAX_CANDIDATES = 0.3, 3, 1000
UNCLIP_RATIOS = {"quad": 1.5, "polygon": 2.0}
PICTURES, IMAGE_SIZE = 5, (720, 1280)
Found = list[tuple[np.ndarray, float]]


def main() -> None:
    """Checks, measures, prints and writes."""
    options = parse_options()
    cv2.setNumThreads(1)
    result = measuring.environment(("numpy", "opencv-python-headless", "pyclipper", "shapely"))
    result |= {"height": options.height, "width": options.width}
    scenes = {
        f"{count} instances": [text_map(count, seed, options) for seed in range(PICTURES)]
        for count in options.instances
    }
    scenes["noise"] = [noise_map(seed, options) for seed in range(PICTURES)]
    result["maps"] = [measure(name, maps, shape, options) for name, maps in scenes.items() for shape in LOOPS]
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=736, help="of the map in pixels")
    parser.add_argument("--width", type=int, default=1280, help="of the map in pixels")
    parser.add_argument("--instances", type=int, nargs="+", default=[10, 50, 150], help="instances of text in a map")
    parser.add_argument("--noise", type=float, default=3.0, help="size of the noise's grains in pixels")
    parser.add_argument("--box-threshold", type=float, default=0.5, help="the least score that is kept")
    parser.add_argument("--repeats", type=int, default=11, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def text_map(count: int, seed: int, options: argparse.Namespace) -> np.ndarray:
    """A map as the network answers: shrunk polygons of high probability with soft edges."""
    size = (options.height, options.width)
    probability_map = np.zeros(size, np.float32)
    for index, polygon in enumerate(text_polygons(count, *size, heights=(16, 40), seed=seed)):
        (shrunk, *_) = offset_polygon(polygon, -offset_distance(polygon, 0.4))
        cv2.fillPoly(probability_map, [shrunk.astype(np.int32)], 0.98 - 0.06 * (index % 7))
    grain = np.random.default_rng(seed).normal(0, 0.02, size).astype(np.float32)
    return np.clip(cv2.GaussianBlur(probability_map, (0, 0), 1.2) + grain * (probability_map > 0), 0, 1)


def noise_map(seed: int, options: argparse.Namespace) -> np.ndarray:
    """A map without text: small regions everywhere, holes among them."""
    noise = np.random.default_rng(seed).random((options.height, options.width)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), options.noise)
    return np.clip(0.5 + (noise - np.median(noise)) / (6 * noise.std()) - 0.22 + 0.3 * (noise > noise.mean()), 0, 1)


def measure(name: str, maps: list[np.ndarray], shape: str, options: argparse.Namespace) -> dict:
    """The milliseconds a map, once a repeat; the two take turns of a few maps each."""
    programs = {
        "loop": functools.partial(LOOPS[shape], size=IMAGE_SIZE, box_threshold=options.box_threshold),
        "ours": functools.partial(
            extract_polygons, image_size=IMAGE_SIZE, shape=shape, box_threshold=options.box_threshold
        ),
    }
    for probability_map in maps:
        assert_equal(programs["loop"](probability_map), programs["ours"](probability_map))
    turns = {key: functools.partial(find_all, program, maps) for key, program in programs.items()}
    milliseconds = measuring.take_turns(turns, options.repeats)
    return {
        "map": name,
        "shape": shape,
        "contours": statistics.mean(len(find_contours(probability_map)) for probability_map in maps),
        "found": statistics.mean(len(programs["loop"](probability_map)) for probability_map in maps),
        "milliseconds": {key: [time / PICTURES for time in times] for key, times in milliseconds.items()},
    }


def find_all(program: Callable[[np.ndarray], Any], maps: list[np.ndarray]) -> None:
    """The polygons of map after map, as from a folder of pictures."""
    for probability_map in maps:
        program(probability_map)


def assert_equal(expected: Found, detections: Detections) -> None:
    """The same polygons to the pixel, with the same scores, in the same order."""
    assert len(detections.polygons) == len(expected)
    for ours, score, (polygon, mean) in zip(detections.polygons, detections.scores, expected, strict=True):
        np.testing.assert_array_equal(ours, polygon)
        assert abs(score - mean) < 1e-6


def find_contours(probability_map: np.ndarray) -> list[np.ndarray]:
    """The outlines of text and of holes in it."""
    text = probability_map > THRESHOLD
    contours, _ = cv2.findContours((text * 255).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return list(contours[:MAX_CANDIDATES])


def loop_quads(probability_map: np.ndarray, size: tuple[int, int], box_threshold: float) -> Found:
    """One contour after another: its rectangle, the score, the growth, the grown one's rectangle, the scale."""
    found = []
    for contour in find_contours(probability_map):
        quad, side = rectangle(contour)
        if side < MIN_SIZE:
            continue
        score = mean_inside(probability_map, quad)
        if score < box_threshold:
            continue
        pieces = unclip(quad, UNCLIP_RATIOS["quad"])
        if len(pieces) != 1:
            continue
        quad, side = rectangle(pieces[0])
        if side >= MIN_SIZE + 2:
            found.append((scaled(quad, probability_map.shape, size), score))
    return found


def loop_polygons(probability_map: np.ndarray, size: tuple[int, int], box_threshold: float) -> Found:
    """One contour after another: with fewer vertices, the score, the growth, the scale."""
    found = []
    for contour in find_contours(probability_map):
        polygon = cv2.approxPolyDP(contour, 0.002 * cv2.arcLength(contour, True), True).reshape(-1, 2)
        if len(polygon) < 4:
            continue
        score = mean_inside(probability_map, polygon)
        if score < box_threshold:
            continue
        pieces = unclip(polygon, UNCLIP_RATIOS["polygon"])
        if len(pieces) != 1:
            continue
        _, side = rectangle(pieces[0])
        if side >= MIN_SIZE + 2:
            found.append((scaled(pieces[0].astype(np.float64), probability_map.shape, size), score))
    return found


LOOPS = {"quad": loop_quads, "polygon": loop_polygons}


def rectangle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The least rotated rectangle around points, clockwise from the top left, and its shorter side."""
    box = cv2.minAreaRect(points)
    corners = sorted(cv2.boxPoints(box), key=lambda point: point[0])
    left, right = (sorted(side, key=lambda point: point[1]) for side in (corners[:2], corners[2:]))
    return np.array([left[0], right[0], right[1], left[1]]), min(box[1])


def mean_inside(probability_map: np.ndarray, polygon: np.ndarray) -> float:
    """The mean of the map in the polygon, in its upright box."""
    height, width = probability_map.shape
    left = np.clip(np.floor(polygon[:, 0].min()).astype(int), 0, width - 1)
    right = np.clip(np.ceil(polygon[:, 0].max()).astype(int), 0, width - 1)
    top = np.clip(np.floor(polygon[:, 1].min()).astype(int), 0, height - 1)
    bottom = np.clip(np.ceil(polygon[:, 1].max()).astype(int), 0, height - 1)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(polygon - np.array([left, top], polygon.dtype)).astype(np.int32)], 1)
    return cv2.mean(probability_map[top : bottom + 1, left : right + 1], mask)[0]


def unclip(polygon: np.ndarray, ratio: float) -> list[np.ndarray]:
    """The pieces of the polygon grown by area · ratio / perimeter."""
    shape = shapely.Polygon(polygon)
    if shape.area == 0:
        return []
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(polygon, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return [np.array(piece, np.float32) for piece in clipper.Execute(shape.area * ratio / shape.length)]


def scaled(polygon: np.ndarray, source: tuple[int, ...], target: tuple[int, int]) -> np.ndarray:
    """The polygon in pixels of another size."""
    polygon = polygon.copy()
    for axis in (0, 1):
        numbers = polygon[:, axis] / source[1 - axis] * target[1 - axis]
        polygon[:, axis] = np.clip(np.round(numbers), 0, target[1 - axis])
    return polygon


def show(result: dict) -> None:
    """Prints the result as a table: medians and their ratio."""
    print(f"Polygons from a map of {result['height']}×{result['width']}, one thread")
    measuring.show_environment(result)
    print(f"\n{'map':<16}{'shape':>8}{'contours':>10}{'found':>7}{'loop, ms':>12}{'ours, ms':>12}{'ratio':>8}")
    for entry in result["maps"]:
        loop, ours = (statistics.median(entry["milliseconds"][name]) for name in ("loop", "ours"))
        counts = f"{entry['contours']:>10.0f}{entry['found']:>7.0f}"
        print(f"{entry['map']:<16}{entry['shape']:>8}{counts}{loop:>12.2f}{ours:>12.2f}{loop / ours:>8.1f}")


if __name__ == "__main__":
    main()
