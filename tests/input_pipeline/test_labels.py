"""Label maps: equal to the official code's, right by hand, and safe with bad polygons."""

import math
import pathlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.geometry import clip_to_image, offset_distance, offset_polygon
from input_pipeline.edge_distance import TILE, lower_to_edges
from input_pipeline.labels import make_labels
from tests.helpers.official import LABELS
from tests.helpers.paths import DATA

RECTANGLE = np.array([[10, 10], [110, 10], [110, 50], [10, 50]], np.float32)


def assert_equals_official(path: pathlib.Path) -> None:
    with np.load(path) as case:
        polygons = np.split(case["poly_pts"], np.cumsum(case["poly_len"])[:-1])
        height, width = case["shape"].tolist()
        labels = make_labels(polygons, case["ignore_in"].astype(bool).tolist(), height, width)
        for name, official in LABELS.items():
            assert labels[name].dtype == np.float32
            if name == "threshold_map":
                # Ours is the true distance to an edge, the official one is larger beyond an edge's ends.
                assert np.abs(labels[name] - case[official]).mean() < 4e-4
            else:
                np.testing.assert_array_equal(labels[name], case[official])


@pytest.mark.parametrize("path", sorted(DATA.glob("labels_*.npz")), ids=lambda path: path.stem)
def test_equals_the_official_labels(path: pathlib.Path) -> None:
    assert_equals_official(path)


@pytest.mark.parametrize("path", sorted(DATA.glob("labels_*.npz")), ids=lambda path: path.stem)
def test_the_official_distance_is_an_option(path: pathlib.Path) -> None:
    """Equal but for single pixels: on an edge or at a right angle over it the official arithmetic has no result."""
    with np.load(path) as case:
        polygons = np.split(case["poly_pts"], np.cumsum(case["poly_len"])[:-1])
        ignore, (height, width) = case["ignore_in"].astype(bool).tolist(), case["shape"].tolist()
        labels = make_labels(polygons, ignore, height, width, threshold_distance="official")
        differ = np.abs(labels["threshold_map"] - case["thresh_map"]) > 1e-4
        assert differ.mean() < 5e-4
        # Such pixels stand alone: no run of three by three differs.
        assert cv2.erode(differ.astype(np.uint8), np.ones((3, 3), np.uint8)).max() == 0


@pytest.mark.parametrize("index", range(20))
def test_equals_all_official_labels(shared: pathlib.Path, index: int) -> None:
    assert_equals_official(shared / "golden" / f"labels_{index:02}.npz")


def test_a_rectangle_by_hand() -> None:
    # A = 4000, L = 280, so D = 4000 · 0.84 / 280 = 12.
    labels = make_labels([RECTANGLE], [False], 80, 140)
    shrunk = np.zeros((80, 140))
    shrunk[22:39, 22:99] = 1
    np.testing.assert_array_equal(labels["shrink_map"], shrunk)
    assert labels["shrink_mask"].min() == 1
    along_the_middle_row = labels["threshold_map"][30]
    expected = [0.7, 0.7 - 0.4 / 12, 0.5, 0.3, 0.3]
    np.testing.assert_allclose(along_the_middle_row[[110, 111, 116, 122, 130]], expected, atol=1e-6)
    np.testing.assert_allclose(along_the_middle_row[[109, 104, 98, 60]], [0.7 - 0.4 / 12, 0.5, 0.3, 0.3], atol=1e-6)
    # Beyond the corner the distance is to the vertex.
    assert labels["threshold_map"][54, 113] == pytest.approx(0.7 - 0.4 * 5 / 12, abs=1e-6)
    mask = labels["threshold_mask"]
    assert mask[30, 60] == mask[30, 122] == mask[62, 60] == 1
    assert mask[30, 123] == mask[63, 60] == mask[62, 122] == 0


def test_the_larger_value_wins_where_two_bands_meet() -> None:
    right = RECTANGLE + np.array([110, 0], np.float32)
    both = make_labels([RECTANGLE, right], [False, False], 80, 240)["threshold_map"]
    alone = [make_labels([polygon], [False], 80, 240)["threshold_map"] for polygon in (RECTANGLE, right)]
    np.testing.assert_allclose(both, np.maximum(*alone), atol=1e-6)


def test_options_change_the_maps() -> None:
    labels = make_labels([RECTANGLE], [False], 80, 140, shrink_ratio=0.8, threshold_min=0.1, threshold_max=0.9)
    inset = int(4000 * (1 - 0.64) / 280)  # 5
    assert labels["shrink_map"].sum() == (101 - 2 * inset) * (41 - 2 * inset)
    assert labels["threshold_map"].min() == pytest.approx(0.1)
    assert labels["threshold_map"].max() == pytest.approx(0.9)
    assert make_labels([RECTANGLE], [False], 80, 140, min_text_size=41)["shrink_map"].max() == 0
    assert make_labels([RECTANGLE], [False], 80, 140, min_text_size=40)["shrink_map"].max() == 1


def test_ignored_regions_clear_only_the_mask() -> None:
    labels = make_labels([RECTANGLE, RECTANGLE], np.array([True, False]), 80, 140)
    assert labels["shrink_mask"][10:51, 10:111].max() == 0
    assert labels["shrink_mask"].sum() == 80 * 140 - 41 * 101
    assert labels["shrink_map"].sum() == 17 * 77


def test_no_polygons() -> None:
    labels = make_labels([], [], 5, 7)
    assert {name: label.shape for name, label in labels.items()} == dict.fromkeys(LABELS, (5, 7))
    assert {name: label.ravel()[0] for name, label in labels.items()} == {
        "shrink_map": 0,
        "shrink_mask": 1,
        "threshold_map": np.float32(0.3),
        "threshold_mask": 0,
    }


BAD = {
    "nothing": np.zeros((0, 2)),
    "point": np.full((1, 2), 30.0),
    "line": np.array([[10.0, 10], [60, 40]]),
    "zero area": np.array([[10.0, 10], [60, 40], [110, 70]]),
    "figure eight": np.array([[10.0, 10], [60, 60], [60, 10], [10, 60]]),
    "sliver": np.array([[10.0, 10], [110, 60], [110, 60.01]]),
    "nan": np.array([[10, 10], [np.nan, 10], [60, 60]]),
    "infinity": np.array([[10, 10], [np.inf, 10], [60, 60]]),
    "outside": RECTANGLE.astype(np.float64) + 1e6,
    "outside above": RECTANGLE - np.array([0, 500]),
    "tiny": np.array([[10, 10], [14, 10], [14, 14], [10, 14]]),
}


@pytest.mark.parametrize("polygon", BAD.values(), ids=BAD.keys())
def test_bad_polygons_are_ignored(polygon: np.ndarray) -> None:
    labels = make_labels([polygon, RECTANGLE], [False, False], 80, 140)
    good = make_labels([RECTANGLE], [False], 80, 140)
    for name in ("shrink_map", "threshold_map", "threshold_mask"):
        np.testing.assert_array_equal(labels[name], good[name])
    if np.isfinite(polygon).all() and len(polygon):
        assert labels["shrink_mask"].min() == 0
    else:
        assert labels["shrink_mask"].min() == 1


def test_a_triangle_is_text() -> None:
    labels = make_labels([np.array([[10.0, 10], [110, 10], [60, 90]])], [False], 100, 120)
    assert labels["shrink_map"].sum() > 100
    assert labels["threshold_map"].max() == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_pictures_of_one_pixel(size: tuple[int, int]) -> None:
    labels = make_labels([RECTANGLE], [False], *size)
    assert labels["shrink_map"].shape == size
    assert labels["shrink_map"].max() == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shrink_ratio": 0.0}, r"`shrink_ratio` \(=0.0\)"),
        ({"shrink_ratio": 1.0}, r"`shrink_ratio` \(=1.0\)"),
        ({"shrink_ratio": math.nan}, "`shrink_ratio`"),
        ({"height": 0}, r"`height` \(=0\)"),
        ({"width": -3}, r"`width` \(=-3\)"),
        ({"threshold_min": 0.7, "threshold_max": 0.3}, "`threshold_min`"),
        ({"threshold_max": 1.5}, r"`threshold_max` \(=1.5\)"),
        ({"threshold_distance": "far"}, r"`threshold_distance` \(=.far.\)"),
        ({"ignore": [False, True]}, "`ignore` must hold one flag a polygon"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"polygons": [RECTANGLE], "ignore": [False], "height": 80, "width": 140}
    with pytest.raises(ValueError, match=message):
        make_labels(**arguments | change)


def distance_to_outline(polygon: np.ndarray, height: int, width: int, kind: str = "true") -> np.ndarray:
    """The distance of each pixel to the nearest edge, edge by edge over the whole picture in float64.

    The official one is that to the line of an edge, and outside of the circle over the edge that to its nearer end.
    """
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    nearest = np.full((height, width), np.inf)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        to_start, to_end, edge = pixels - start, pixels - end, end - start
        if kind == "true":
            share = np.clip(to_start @ edge / max(edge @ edge, 1e-30), 0, 1)
            distance = np.linalg.norm(to_start - share[..., None] * edge, axis=-1)
        else:
            to_line = np.abs(to_start[..., 0] * edge[1] - to_start[..., 1] * edge[0]) / np.linalg.norm(edge)
            to_ends = np.minimum(np.linalg.norm(to_start, axis=-1), np.linalg.norm(to_end, axis=-1))
            distance = np.where((to_start * to_end).sum(axis=-1) <= 0, to_line, to_ends)
        nearest = np.minimum(nearest, distance)
    return nearest


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["true", "official"])
def test_distances_to_edges_are_those_of_each_edge(kind: str, seed: int) -> None:
    """Several polygons with boxes of their own that cut tiles, and edges of many lengths and reaches."""
    rng = np.random.default_rng(seed)
    height, width = 150, 210
    polygons = [rng.uniform((0, 0), (width, height), (count, 2)) for count in (1, 2, 4, 11)]
    polygons[1] = polygons[0] + np.array([[0.0, 0], [9.3, 4.1]])
    reaches = rng.uniform(0.6, 45, len(polygons)).tolist()
    lefts, tops = rng.integers(0, 80, len(polygons)), rng.integers(0, 60, len(polygons))
    rights, bottoms = lefts + rng.integers(1, 131, len(polygons)), tops + rng.integers(1, 91, len(polygons))
    boxes = list(zip(*(side.tolist() for side in (lefts, tops, rights, bottoms)), strict=True))
    boxes[3] = (0, 0, width, height)
    if kind == "official":
        polygons, reaches, boxes = polygons[1:], reaches[1:], boxes[1:]  # a point has no line
    lowered = np.full((height, width), 0.9, np.float32)
    lower_to_edges(lowered, polygons, reaches, boxes, kind)
    expected = np.full((height, width), 0.9)
    for polygon, reach, (left, top, right, bottom) in zip(polygons, reaches, boxes, strict=True):
        box = expected[top:bottom, left:right]
        distance = distance_to_outline(polygon, height, width, kind)[top:bottom, left:right]
        np.minimum(box, distance / reach, out=box)
    np.testing.assert_allclose(lowered, expected, atol=1e-5)
    assert lowered.min() < 0.5
    assert width > 8 * TILE


def test_repeated_vertices_change_nothing() -> None:
    repeated = np.repeat(RECTANGLE, 2, axis=0)
    labels, once = make_labels([repeated], [False], 80, 140), make_labels([RECTANGLE], [False], 80, 140)
    for name, label in labels.items():
        np.testing.assert_allclose(label, once[name], atol=1e-6)


@st.composite
def star_polygons(draw: st.DrawFn) -> np.ndarray:
    """Simple polygons, long slanted ones among them, that may leave the picture."""
    count = draw(st.integers(3, 12))
    radii = np.array(draw(st.lists(st.floats(30, 60), min_size=count, max_size=count)))
    stretch, angle = draw(st.floats(1, 6)), draw(st.floats(0, math.pi))
    directions = np.arange(count) * 2 * math.pi / count
    points = np.stack([stretch * radii * np.cos(directions), radii * np.sin(directions)], axis=1)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return points @ rotation.T + np.array([draw(st.floats(0, 400)), draw(st.floats(0, 300))])


@settings(max_examples=40)
@given(star_polygons())
def test_maps_keep_their_meaning(polygon: np.ndarray) -> None:
    height, width = 300, 400
    labels = make_labels([polygon], [False], height, width)
    for name in ("shrink_map", "shrink_mask", "threshold_mask"):
        assert set(np.unique(labels[name])) <= {0.0, 1.0}
    clipped = clip_to_image(polygon, height, width)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [clipped.astype(np.int32)], 1)
    assert not np.any((labels["shrink_map"] == 1) & (inside == 0))
    assert np.all(labels["threshold_mask"] >= labels["shrink_map"])
    if labels["shrink_map"].max() == 0:
        assert labels["threshold_mask"].max() == 0
        return
    distance = offset_distance(clipped, 0.4)
    expected = 0.3 + 0.4 * np.clip(1 - distance_to_outline(clipped, height, width) / distance, 0, 1)
    # Outside the grown polygon, whose coordinates are integers, nothing is drawn.
    left, top = offset_polygon(clipped, distance)[0].min(axis=0).clip(0).astype(int)
    right, bottom = offset_polygon(clipped, distance)[0].max(axis=0).astype(int) + 1
    drawn = np.full((height, width), 0.3)
    drawn[top:bottom, left:right] = expected[top:bottom, left:right]
    np.testing.assert_allclose(labels["threshold_map"], drawn, atol=1e-5)


@settings(max_examples=60)
@given(st.lists(st.lists(st.tuples(*[st.floats(-100, 200, width=32)] * 2), min_size=3, max_size=9), max_size=3))
def test_polygons_of_any_shape_give_maps_in_range(polygons: list[list[tuple[float, float]]]) -> None:
    arrays = [np.array(polygon, np.float32) for polygon in polygons]
    labels = make_labels(arrays, [False] * len(arrays), 90, 110)
    assert labels["threshold_map"].min() >= 0.3 - 1e-6
    assert labels["threshold_map"].max() <= 0.7 + 1e-6
    for name in ("shrink_map", "shrink_mask", "threshold_mask"):
        assert set(np.unique(labels[name])) <= {0.0, 1.0}
