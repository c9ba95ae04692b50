"""The evaluation protocols: the benchmarks' own numbers, and cases counted by hand."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation import PROTOCOLS, evaluate_detections

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


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_equals_the_official_scores(protocol: str) -> None:
    assert_equals_official(DATA, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
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
    on, half_on = box(21, 1, 29, 9), box(25, 0, 35, 10)
    scores = evaluate_one([box(0, 0, 10, 10), on, half_on], truths, [False, True], protocol)
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
    if protocol != "deteval":
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
