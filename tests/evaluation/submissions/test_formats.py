"""Lines and entries of detections and truths: every format by hand, and what is wrong with the bad ones."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation.submissions.formats import parse_detections, parse_detections_json, parse_truth
from input_pipeline.datasets.parsing.annotations import text_lines
from input_pipeline.datasets.parsing.outline import TooManyInstances
from tests.helpers.problems import said
from tests.helpers.submissions import OTHER, WORD, quad

CURVED = "0,0,50,-5,100,0,100,20,50,15,0,20"


@pytest.mark.parametrize(
    ("line", "points", "score"),
    [
        (WORD, WORD, None),
        (f"{WORD},0.93", WORD, 0.93),
        (f"{WORD},1", WORD, 1.0),
        (f"{WORD},0.93,Text, and more", WORD, 0.93),
        (f"{WORD},Text", WORD, None),
        (f"{WORD},10%", WORD, None),
        (f"{WORD},0.93,10%", WORD, 0.93),
        ("0.5,0.5,10.5,0.5,10.5,10.5,0.5,10.25", "0.5,0.5,10.5,0.5,10.5,10.5,0.5,10.25", None),
        ("0,0,10,0,5,5,0.9", "0,0,10,0,5,5", 0.9),
        (f"{WORD},", WORD, None),
        (f" {WORD.replace(',', ', ')} ", WORD, None),
        ("0,0,10,0,10,10,5,20,0,10", "0,0,10,0,10,10,5,20,0,10", None),
        ("0,0,10,0,10,10,5,20,0,10,0.5", "0,0,10,0,10,10,5,20,0,10", 0.5),
        ("0,0,100,20", WORD, None),
        ("0,0,100,20,0.25", WORD, 0.25),
        ("-3.5,0,1e2,0,5,5", "-3.5,0,100,0,5,5", None),
    ],
)
def test_detection_lines(line: str, points: str, score: float | None) -> None:
    found = parse_detections(f"\ufeff{line}\r\n\r\n".encode(), "res_a.txt")
    assert said(found) == []
    np.testing.assert_array_equal(found.polygons[0], quad(points))
    assert found.scores == [score]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "0 numbers where points"),
        ("1,2,3", "3 numbers where points"),
        ("0,0,9,0,9,nine,0,9", "'nine' stands between numbers"),
        ("0,0,9,0,9,nan,0,9", "'nan' stands between numbers"),
        ("5,5,5,5,5,5,5,5", "the outline has no area"),
        ("0,0,1e9,0,9,9,0,9", "lies far outside of any picture"),
        (f"{WORD},1990", "9 numbers, and the last one (=1990) is no score in [0, 1]"),
        (f"{WORD},98.8,Text", "(=98.8) is no score in [0, 1]: scores in percent must be divided by 100"),
        ("10,10,30,10,30,20,10,2O", "7 numbers, and the last one (=10) is no score"),
        ("0.98,10,10,30,20", "5 numbers, and the last one (=20) is no score"),
        ("0.1,0.2,0.3,0.2,0.3,0.4,0.1,0.4,0.9", "all numbers lie between 0 and 1"),
    ],
)
def test_bad_detection_lines_are_named_and_the_others_kept(line: str, reason: str) -> None:
    found = parse_detections(f"{WORD}\n{line}\n{OTHER}\n".encode(), "res_a.txt")
    assert len(found.polygons) == len(found.scores) == 2
    (problem,) = said(found)
    assert problem.startswith("res_a.txt:2: ")
    assert reason in problem


def test_an_outline_that_is_no_valid_polygon_is_repaired_and_listed() -> None:
    found = parse_detections(b"0,0,10,10,10,0,0,8,0.5", "a.txt")
    assert found.scores == [0.5]
    assert shapely.Polygon(found.polygons[0]).is_valid
    assert "a.txt:1: the outline crosses itself; repaired" in said(found)[0]
    assert "'0,0,10,10,10,0,0,8,0.5'" in said(found)[0]


def test_more_instances_than_any_picture_has_are_refused() -> None:
    lines = f"{WORD}\n".encode() * 20_001
    for parse in (parse_detections, parse_truth):
        with pytest.raises(TooManyInstances, match=r"img_1\.txt: 20,001 text instances"):
            parse(lines, "gt_img_1.txt")
    entries = json.dumps({"pictures": {"a.jpg": {"detections": [None] * 20_001}}}).encode()
    with pytest.raises(TooManyInstances, match=r"a\.json: a\.jpg: 20,001 text instances"):
        parse_detections_json(entries, "a.json")


@pytest.mark.parametrize(
    ("file", "content", "points", "ignore"),
    [
        ("gt_img_1.txt", f"{WORD},text, more", WORD, False),
        ("gt_img_1.txt", f"{WORD},###", WORD, True),
        ("gt_img_1.txt", f"{WORD},1,200", WORD, False),  # a text
        ("gt_img_1.txt", f"{CURVED},text", CURVED, False),
        ("gt_img_1.txt", '0, 0, 100, 20, "Tiredness"', WORD, False),
        ("gt_img_1.txt", '0, 0, 100, 20, "###"', WORD, True),
        ("gt_img_1.txt", "0,0,100,20,1990", WORD, False),
        ("gt_img_1.txt", '0 0 100 20 "a, b"', WORD, False),
        ("gt_img_1.txt", '0 0 100 20 "###"', WORD, True),
        ("poly_gt_img1.txt", "x: [[0 100 100 0]], y: [[0 0 20 20]], ornt: [u'h'], transcriptions: [u'a']", WORD, False),
        ("img1.jpg.txt", f"{WORD},###", WORD, True),
        ("IMG_1.gt", "0 1 0 0 100 20 0.0", WORD, True),
    ],
)
def test_truth_lines(file: str, content: str, points: str, ignore: bool) -> None:
    truth = parse_truth(f"{content}\n".encode(), file)
    assert said(truth) == []
    np.testing.assert_allclose(truth.polygons[0], quad(points), atol=1e-4)
    assert truth.ignore == [ignore]


@pytest.mark.parametrize("line", ["0,0,9,0,9,nine,0,9,text", "1,2,3,text", "1,2,3,4,5,6,text", "###"])
def test_bad_truth_lines_are_named(line: str) -> None:
    truth = parse_truth(f"{WORD},a\n{line}\n".encode(), "gt_a.txt")
    assert len(truth.polygons) == 1
    assert said(truth)[0].startswith("gt_a.txt:2: ")


@settings(max_examples=150)
@given(st.binary(max_size=80) | st.text('0123456789.,-+en#\n\r "', max_size=80).map(str.encode))
def test_whatever_is_in_a_file_every_line_is_a_polygon_or_a_problem(data: bytes) -> None:
    found = parse_detections(data, "a.txt")
    lines, problems = text_lines(data, "a.txt")
    bad = {one.where for one in found.problems if "crosses" not in one.what and one not in problems}
    assert len(found.polygons) + len(bad) == len(lines)
    for file in ("gt_a.txt", "poly_gt_a.txt", "a.gt"):
        parse_truth(data, file)
    with pytest.raises(ValueError, match=r"a\.json"):
        parse_detections_json(data, "a.json")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"polygon": [[0, 0], [1, 1]]}, "2 points where at least 3"),
        ({"polygon": [[0, 0, 0]] * 4}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [10**400, 1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [None, 1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": quad(WORD).tolist(), "score": 2}, r"`score` (=2) must be in [0, 1]"),
        ({"polygon": quad(WORD).tolist(), "score": "high"}, "`score` (='high')"),
        ("nothing", "`polygon` must be"),
    ],
)
def test_bad_entries_of_a_json_file_are_named(entry: Any, reason: str) -> None:
    good = {"polygon": quad(WORD).tolist(), "score": 0.5}
    data = json.dumps({"pictures": {"a.jpg": {"detections": [entry, good]}, "b.jpg": []}}).encode()
    found = parse_detections_json(data, "d.json")
    assert found["a.jpg"].scores == [0.5]
    assert said(found["a.jpg"])[0].startswith("d.json: a.jpg: detection 0: ")
    assert reason in said(found["a.jpg"])[0]
    assert said(found["b.jpg"]) == ["d.json: b.jpg: has no list of detections"]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"pictures": []}', b"[" * 100_000, b'{"pictures": {}, "skipped": 3}'])
def test_a_json_file_of_another_form_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"d\.json: not "):
        parse_detections_json(data, "d.json")
