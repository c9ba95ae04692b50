"""The protocol of MSRA-TD500: rectangles of least area, turned upright, in the same direction."""

import math
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation.regions import min_area_rectangles, read_polygons
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from tests.helpers.scored import box, evaluate_one


def turned(width: float, height: float, degrees: float, centre: tuple[float, float] = (100, 100)) -> list[list[float]]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    return [[centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y] for x, y in corners]


@pytest.mark.parametrize(
    ("ours", "theirs", "right"),
    [
        (0, 20, True),
        (0, 25, False),  # beyond π/8
        (89, -89, True),  # two degrees apart
        (0, 180, True),
        (10, -15, False),
        (44, 46, True),  # on both sides of the diagonal
        (-46, -44, True),
        (46, 71, False),
        (135, -44, True),
    ],
)
def test_td500_wants_the_direction(ours: float, theirs: float, right: bool) -> None:
    found, truth = turned(60, 45, ours), turned(60, 45, theirs)
    assert evaluate_one([found], [truth]).hmean == 1
    assert evaluate_one([found], [truth], protocol="td500").hmean == right


@pytest.mark.parametrize(
    ("width", "height", "degrees", "shift", "iou", "td500"),
    [
        (200, 20, 0, (40, 0), True, True),
        # Along a slanted line: as far down as to the side, which is more than its height once it lies.
        (200, 20, 40, (31, 26), True, False),
        # To the side of a slanted line: nothing in common, but once both lie much of their length.
        (200, 20, 40, (31, 0), False, True),
        # What stands is turned to stand.
        (20, 200, 3, (0, 40), True, True),
        (20, 200, 3, (15, 0), False, False),
    ],
)
def test_td500_turns_both_upright_about_their_centres(
    width: float, height: float, degrees: float, shift: tuple[float, float], iou: bool, td500: bool
) -> None:
    truth, found = turned(width, height, degrees), turned(width, height, degrees, (100 + shift[0], 100 + shift[1]))
    assert evaluate_one([found], [truth]).hmean == iou
    assert evaluate_one([found], [truth], protocol="td500").hmean == td500


@settings(max_examples=60)
@given(
    st.tuples(st.floats(20, 200), st.floats(20, 200), st.floats(-40, 40)),
    st.tuples(st.floats(20, 200), st.floats(20, 200), st.floats(-21, 21)),
    st.tuples(st.floats(-60, 60), st.floats(-60, 60)),
    st.integers(0, 3),
)
def test_td500_overlap_is_that_of_the_boxes_as_they_were_before_the_turn(
    truth: Any, found: Any, shift: Any, quarters: int
) -> None:
    centre = (100 + shift[0], 100 + shift[1])
    across, down = found[:2] if quarters % 2 == 0 else found[1::-1]
    found_polygon = turned(across, down, truth[2] + found[2] + 90 * quarters, centre)
    regions = min_area_rectangles(read_polygons([turned(*truth), found_polygon]))
    upright = regions.part(0, 1).upright_with(regions.part(1, 2))
    assert upright is not None
    assert upright.angles.item() == pytest.approx(math.radians(abs(found[2])), abs=1e-3)
    both = box(-truth[0] / 2, -truth[1] / 2, truth[0] / 2, truth[1] / 2), turned(found[0], found[1], 0, shift)
    expected = bounding_box_overlap(np.array(both[0]), np.array(both[1]))
    assert upright.intersection_over_union.item() == pytest.approx(expected, abs=1e-3)


def test_td500_rectangles_are_the_annotated_ones(shared: pathlib.Path) -> None:
    files = sorted((shared / "data/msra_td500/train").glob("*.gt"))
    rows = np.array(
        [line.split()[2:] for file in files for line in file.read_text().splitlines() if line.strip()], float
    )
    outlines = [polygon for file in files for polygon in MsraTd500.parse(file.read_bytes(), file.name).polygons]
    found = min_area_rectangles(read_polygons(outlines)).rectangles
    assert found is not None
    assert len(rows) == len(outlines) == 1068
    np.testing.assert_allclose(found.centres, rows[:, :2] + rows[:, 2:4] / 2, atol=1e-2)
    # Which side is the width is the annotators' choice, for lines that stand too.
    np.testing.assert_allclose(found.sides, rows[:, 2:4], atol=1e-2)
    np.testing.assert_allclose(found.angles, rows[:, 4], atol=1e-3)


def bounding_box_overlap(one: np.ndarray, other: np.ndarray) -> float:
    shared = np.minimum(one.max(axis=0), other.max(axis=0)) - np.maximum(one.min(axis=0), other.min(axis=0))
    area = np.maximum(shared, 0).prod()
    return area / (np.ptp(one, axis=0).prod() + np.ptp(other, axis=0).prod() - area)


def test_td500_compares_the_rectangles_of_least_area() -> None:
    pinched = [[0, 0], [50, 9], [100, 0], [60, 10], [100, 20], [50, 11], [0, 20], [40, 10]]
    assert evaluate_one([pinched], [box(0, 0, 100, 20)]).hmean == 0
    assert evaluate_one([pinched], [box(0, 0, 100, 20)], protocol="td500").hmean == 1
    # Half of the rectangle is not more than a half.
    assert evaluate_one([box(0, 0, 50, 10)], [box(0, 0, 100, 10)], protocol="td500").hmean == 0
    assert evaluate_one([box(0, 0, 51, 10)], [box(0, 0, 100, 10)], protocol="td500").hmean == 1


def test_td500_compares_nearest_sides_so_that_the_longer_one_need_not_be_known() -> None:
    square = turned(40, 40, 20)
    assert evaluate_one([square[1:] + square[:1]], [turned(40, 40, 110)], protocol="td500").hmean == 1
    for degrees in (20, 110):
        assert evaluate_one([turned(39, 41, 20)], [turned(41, 39, degrees)], protocol="td500").hmean == 1
    # A line across another shares little with it, however it is turned.
    assert evaluate_one([turned(60, 30, 0)], [turned(60, 30, 90)], protocol="td500").hmean == 0


def test_td500_what_matches_a_difficult_line_does_not_count() -> None:
    easy, difficult = turned(100, 20, 0, (60, 100)), turned(100, 20, 0, (60, 200))
    across, within = turned(100, 20, 90, (60, 200)), turned(30, 20, 0, (60, 200))
    scores = evaluate_one([easy, difficult], [easy, difficult], [False, True], "td500")
    assert (scores.precision, scores.recall) == (1, 1)
    assert scores.per_image[0]["ignored_detections"] == [1]
    # What only lies on it does not match it.
    scores = evaluate_one([easy, across, within], [easy, difficult], [False, True], "td500")
    assert scores.per_image[0]["ignored_detections"] == []
    assert scores.precision == pytest.approx(1 / 3)
