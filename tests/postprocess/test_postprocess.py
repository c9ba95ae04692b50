"""Polygons from probability maps: the official code's candidates, hand-made maps, and maps of garbage."""

import itertools
import math
import pathlib
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dbnet_jax.geometry import offset_polygon, order_quad, polygon_area, polygon_perimeter
from dbnet_jax.geometry.packed import Outlines, concatenate
from dbnet_jax.geometry.validity import are_valid, repair_polygon
from dbnet_jax.postprocess import Detections, extract_polygons, region_scores
from tests.helpers.paths import DATA


def official_detections(case: Any, shape: str, percent: int) -> tuple[list[np.ndarray], np.ndarray]:
    if shape == "quad":
        boxes, scores = case[f"box_bt{percent}_boxes"], case[f"box_bt{percent}_scores"]
        kept = scores > 0  # the official code leaves a row of zeros for a rejected candidate
        return list(boxes[kept]), scores[kept]
    points, lengths = case[f"poly_bt{percent}_pts"], case[f"poly_bt{percent}_len"]
    return np.split(points, np.cumsum(lengths)[:-1]) if len(lengths) else [], case[f"poly_bt{percent}_scores"]


def assert_equals_official(path: pathlib.Path, shape: str) -> None:
    with np.load(path) as case:
        for percent in (50, 60, 70):
            size, limit = tuple(case["dest_hw"].tolist()), percent / 100
            found = extract_polygons(case["pred"], image_size=size, shape=shape, box_threshold=limit)
            polygons, scores = official_detections(case, shape, percent)
            assert len(found.polygons) == len(polygons)
            np.testing.assert_allclose(found.scores, scores, atol=1e-6)
            for ours, official in zip(found.polygons, polygons, strict=True):
                # The same vertices; another processor may round a half the other way.
                np.testing.assert_allclose(ours, official, atol=1)


@pytest.mark.parametrize("shape", ["quad", "polygon"])
@pytest.mark.parametrize("path", sorted(DATA.glob("postproc_*.npz")), ids=lambda path: path.stem)
def test_equals_the_official_detections(path: pathlib.Path, shape: str) -> None:
    assert_equals_official(path, shape)


@pytest.mark.parametrize("shape", ["quad", "polygon"])
@pytest.mark.parametrize("name", [*(f"{index:02}" for index in range(16)), "30"])
def test_equals_all_official_detections(shared: pathlib.Path, name: str, shape: str) -> None:
    assert_equals_official(shared / "golden" / f"postproc_{name}.npz", shape)


def block(height: int = 100, width: int = 160, value: float = 0.9) -> np.ndarray:
    """A map with the rectangle from (40, 30) to (99, 49)."""
    probability_map = np.zeros((height, width), np.float32)
    probability_map[30:50, 40:100] = value
    return probability_map


def test_a_quad_by_hand() -> None:
    # The outline is 59 by 19 pixels, so it grows by 59 · 19 · 1.5 / 156 = 10.78, which the clipper rounds.
    found = extract_polygons(block(), image_size=(200, 320))
    assert isinstance(found, Detections)
    (quad,) = found.polygons
    np.testing.assert_array_equal(quad, np.array([[29, 19], [110, 19], [110, 60], [29, 60]]) * 2)
    assert found.scores.tolist() == pytest.approx([0.9])


def test_a_polygon_by_hand() -> None:
    # 59 · 19 · 2 / 156 = 14.37
    found = extract_polygons(block(), image_size=(100, 160), shape="polygon")
    (polygon,) = found.polygons
    assert polygon.min(axis=0).tolist() == [26, 16]
    assert polygon.max(axis=0).tolist() == [113, 63]
    assert len(polygon) > 4
    assert polygon_area(polygon) < 87 * 47


def test_a_larger_unclip_ratio_gives_a_larger_quad() -> None:
    areas = [
        polygon_area(extract_polygons(block(), image_size=(100, 160), unclip_ratio=ratio).polygons[0])
        for ratio in (0.5, 1.0, 1.5)
    ]
    assert areas == sorted(areas)
    assert areas[0] < areas[2]


def test_thresholds_are_exclusive_and_inclusive() -> None:
    half = block(value=0.5)
    assert extract_polygons(half, image_size=(100, 160), threshold=0.5, box_threshold=0.1).polygons == []
    assert len(extract_polygons(half, image_size=(100, 160), threshold=0.4, box_threshold=0.5).polygons) == 1


def test_coordinates_are_clipped_to_the_picture_inclusive() -> None:
    (quad,) = extract_polygons(np.full((64, 96), 0.8, np.float32), image_size=(50, 70)).polygons
    assert quad.tolist() == [[0, 0], [70, 0], [70, 50], [0, 50]]


def test_small_regions_are_dropped() -> None:
    probability_map = np.zeros((60, 60), np.float32)
    probability_map[10:13, 10:40] = 1  # an outline two pixels high
    assert extract_polygons(probability_map, image_size=(60, 60)).polygons == []
    assert len(extract_polygons(probability_map, image_size=(60, 60), min_size=2).polygons) == 1


def test_no_more_candidates_than_asked() -> None:
    probability_map = np.zeros((100, 100), np.float32)
    for row in range(5):
        for column in range(5):
            probability_map[row * 20 : row * 20 + 10, column * 20 : column * 20 + 10] = 1
    assert len(extract_polygons(probability_map, image_size=(100, 100)).polygons) == 25
    assert len(extract_polygons(probability_map, image_size=(100, 100), max_candidates=7).polygons) == 7


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_a_dense_page_is_found_whole_and_specks_take_no_place(shape: str) -> None:
    page = np.zeros((300, 600), np.float32)
    page[30::10, ::10] = page[30::10, 1::10] = page[31::10, ::10] = page[31::10, 1::10] = 1  # specks of 2×2 pixels
    page[4:16, 10:590] = 1  # a line above them
    found = extract_polygons(page, image_size=(300, 600), shape=shape, max_candidates=1)
    assert (len(found.polygons), found.left_out, found.notes) == (1, 0, ())
    words = np.zeros((600, 1600), np.float32)
    for row, column in itertools.product(range(0, 600, 12), range(0, 1600, 30)):
        words[row + 2 : row + 7, column + 2 : column + 20] = 1
    assert len(extract_polygons(words, image_size=(600, 1600), shape=shape).polygons) == 2700


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_beyond_the_limit_the_largest_are_kept_and_the_others_counted(shape: str) -> None:
    probability_map = np.zeros((200, 100), np.float32)
    for index, width in enumerate((40, 12, 60, 16, 30)):
        probability_map[index * 40 + 10 : index * 40 + 22, 20 : 20 + width] = 0.9
    found = extract_polygons(probability_map, image_size=(200, 100), shape=shape, max_candidates=3)
    everything = extract_polygons(probability_map, image_size=(200, 100), shape=shape)
    wanted = [polygon for polygon in everything.polygons if np.ptp(polygon[:, 0]) > 40]
    assert len(wanted) == len(found.polygons) == 3
    for one, other in zip(found.polygons, wanted, strict=True):  # in the order of the contours
        np.testing.assert_array_equal(one, other)
    assert everything.left_out == 0
    assert (found.left_out, *found.notes) == (
        2,
        "`max_candidates` leaves out 2 text regions, the smallest; raise it",
    )


def test_nothing_is_found_on_an_empty_map() -> None:
    for shape in ("quad", "polygon"):
        found = extract_polygons(np.zeros((32, 32)), image_size=(10, 20), shape=shape)
        assert found.polygons == []
        assert found.scores.shape == (0,)


def test_contours_without_area_do_not_crash() -> None:
    probability_map = np.zeros((64, 64), np.float32)
    probability_map[10, 5:50] = 1
    probability_map[10:40, 20] = 1
    probability_map[50, 50] = 1
    for shape in ("quad", "polygon"):
        assert extract_polygons(probability_map, image_size=(64, 64), shape=shape, min_size=0).polygons == []


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_noise_of_many_contours_stays_inside_the_picture(shape: str) -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((512, 512)).astype(np.float32), (0, 0), 1.2)
    noise = (noise - noise.min()) / np.ptp(noise)
    contours, _ = cv2.findContours((noise > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    assert len(contours) > 900
    found = extract_polygons(noise, image_size=(300, 900), shape=shape, threshold=0.5, box_threshold=0.5, min_size=1)
    assert len(found.polygons) == len(found.scores) > 100
    for polygon in found.polygons:
        assert np.all((polygon >= 0) & (polygon <= (900, 300)))


def one_by_one(probability_map: np.ndarray, shape: str, box_threshold: float) -> list[tuple[np.ndarray, float]]:
    """The detections in the map's own pixels, each outline taken from contour to detection before the next."""
    found = []
    height, width = probability_map.shape
    text = (probability_map > 0.5).astype(np.uint8)
    for contour in cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
        rectangle = cv2.minAreaRect(contour)
        outline = cv2.approxPolyDP(contour, 0.002 * cv2.arcLength(contour, True), True)[:, 0].astype(np.float32)
        if shape == "quad":
            outline = order_quad(cv2.boxPoints(rectangle))
        if (min(rectangle[1]) < 2 and shape == "quad") or len(outline) < 4:
            continue
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [outline.astype(np.int32)], 1)
        score, area = cv2.mean(probability_map, inside)[0], polygon_area(outline)
        ratio = {"quad": 1.5, "polygon": 2.0}[shape]
        pieces = offset_polygon(outline, area * ratio / polygon_perimeter(outline)) if area > 0 else []
        rectangle = cv2.minAreaRect(pieces[0]) if len(pieces) == 1 else ((0, 0), (0, 0), 0)
        if score >= box_threshold and min(rectangle[1]) >= 4:
            polygon = order_quad(cv2.boxPoints(rectangle)) if shape == "quad" else pieces[0]
            # To a picture of the map's size: what is half a pixel may be a little less after it.
            polygon = polygon / np.float32((width, height)) * np.float32((width, height))
            found.append((np.clip(polygon.round(), 0, (width, height)), score))
    return found


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_outlines_together_are_as_one_by_one(shape: str) -> None:
    """Noise: outlines fall out at each step, and the others keep their scores."""
    noise = cv2.GaussianBlur(np.random.default_rng(1).random((240, 320)).astype(np.float32), (0, 0), 2)
    noise = (noise - noise.min()) / np.ptp(noise)
    found = extract_polygons(noise, image_size=(240, 320), shape=shape, threshold=0.5, box_threshold=0.52, min_size=2)
    expected = one_by_one(noise, shape, 0.52)
    assert len(found.polygons) == len(found.scores) == len(expected) > 20
    for polygon, score, (expected_polygon, expected_score) in zip(found.polygons, found.scores, expected, strict=True):
        if are_valid([expected_polygon])[0]:
            np.testing.assert_array_equal(polygon, expected_polygon)
        else:  # rounded to an outline that touches itself
            np.testing.assert_array_equal(polygon, repair_polygon(expected_polygon, extent=(320, 240)))
        assert score == pytest.approx(expected_score, abs=1e-6)


def test_outlines_are_parts_of_one_array() -> None:
    triangle, quad = np.arange(6.0).reshape(3, 2), np.arange(8).reshape(4, 2)
    outlines = concatenate([triangle, quad])
    assert outlines.vertices.dtype == np.float32
    assert [part.tolist() for part in outlines.parts()] == [triangle.tolist(), quad.tolist()]
    assert [part.tolist() for part in outlines.where(np.array([False, True])).parts()] == [quad.tolist()]
    assert concatenate([]).parts() == []
    assert Outlines(outlines.vertices, outlines.counts).where(np.zeros(2, bool)).parts() == []


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.floats(0, 1, width=32)),
    st.sampled_from(["quad", "polygon"]),
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
)
def test_any_map_gives_polygons_inside_the_picture(
    probability_map: np.ndarray, shape: str, image_size: tuple[int, int]
) -> None:
    found = extract_polygons(probability_map, image_size=image_size, shape=shape, box_threshold=0.0, min_size=0)
    assert len(found.scores) == len(found.polygons)
    assert np.all((found.scores >= 0) & (found.scores <= 1 + 1e-6))
    for polygon in found.polygons:
        assert np.all((polygon >= 0) & (polygon <= image_size[::-1]))
        assert np.array_equal(polygon, polygon.round())
        assert len(polygon) == 4 or shape == "polygon"
    assert are_valid(found.polygons).all()


def test_a_region_is_scored_by_its_own_pixels() -> None:
    probability_map = np.arange(100, dtype=np.float32).reshape(10, 10)
    square = np.array([[2, 3], [4, 3], [4, 5], [2, 5]], np.float32)
    beyond = np.array([[8, 8], [30, 8], [30, 30], [8, 30]], np.float32)
    # A coordinate is truncated toward zero, and the last polygon's first pixel is in the map.
    polygons = [square, beyond, beyond + 20, beyond - 31, square - np.array([2.9, 3.9], np.float32)]
    wanted = [probability_map[3:6, 2:5].mean(), probability_map[8:, 8:].mean(), 0, 0, probability_map[:2, :2].mean()]
    assert region_scores(probability_map, concatenate(polygons)).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": "circle"}, r"`shape` \(='circle'\) must be one of 'quad', 'polygon'"),
        ({"image_size": (0, 10)}, r"`image_size` \(=\(0, 10\)\)"),
        ({"probability_map": np.zeros((0, 10))}, "`probability_map`"),
        ({"unclip_ratio": 0.0}, r"`unclip_ratio` \(=0.0\)"),
        ({"unclip_ratio": math.inf}, r"`unclip_ratio` \(=inf\)"),
        ({"max_candidates": 0}, r"`max_candidates` \(=0\) must be 1 or more"),
        ({"max_candidates": -1}, r"`max_candidates` \(=-1\) must be 1 or more"),
        ({"min_size": -1}, r"`min_size` \(=-1\) must be 0 or more"),
        ({"min_size": math.nan}, r"`min_size` \(=nan\) must be 0 or more"),
        ({"threshold": 1.5}, r"`threshold` \(=1.5\) must be in \[0, 1\]"),
        ({"box_threshold": -0.1}, r"`box_threshold` \(=-0.1\) must be in \[0, 1\]"),
        ({"box_threshold": math.nan}, r"`box_threshold` \(=nan\) must be in \[0, 1\]"),
        ({"rings": True}, r"`rings` \(=True\) needs `shape` \(='quad'\) to be 'polygon'"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"probability_map": np.zeros((8, 8)), "image_size": (8, 8)}
    with pytest.raises(ValueError, match=message):
        extract_polygons(**arguments | change)


def rotated_noise(seed: int) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((256, 256)).astype(np.float32), (0, 0), 2.5)
    return (noise - noise.min()) / np.ptp(noise)


@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("size", [(90, 120), (30, 300)])
def test_outlines_are_valid_after_rounding_to_a_small_picture(size: tuple[int, int], rings: bool) -> None:
    options: dict[str, Any] = {"image_size": size, "threshold": 0.5, "box_threshold": 0.5, "unclip_ratio": 0.6}
    for noise in (rotated_noise(seed) for seed in range(2)):
        for shape in ("polygon",) if rings else ("quad", "polygon"):
            found = extract_polygons(noise, shape=shape, rings=rings, **options)
            assert len(found.polygons) > 10
            assert are_valid(found.polygons).all()


def seal(radius: float, thickness: int, opening: float, size: int = 480) -> tuple[np.ndarray, shapely.LineString]:
    """A map with text around a ring, whose gap of `opening` degrees is at the top; and the middle line of the text."""
    angles = np.radians(np.linspace(opening / 2 - 90, 270 - opening / 2, 721))
    points = size / 2 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    probability_map = np.zeros((size, size), np.float32)
    cv2.polylines(probability_map, [points.round().astype(np.int32)], opening == 0, 0.9, thickness)
    return probability_map, shapely.LineString(points)


@pytest.mark.parametrize("opening", [0, 3, 9, 20])
@pytest.mark.parametrize(("radius", "thickness"), [(190, 14), (80, 12), (190, 6)])
@pytest.mark.parametrize("scale", [1.0, 0.4, 2.2])
def test_text_around_a_ring_is_cut_open(radius: int, thickness: int, opening: float, scale: float) -> None:
    probability_map, line = seal(radius, thickness, opening)
    side = int(480 * scale)
    found = extract_polygons(probability_map, image_size=(side, side), shape="polygon", rings=True)
    (polygon,) = found.polygons
    assert found.scores[0] == pytest.approx(0.9, abs=0.05 if opening else 1e-5)
    assert are_valid([polygon])[0]
    shape = shapely.Polygon(polygon / scale)
    truth = line.buffer(1.5 * thickness)  # growing by the unclip ratio of 2 makes the ring three times as thick
    assert shape.intersection(truth).area / shape.union(truth).area > 0.75
    assert not shape.contains(shapely.Point(240, 240))
    ink = line.buffer(thickness / 2)
    assert shape.intersection(ink).area > 0.97 * ink.area
    if opening == 0:
        assert extract_polygons(probability_map, image_size=(side, side), shape="polygon").polygons == []


def test_only_regions_with_a_large_hole_are_rings() -> None:
    letters = block(value=0.9)
    letters[38:41, 60:63] = 0  # a hole that growing closes
    noise = rotated_noise(0)
    for probability_map in (letters, noise):
        options: dict[str, Any] = {"image_size": (100, 160), "shape": "polygon", "threshold": 0.5, "box_threshold": 0.6}
        plain, rings = (extract_polygons(probability_map, rings=rings, **options) for rings in (False, True))
        kept = {polygon.tobytes() for polygon in rings.polygons}
        assert plain.polygons
        assert {polygon.tobytes() for polygon in plain.polygons} <= kept
