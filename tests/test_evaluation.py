"""The evaluation protocols: the benchmarks' own numbers, and cases counted by hand."""

import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation import PROTOCOLS, evaluate_detections
from dbnet_jax.scoring.regions import (
    bounding_rectangles,
    min_area_rectangles,
    read_polygons,
    repaired_polygons,
    valid_polygons,
)
from input_pipeline.datasets.msra_td500 import MsraTd500

OFFICIAL = ("iou", "deteval", "pascal")  # of which there are the official scripts' outputs
DATA = pathlib.Path(__file__).parent / "data"
FIGURE_EIGHT = [[0, 0], [10, 10], [10, 0], [0, 10]]


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def evaluate_official(folder: pathlib.Path, protocol: str) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
    inputs = json.loads((folder / "eval_inputs.json").read_text())
    expected = json.loads((folder / f"eval_{protocol}.json").read_text())["per_image"]
    columns = ([picture[key] for picture in inputs] for key in ("det", "gt", "ignore"))
    return evaluate_detections(*columns, protocol=protocol), inputs, expected


def assert_equals_official(folder: pathlib.Path, protocol: str) -> None:
    scores, _, expected = evaluate_official(folder, protocol)
    assert len(scores.per_image) == len(expected) == 30
    for ours, official in zip(scores.per_image, expected, strict=True):
        for key in {"precision", "recall", "hmean"} & official.keys():
            assert ours[key] == pytest.approx(official[key], abs=1e-6)


@pytest.mark.parametrize("protocol", OFFICIAL)
def test_equals_the_official_scores(protocol: str) -> None:
    assert_equals_official(DATA, protocol)


@pytest.mark.parametrize("protocol", OFFICIAL)
def test_equals_all_official_scores(shared: pathlib.Path, protocol: str) -> None:
    assert_equals_official(shared / "golden", protocol)


def test_equals_the_official_pairs_and_counts() -> None:
    scores, inputs, expected = evaluate_official(DATA, "iou")
    matched = sum(picture["detMatched"] for picture in expected)
    assert scores.recall == pytest.approx(matched / sum(picture["gtCare"] for picture in expected))
    assert scores.precision == pytest.approx(matched / sum(picture["detCare"] for picture in expected))
    for ours, picture, official in zip(scores.per_image, inputs, expected, strict=True):
        assert (ours["num_truths"], ours["num_detections"]) == (official["gtCare"], official["detCare"])
        assert len(ours["ignored_truths"]) + ours["num_truths"] == len(picture["gt"])
        assert len(ours["ignored_detections"]) + ours["num_detections"] == len(picture["det"])
        # The official indices skip invalid polygons: comparable where there are none.
        if len(official["gtDontCare"]) == len(ours["ignored_truths"]) and len(official["detDontCare"]) == len(
            ours["ignored_detections"]
        ):
            assert ours["pairs"] == [(pair["gt"], pair["det"]) for pair in official["pairs"]]
            assert ours["ignored_truths"] == official["gtDontCare"]
            assert ours["ignored_detections"] == official["detDontCare"]


def evaluate_one(detections: Any, truths: Any, ignore: Any = None, protocol: str = "iou") -> Any:
    ignore = [False] * len(truths) if ignore is None else ignore
    return evaluate_detections([detections], [truths], [ignore], protocol=protocol)


def test_iou_by_hand() -> None:
    truths = [box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10)]
    # Exact; IoU 5/10, which is not above 0.5; IoU 6/10; nowhere.
    detections = [box(0, 0, 10, 10), box(20, 0, 25, 10), box(40, 0, 46, 10), box(90, 90, 99, 99)]
    scores = evaluate_one(detections, truths)
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.hmean == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert scores.per_image[0]["pairs"] == [(0, 0), (2, 2)]


def test_a_truth_takes_the_first_detection_and_only_one() -> None:
    scores = evaluate_one([box(0, 0, 9, 10), box(0, 0, 10, 10)], [box(0, 0, 10, 10)])
    assert scores.per_image[0]["pairs"] == [(0, 0)]
    assert (scores.precision, scores.recall) == (0.5, 1.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_detections_on_a_dont_care_do_not_count(protocol: str) -> None:
    truths = [box(0, 0, 10, 10), box(20, 0, 30, 10)]
    # Half of itself, and two fifths by ICDAR 2013, must lie on it.
    on, not_enough = box(21, 1, 29, 9), box(27, 0, 37, 10) if protocol == "icdar2013" else box(25, 0, 35, 10)
    scores = evaluate_one([box(0, 0, 10, 10), on, not_enough], truths, [False, True], protocol)
    assert scores.per_image[0]["ignored_truths"] == [1]
    assert scores.per_image[0]["ignored_detections"] == [1]
    assert (scores.precision, scores.recall) == (0.5, 1.0)


def test_counts_are_pooled_over_pictures() -> None:
    right, wrong = box(0, 0, 10, 10), box(50, 50, 60, 60)
    scores = evaluate_detections([[right], [wrong, wrong, wrong]], [[right], [right]], [[False], [False]])
    assert scores.precision == pytest.approx(1 / 4)
    assert scores.recall == pytest.approx(1 / 2)
    assert [picture["precision"] for picture in scores.per_image] == [1.0, 0.0]


def test_deteval_gives_part_credit_to_a_split_word() -> None:
    halves = [box(0, 0, 50, 10), box(50, 0, 100, 10)]
    scores = evaluate_one(halves, [box(0, 0, 100, 10)], protocol="deteval")
    assert scores.recall == pytest.approx(0.8)
    assert scores.precision == pytest.approx(0.8 * 2 / 2)
    assert scores.per_image[0]["pairs"] == [(0, 0), (0, 1)]


def test_deteval_gives_part_credit_to_merged_words() -> None:
    words = [box(0, 0, 45, 10), box(55, 0, 100, 10)]
    scores = evaluate_one([box(0, 0, 100, 10)], words, protocol="deteval")
    assert scores.recall == pytest.approx(0.8 * 2 / 2)
    assert scores.precision == pytest.approx(0.8)
    assert scores.per_image[0]["pairs"] == [(0, 0), (1, 0)]
    assert evaluate_one([box(0, 0, 100, 10)], words).hmean == 0


def test_deteval_needs_enough_of_the_truth() -> None:
    # σ = 0.7 is not above 0.7; one more pixel is.
    assert evaluate_one([box(0, 0, 70, 10)], [box(0, 0, 100, 10)], protocol="deteval").hmean == 0
    assert evaluate_one([box(0, 0, 71, 10)], [box(0, 0, 100, 10)], protocol="deteval").hmean == 1


def test_icdar2013_counts_the_last_pixel_of_a_rectangle() -> None:
    # 80 of 100 pixels are enough of a truth, 70 are not; between the corners there would be 63 of 81.
    assert evaluate_one([box(0, 0, 7, 9)], [box(0, 0, 9, 9)], protocol="icdar2013").hmean == 1
    assert evaluate_one([box(0, 0, 6, 9)], [box(0, 0, 9, 9)], protocol="icdar2013").hmean == 0


def test_icdar2013_takes_a_detection_of_which_two_fifths_are_text() -> None:
    assert evaluate_one([box(0, 0, 24, 9)], [box(0, 0, 9, 9)], protocol="icdar2013").hmean == 1
    assert evaluate_one([box(0, 0, 25, 9)], [box(0, 0, 9, 9)], protocol="icdar2013").hmean == 0
    # The same limit makes a detection that of a don't-care, which needs more than that.
    for right, counted in ((22, 1), (24, 2)):
        words = [box(0, 0, 9, 9), box(100, 0, 109, 9)]
        scores = evaluate_one([box(0, 0, right, 9), words[1]], words, [True, False], "icdar2013")
        assert scores.per_image[0]["num_detections"] == counted


def test_icdar2013_split_and_merged_by_hand() -> None:
    halves, words = [box(0, 0, 49, 9), box(50, 0, 99, 9)], [box(0, 0, 44, 9), box(55, 0, 99, 9)]
    split = evaluate_one(halves, [box(0, 0, 99, 9)], protocol="icdar2013")
    assert (split.recall, split.precision) == pytest.approx((0.8, 0.8))
    merged = evaluate_one([box(0, 0, 99, 9)], words, protocol="icdar2013")
    assert (merged.recall, merged.precision) == (1, 1)
    assert merged.per_image[0]["pairs"] == [(0, 0), (1, 0)]
    # Three quarters of a truth, in pieces, are too little; so is a third of a detection.
    assert evaluate_one([halves[0], box(50, 0, 74, 9)], [box(0, 0, 99, 9)], protocol="icdar2013").hmean == 0
    assert evaluate_one([box(0, 0, 299, 9)], words, protocol="icdar2013").hmean == 0


def test_icdar2013_what_overlaps_more_than_one_is_no_one_to_one() -> None:
    word = box(0, 0, 99, 9)
    # Two that are good each, or a good one and a small one, are two pieces.
    for second in (box(0, 0, 89, 9), box(0, 0, 9, 9)):
        twice = evaluate_one([word, second], [word], protocol="icdar2013")
        assert (twice.recall, twice.precision) == pytest.approx((0.8, 0.8))
    # Of what lies by a quarter on the word the good one is the only piece; it counts fully.
    beside = evaluate_one([word, box(95, 0, 114, 9)], [word], protocol="icdar2013")
    assert (beside.recall, beside.precision) == (1, 0.5)
    # And so does a detection that reaches into another word.
    beside = evaluate_one([word], [box(0, 0, 89, 9), box(95, 0, 114, 9)], protocol="icdar2013")
    assert (beside.recall, beside.precision) == (0.5, 1)


def test_icdar2013_compares_upright_rectangles() -> None:
    diamond = [[50, 0], [100, 50], [50, 100], [0, 50]]
    assert evaluate_one([diamond], [box(0, 0, 100, 100)], protocol="icdar2013").hmean == 1
    assert evaluate_one([diamond], [box(0, 0, 100, 100)]).hmean == 0


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


@settings(max_examples=60, deadline=None)
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


def test_what_crosses_itself_is_dropped_or_repaired() -> None:
    assert evaluate_one([FIGURE_EIGHT], [FIGURE_EIGHT]).per_image[0]["num_truths"] == 0
    repaired = evaluate_one([FIGURE_EIGHT], [FIGURE_EIGHT], protocol="pascal")
    assert repaired.hmean == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("polygon", [[], [[1, 1]], [[1, 1], [5, 5]], [[0, 0], [np.nan, 3], [4, 4]]])
def test_what_is_no_polygon_does_not_count(polygon: Any, protocol: str) -> None:
    good = box(0, 0, 10, 10)
    scores = evaluate_one([polygon, good], [good, polygon], protocol=protocol)
    assert (scores.precision, scores.recall, scores.hmean) == (1, 1, 1)
    assert scores.per_image[0]["ignored_detections"] == [0]
    assert scores.per_image[0]["ignored_truths"] == [1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_polygons_without_area_match_nothing(protocol: str) -> None:
    line = [[0, 0], [5, 5], [10, 10]]
    assert evaluate_one([line, box(0, 0, 10, 10)], [line, line], [False, True], protocol).hmean == 0


def test_arrays_of_any_type_are_taken() -> None:
    quads = np.array([box(0, 0, 10, 10), box(20, 0, 30, 10)], np.int16)
    scores = evaluate_detections([quads, []], [quads.astype(np.float32), []], [np.array([True, False]), []])
    assert (scores.precision, scores.recall) == (1, 1)
    assert scores.per_image[0]["num_truths"] == 1


def test_empty_pictures() -> None:
    for protocol in PROTOCOLS:
        nothing = evaluate_detections([], [], [], protocol=protocol)
        assert (nothing.precision, nothing.recall, nothing.hmean, nothing.per_image) == (0, 0, 0, [])
    assert evaluate_one([], []).per_image[0]["hmean"] == 1
    false_alarm = evaluate_one([box(0, 0, 9, 9)], [])
    assert (false_alarm.per_image[0]["precision"], false_alarm.per_image[0]["recall"]) == (0, 1)
    assert (false_alarm.precision, false_alarm.recall) == (0, 0)
    assert evaluate_one([], [box(0, 0, 9, 9)]).hmean == 0


@pytest.mark.parametrize(
    ("arguments", "protocol", "message"),
    [
        (([], [], []), "coco", r"`protocol` \(='coco'\) must be one of 'iou', 'deteval', 'pascal'"),
        (([[]], [], []), "iou", "must be of as many pictures, not 1, 0 and 0"),
        (([[]], [[]], [[True]]), "iou", "picture 0: `ignore` holds 1 flags for 0 truths"),
        (
            ([[], [[[1, 2, 3]] * 4]], [[], []], [[], []]),
            "iou",
            r"picture 1: a polygon must be of shape .* \[4, 3\]",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: Any, protocol: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_detections(*arguments, protocol=protocol)


corners = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 40), st.integers(1, 40))
boxes = st.lists(corners.map(lambda c: box(c[0], c[1], c[0] + c[2], c[1] + c[3])), max_size=6)


@settings(max_examples=60, deadline=None)
@given(boxes, boxes, st.sampled_from(sorted(PROTOCOLS)), st.randoms())
def test_scores_are_shares_and_pairs_are_sound(detections: Any, truths: Any, protocol: str, random: Any) -> None:
    ignore = [random.random() < 0.3 for _ in truths]
    scores = evaluate_one(detections, truths, ignore, protocol)
    assert 0 <= scores.hmean <= 1
    assert 0 <= scores.precision <= 1
    assert 0 <= scores.recall <= 1
    (picture,) = scores.per_image
    for truth, detection in picture["pairs"]:
        assert truth not in picture["ignored_truths"]
        assert detection not in picture["ignored_detections"]
    assert sum(picture["truth_credits"].values()) == pytest.approx(picture["recall_credit"])
    assert picture["truth_credits"].keys() == {truth for truth, _ in picture["pairs"]}
    if protocol not in ("deteval", "icdar2013"):
        for column in (0, 1):
            taken = [pair[column] for pair in picture["pairs"]]
            assert len(taken) == len(set(taken))


@given(boxes)
def test_the_truth_itself_is_fully_right_by_iou(truths: Any) -> None:
    unique = [polygon for index, polygon in enumerate(truths) if polygon not in truths[:index]]
    scores = evaluate_one(unique, unique)
    assert scores.per_image[0]["recall"] > 0
    if not unique:
        assert scores.per_image[0]["hmean"] == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6), max_size=8),
    st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6), max_size=8),
)
@pytest.mark.parametrize("outline", [valid_polygons, repaired_polygons, bounding_rectangles, min_area_rectangles])
def test_many_regions_at_once_are_those_of_each_alone(outline: Any, some: Any, others: Any) -> None:
    mine, theirs = outline(read_polygons(some)), outline(read_polygons(others))
    areas = mine.shared_with(theirs)
    assert areas.shape == (len(some), len(others))
    for row, polygon in enumerate(some):
        (shape,) = outline(read_polygons([polygon])).shapes
        assert (shape is not None) == mine.exist[row]
        if shape is None:
            assert not areas[row].any()
            continue
        assert mine.areas[row] == pytest.approx(shape.area)
        for column, other in enumerate(theirs.shapes):
            assert areas[row, column] == pytest.approx(0 if other is None else shape.intersection(other).area, abs=1e-9)
