"""Recall by size and shape, the sweep over the box threshold, and the errors of a picture, against counts by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation.breakdown import make_score_report, shape_of, size_of, sweep_threshold
from dbnet_jax.evaluation.errors import PictureErrors, find_errors, worst_first
from dbnet_jax.evaluation.protocols import PROTOCOLS, compare, evaluate_detections, score
from dbnet_jax.pages.scores import matches_of, score_sections
from tests.helpers.brightness import quad as box


def turned(width: float, height: float, degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return ((box(0, 0, width, height) - (width / 2, height / 2)) @ turn + 500).astype(np.float32)


def arc(degrees: float, height: float = 20, radius: float = 100) -> np.ndarray:
    """Text along a circle, seven points above and seven below."""
    angles = np.radians(np.linspace(-90 - degrees / 2, -90 + degrees / 2, 7))
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([circle * (radius + height), circle[::-1] * radius]).astype(np.float32)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(100, 15.5, "small"), (100, 16.5, "medium"), (31.5, 200, "medium"), (33, 40, "large"), (15, 15, "small")],
)
def test_size_is_that_of_the_shorter_side(width: float, height: float, size: str) -> None:
    for degrees in (0, 33, 90):
        assert size_of(turned(width, height, degrees)) == size


SHAPES = {
    "straight": [turned(100, 20, degrees) for degrees in (0, 9, -9, 189)]
    # An upright "a" is taller than long; four points have no curve.
    + [turned(20, 28, 0), arc(10), arc(120)[[0, 6, 7, 13]]],
    "oriented": [turned(100, 20, 11), turned(100, 20, 45), turned(100, 20, 90), turned(20, 31, 0), turned(20, 24, 20)],
    "curved": [arc(120), arc(120)[:, ::-1]],
}


@pytest.mark.parametrize(("polygon", "shape"), [(one, shape) for shape, several in SHAPES.items() for one in several])
def test_shape(polygon: np.ndarray, shape: str) -> None:
    assert shape_of(polygon) == shape


TRUTHS = [[box(0, 0, 100, 10), box(0, 50, 100, 70), arc(120) + 300], [turned(200, 40, 30), box(0, 0, 60, 10)]]
IGNORE = [[False, False, True], [False, False]]


def test_recall_by_size_and_shape_counts_the_truths_that_count() -> None:
    detections = [[TRUTHS[0][0], TRUTHS[0][2]], [TRUTHS[1][0]]]
    report = make_score_report(detections, None, TRUTHS, IGNORE)
    assert report.by_size == {
        "small": {"recall": 0.5, "truths": 2},
        "medium": {"recall": 0.0, "truths": 1},
        "large": {"recall": 1.0, "truths": 1},
    }
    assert report.by_shape == {
        "straight": {"recall": pytest.approx(1 / 3), "truths": 3},
        "oriented": {"recall": 1.0, "truths": 1},
        "curved": {"recall": None, "truths": 0},
    }
    assert report.scores == evaluate_detections(detections, TRUTHS, IGNORE)
    assert (report.sweep, report.best_box_threshold) == ([], None)


def test_part_credit_is_part_of_a_recall() -> None:
    halves = [[box(0, 0, 50, 10), box(50, 0, 100, 10)]]
    report = make_score_report(halves, None, [TRUTHS[0][:1]], [[False]], protocol="deteval")
    assert report.by_size["small"]["recall"] == pytest.approx(0.8)
    words = [[box(0, 0, 45, 10), box(55, 0, 100, 10)]]
    report = make_score_report([[box(0, 0, 100, 10)]], None, words, [[False, False]], protocol="deteval")
    assert report.by_size["small"] == {"recall": pytest.approx(0.8), "truths": 2}


def test_the_sweep_by_hand() -> None:
    right, wrong = box(0, 0, 100, 10), box(0, 200, 100, 210)
    truths = [[right, box(0, 100, 100, 110)]]
    detections, confidences = [[right, wrong, truths[0][1]]], [np.array([0.93, 0.72, 0.7], np.float32)]
    report = make_score_report(detections, confidences, truths, [[False, False]], box_threshold=0.7)
    points = {point["threshold"]: point for point in report.sweep}
    assert list(points) == [0.7, *(round(0.71 + step / 100, 2) for step in range(23))]
    assert points[0.7] == {"threshold": 0.7, "precision": pytest.approx(2 / 3), "recall": 1.0, "hmean": 0.8}
    assert points[0.72] == {"threshold": 0.72, "precision": 0.5, "recall": 0.5, "hmean": 0.5}
    assert points[0.73] == {"threshold": 0.73, "precision": 1.0, "recall": 0.5, "hmean": pytest.approx(2 / 3)}
    assert points[0.93] == points[0.73] | {"threshold": 0.93}
    assert report.best_box_threshold == 0.7
    # Without the second right one the false one is better left out; of equals the lowest threshold is the best.
    report = make_score_report([detections[0][:2]], [confidences[0][:2]], truths, [[False, False]], box_threshold=0.7)
    assert report.best_box_threshold == 0.73
    assert json.loads(json.dumps(report.summary())) == report.summary()


def test_the_sweep_begins_at_the_lowest_score_unless_told() -> None:
    found = [[box(0, 0, 9, 9), box(20, 0, 29, 9)], []]
    confidences = [np.array([0.615, 0.64]), np.zeros(0)]
    report = make_score_report(found, confidences, [[box(0, 0, 9, 9)], []], [[False], []])
    assert [point["threshold"] for point in report.sweep] == [0.615, 0.62, 0.63, 0.64]
    assert make_score_report([[]], [np.zeros(0)], [[]], [[]]).sweep == []


boxes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40), st.integers(0, 20)),
    max_size=7,
)


@settings(max_examples=15)
@given(st.lists(st.tuples(boxes, boxes), max_size=3), st.sampled_from(sorted(PROTOCOLS)))
def test_a_point_of_the_sweep_is_the_score_of_what_is_above(pictures: Any, protocol: str) -> None:
    found, truths = (
        [[box(x, y, x + w, y + h) for x, y, w, h, _ in picture[side]] for picture in pictures] for side in (0, 1)
    )
    confidences = [np.array([0.8 + row[4] / 100 for row in picture[0]]) for picture in pictures]
    ignore = [[row[4] > 15 for row in picture[1]] for picture in pictures]
    comparisons = compare(found, truths, ignore, protocol=protocol)
    for point in sweep_threshold(comparisons, confidences, protocol, 0.8):
        kept = [
            [polygon for polygon, confidence in zip(*picture, strict=True) if confidence >= point["threshold"]]
            for picture in zip(found, confidences, strict=True)
        ]
        scores = evaluate_detections(kept, truths, ignore, protocol=protocol)
        assert [point[key] for key in ("precision", "recall", "hmean")] == pytest.approx(
            [scores.precision, scores.recall, scores.hmean]
        )


@pytest.mark.parametrize("bad", [[np.array([0.5])], [np.array([0.5, 1.1])], [np.array([0.5, np.nan])]])
def test_bad_confidences_are_named(bad: Any) -> None:
    with pytest.raises(ValueError, match="`confidences` of picture 0 must be one score"):
        make_score_report([[box(0, 0, 9, 9)] * 2], bad, [[]], [[]])


def errors_of(detections: Any, truths: Any, ignore: Any = None, protocol: str = "iou") -> PictureErrors:
    (comparison,) = compare([detections], [truths], [ignore or [False] * len(truths)], protocol=protocol)
    return find_errors(comparison, score([comparison], protocol=protocol).per_image[0])


@pytest.mark.parametrize("protocol", ["iou", "deteval"])
def test_errors_of_every_kind(protocol: str) -> None:
    truths = [
        box(0, 0, 100, 10),  # found
        box(0, 20, 100, 30),  # missed
        box(0, 40, 100, 50),  # split
        box(0, 60, 45, 70),  # merged with the next
        box(55, 60, 100, 70),
        box(0, 80, 100, 90),  # a don't-care
    ]
    detections = [
        box(0, 0, 100, 10),
        box(50, 40, 100, 50),
        box(0, 60, 100, 70),
        box(0, 40, 50, 50),
        box(200, 0, 220, 10),  # false
        box(0, 80, 40, 90),  # on the don't-care
    ]
    found = errors_of(detections, truths, [False] * 5 + [True], protocol)
    assert found == PictureErrors([1], {2: [1, 3]}, {2: [3, 4]}, [4])
    assert found.count == 5


def test_one_piece_alone_is_no_split_and_a_word_half_covered_no_merge() -> None:
    assert errors_of([box(0, 0, 40, 10)], [box(0, 0, 100, 10)]) == PictureErrors([0], {}, {}, [0])
    words = [box(0, 0, 45, 10), box(55, 0, 100, 10)]
    assert errors_of([box(0, 0, 70, 10)], words).merged == {}
    # A detection that is right already is a piece of nothing.
    assert errors_of([box(0, 0, 60, 10), box(60, 0, 100, 10)], words[:1] + [box(0, 0, 100, 10)]).split == {}


def test_pieces_belong_to_the_first_of_two_truths_that_overlap() -> None:
    pieces = [box(0, 0, 20, 10), box(70, 0, 90, 10)]
    assert errors_of(pieces, [box(0, 0, 100, 10), box(0, 0, 95, 10)]) == PictureErrors([1], {0: [0, 1]}, {}, [])


@settings(max_examples=40)
@given(boxes, boxes, st.sampled_from(sorted(PROTOCOLS)))
def test_everything_that_counts_is_right_or_an_error_of_one_kind(found: Any, truths: Any, protocol: str) -> None:
    detections, outlines = ([box(x, y, x + w, y + h) for x, y, w, h, _ in rows] for rows in (found, truths))
    ignore = [row[4] > 15 for row in truths]
    comparisons = compare([detections], [outlines], [ignore], protocol=protocol)
    entry = score(comparisons, protocol=protocol).per_image[0]
    errors = find_errors(comparisons[0], entry)
    pieces = [piece for several in errors.split.values() for piece in several]
    assert (
        sorted({d for _, d in entry["pairs"]} | {*pieces, *errors.merged, *errors.false})
        == np.flatnonzero(comparisons[0].detections).tolist()
    )
    merged = [truth for several in errors.merged.values() for truth in several]
    assert (
        sorted({t for t, _ in entry["pairs"]} | {*merged, *errors.split, *errors.missed})
        == np.flatnonzero(comparisons[0].truths).tolist()
    )
    assert not set(errors.false) & {*pieces, *errors.merged}
    assert not set(errors.missed) & {*merged, *errors.split}
    assert all(len(several) > 1 for several in (*errors.split.values(), *errors.merged.values()))


def test_worst_first() -> None:
    none, one, three = (PictureErrors(list(range(count)), {}, {}, []) for count in (0, 1, 3))
    assert worst_first([one, none, three, one]) == [2, 0, 3, 1]


def test_the_page_has_the_tables_and_the_curve() -> None:
    right, wrong = box(0, 0, 100, 10), box(0, 200, 100, 210)
    report = make_score_report([[right, wrong]], [np.array([0.9, 0.7])], [[right]], [[False]], box_threshold=0.6)
    html = score_sections(report)
    assert "<th>small, under 16 px</th><td>1.000</td><td>1</td>" in html
    assert "<th>large, 32 and more px</th><td>–</td><td>0</td>" in html
    assert "best hmean 1.000 at box threshold 0.71; box thresholds from 0.6 upward" in html
    # Precision ½ at recall 1, then 1 at recall 1: from the middle of the right edge to its upper end.
    assert 'd="M306.0 115.0L' in html
    assert 'L306.0 34.0"' in html
    assert '<circle cx="306.0" cy="34.0"' in html
    without = score_sections(make_score_report([[right]], None, [[right]], [[False]]))
    assert "<svg" not in without
    assert without.count("<table>") == 2


def test_a_card_is_told_all_of_a_picture() -> None:
    halves, word = [box(0, 0, 50, 10), box(50, 0, 100, 10)], box(0, 0, 100, 10)
    report = make_score_report([[word], halves], None, [[word], [word]], [[False], [False]])
    assert matches_of(report, 0)["matched_truths"] == matches_of(report, 0)["matched_detections"] == [0]
    assert matches_of(report, 1)["split"] == {0: [0, 1]}
    assert matches_of(report, 1)["hmean"] == 0
