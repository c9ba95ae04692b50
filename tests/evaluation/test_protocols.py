"""The evaluation protocols: the benchmarks' own numbers, and cases counted by hand."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation import PROTOCOLS, evaluate_detections, protocols
from dbnet_jax.evaluation.regions import (
    bounding_rectangles,
    min_area_rectangles,
    read_polygons,
    repaired_polygons,
    valid_polygons,
)
from tests.helpers.paths import DATA
from tests.helpers.scored import box, evaluate_one

OFFICIAL = ("iou", "deteval", "pascal")  # of which there are the official scripts' outputs

FIGURE_EIGHT = [[0, 0], [10, 10], [10, 0], [0, 10]]


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


def test_what_crosses_itself_is_dropped_or_repaired() -> None:
    assert evaluate_one([FIGURE_EIGHT], [FIGURE_EIGHT]).per_image[0]["num_truths"] == 0
    repaired = evaluate_one([FIGURE_EIGHT], [FIGURE_EIGHT], protocol="pascal")
    assert repaired.hmean == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("broken", [[*box(0, 0, 90, 20)[:3], [95, 20], *box(0, 0, 90, 20)[2:]], box(0, 0, 90, 20) * 2])
def test_what_only_touches_itself_counts(broken: Any, protocol: str) -> None:
    good = box(0, 0, 90, 20)
    for pair in ((broken, good), (good, broken), (broken, broken)):
        assert evaluate_one([pair[0]], [pair[1]], protocol=protocol).hmean == 1


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


@pytest.mark.parametrize(
    ("protocol", "counts"), [("iou", 0), ("deteval", 1), ("pascal", 1), ("icdar2013", 1), ("td500", 0)]
)
@pytest.mark.parametrize("polygon", [[[1, 1], [2, 2], [1, 1]], [[1, 1], [5, 1], [9, 1], [5, 1]], [[3, 3]] * 4])
def test_whether_a_polygon_without_area_counts_is_the_protocols(protocol: str, counts: int, polygon) -> None:
    far = box(50, 50, 60, 60)
    found, missed = evaluate_one([polygon], [far], protocol=protocol), evaluate_one([far], [polygon], protocol=protocol)
    assert (found.per_image[0]["num_detections"], missed.per_image[0]["num_truths"]) == (counts, counts)
    assert found.hmean == missed.hmean == 0


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
        (([[], [[[1, 2, 3]] * 4]], [[], []], [[], []]), "iou", r"picture 1: a polygon must be of shape .* \[4, 3\]"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, protocol: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_detections(*arguments, protocol=protocol)


def test_more_pairs_than_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "MAX_PAIRS", 5)
    words = [box(0, 0, 9, 9)] * 3
    assert evaluate_one(words[:1], words).recall == 1 / 3
    with pytest.raises(ValueError, match="picture 0: 3 detections and 3 truths are too many to compare"):
        evaluate_one(words, words)


corners = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 40), st.integers(1, 40))
boxes = st.lists(corners.map(lambda c: box(c[0], c[1], c[0] + c[2], c[1] + c[3])), max_size=6)


@settings(max_examples=60)
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


@settings(max_examples=40)
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
