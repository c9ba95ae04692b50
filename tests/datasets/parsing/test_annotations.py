"""Annotation lines, good and bad: each becomes an instance or a problem that names its file and line."""

import math

import numpy as np
import pytest

from dbnet_jax.geometry import polygon_area
from input_pipeline.datasets.benchmarks.icdar2015 import Icdar2015
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.total_text import TotalText
from input_pipeline.datasets.parsing.annotations import make_sample
from input_pipeline.datasets.parsing.outline import TooManyInstances
from tests.helpers.benchmark_labels import SQUARE, WORD
from tests.helpers.problems import said


def test_icdar2015_lines():
    data = (
        "\ufeff10,10,30,10,30,20,10,20,Genaxis Theatre\r\n"
        "\ufeff 10, 10, 30, 10, 30, 20, 10, 20,a, b,3\r\n"
        "10,10,30,10,30,20,10,20,###\n"
        "\n"
        "-3.5,10,30,1e1,30,20,10,+20,\n"
        "10,10,30,10,30,20,10,20,no\u2028 \u0085break\r"
        "10,10,30,10,30,20,10,20"
    )
    annotation = Icdar2015.parse(data.encode(), "gt_img_1.txt")
    # Its last number may be cut off.
    assert said(annotation) == [f"gt_img_1.txt:7: there is no transcription; kept as it is: {WORD!r}"]
    assert annotation.texts == ["Genaxis Theatre", "a, b,3", "###", "", "no\u2028 \u0085break", ""]
    assert annotation.ignore == [False, False, True, False, False, False]
    np.testing.assert_array_equal(annotation.polygons[0], SQUARE)
    assert annotation.polygons[3][0].tolist() == [-3.5, 10]


BAD_LINES = {
    Icdar2015: [
        ("10,10,30,10,30,20,10", "7 numbers where 8 are needed"),
        ("10,10,30,10,30,20,10,word", "7 numbers where 8 are needed"),
        ("word", "0 numbers where 8 are needed"),
        ("10 10 30 10 30 20 10 20 a", "commas are expected between the numbers, x1,y1,x2,y2,…, which are pixels"),
        ("10,10,30,nan,30,20,10,20,a", "'nan' is not a finite number"),
        ("10,10,30,-inf,30,20,10,20,a", "'-inf' is not a finite number"),
        ("10,10,30,1e999,30,20,10,20,a", "'1e999' is not a finite number"),
        ("10,10,30,1e30,30,20,10,20,a", "a coordinate of 1e+30 lies far outside of any picture"),
        ("10,10,30,1_0,30,20,10,20,a", "3 numbers where 8 are needed"),
        ("10,10,30,١٠,30,20,10,20,a", "3 numbers where 8 are needed"),
        ("10,10,20,20,30,30,40,40,a", "the outline has no area"),
        ("5,5,5,5,5,5,5,5,a", "the outline has no area"),
    ],
    MsraTd500: [
        ("0 0 30 25 40 10", "6 numbers where 7 are needed"),
        ("0 0 30 25 40 10 0 7", "8 fields where 7 are needed"),
        ("0 2 30 25 40 10 0", "difficult (=2) must be 0 or 1"),
        ("0 0 30 25 0 10 0", "width (=0) and height (=10) must be positive"),
        ("0 0 30 25 40 -1 0", "width (=40) and height (=-1) must be positive"),
        ("0 0 30 25 40 10 nan", "'nan' is not a finite number"),
    ],
    TotalText: [
        ("534,294,###", "1 points where at least 3 are needed"),
        ("###", "0 points where at least 3 are needed"),
        (WORD, "7 numbers before the transcription where pairs are needed"),
        ("10,10,30,10,30,20,10,SALE", "7 numbers before the transcription where pairs are needed"),
        ("10,10,30,10,30,20,1O,20,SALE", "the coordinates cannot be told from the transcription"),
        ("10,10,30,10,30,20,nan,20,SALE", "the coordinates cannot be told from the transcription"),
        ("10,10,30,10,30,20,10,inf,SALE", "the coordinates cannot be told from the transcription"),
        (f"{WORD},12,a", "9 numbers before the transcription where pairs are needed"),
    ],
}
GOOD = {Icdar2015: f"{WORD},a", MsraTd500: "0 0 1 1 5 5 0", TotalText: f"{WORD},a"}


@pytest.mark.parametrize(
    ("reader", "line", "reason"), [(reader, *case) for reader, cases in BAD_LINES.items() for case in cases]
)
def test_a_bad_line_is_named_and_the_others_are_kept(reader, line, reason):
    annotation = reader.parse(f"{GOOD[reader]}\n\n{line}\n{GOOD[reader]}".encode(), "gt.txt")
    assert annotation.texts == [reader.parse(GOOD[reader].encode(), "gt.txt").texts[0]] * 2
    assert said(annotation) == [f"gt.txt:3: {reason}: {line!r}"]


def test_a_long_bad_line_is_shortened():
    (problem,) = said(Icdar2015.parse(b"1,2," + b"x" * 10_000 + f"\n{WORD},a".encode(), "gt.txt"))
    assert problem.startswith("gt.txt:1: 2 numbers where 8 are needed: '1,2,xxx")
    assert len(problem) < 120


def test_other_encodings_lose_no_outline():
    annotation = Icdar2015.parse(f"{WORD},caf\u00e9\n{WORD},b".encode("latin-1"), "gt.txt")
    assert annotation.texts == ["caf\u00e9", "b"]
    (problem,) = said(annotation)
    assert problem.startswith("gt.txt: not UTF-8 (byte 27)")


TILE = [(0, 0), (40, 0), (40, 40), (0, 40)]
SPIKE = [*TILE[:3], (90, 40), *TILE[2:]]
FIGURE_EIGHT = [(0, 0), (20, 10), (20, 0), (0, 12)]


@pytest.mark.parametrize(
    ("outline", "fault", "area"),
    [(SPIKE, "touches", 1600), (TILE * 2, "touches", 1600), (FIGURE_EIGHT, "crosses", 111)],
)
def test_an_outline_that_is_no_valid_polygon_is_repaired_and_listed(outline, fault, area):
    line = ",".join(f"{x},{y}" for x, y in outline)
    annotation = TotalText.parse(f"{line},word\n{WORD},b".encode(), "gt.txt")
    assert (annotation.ignore, annotation.texts, annotation.repaired) == ([False, False], ["word", "b"], [0])
    assert polygon_area(annotation.polygons[0]) == pytest.approx(area, rel=0.01)
    (problem,) = said(annotation)
    assert problem.startswith(f"gt.txt:1: the outline {fault} itself; repaired")


def test_a_file_of_more_instances_than_any_picture_has_is_refused():
    data = f"{WORD},a\n".encode() * 20_001
    with pytest.raises(TooManyInstances, match=r"gt.txt: 20,001 text instances, and a picture has at most 20,000"):
        Icdar2015.parse(data, "gt.txt")


def test_msra_td500_rotation():
    # A box of 40×10 about (50, 30), turned a quarter clockwise, as y points down: top left goes to top right.
    turned = MsraTd500.parse(f"0 0 30 25 40 10 {math.pi / 2}".encode(), "a.gt").polygons[0]
    np.testing.assert_allclose(turned, [[55, 10], [55, 50], [45, 50], [45, 10]], atol=1e-5)
    plain, tilted = MsraTd500.parse(b"0 0 30 25 40 10 0\r\n1 1 30 25 40 10 0.1", "a.gt").polygons
    np.testing.assert_array_equal(plain, [[30, 25], [70, 25], [70, 35], [30, 35]])
    top = tilted[1] - tilted[0]
    assert math.atan2(top[1], top[0]) == pytest.approx(0.1, abs=1e-6)
    np.testing.assert_allclose(tilted.mean(axis=0), [50, 30], atol=1e-5)


def test_total_text_lines():
    data = f"{WORD},SALE\n0,0,9,0,9,9,###\n{WORD},2016\n{WORD},Tea, Coffee\n0,0,5,1,9,0,9,9,5,8,0,9,a\n{WORD},"
    annotation = TotalText.parse(data.encode(), "img1.jpg.txt")
    assert said(annotation) == []
    assert annotation.texts == ["SALE", "###", "2016", "Tea, Coffee", "a", ""]
    assert annotation.ignore == [False, True, False, False, False, False]
    assert [len(polygon) for polygon in annotation.polygons] == [4, 3, 4, 4, 6, 4]


RECORDS = (
    "x: [[206 251 386 542]], y: [[ 633  811  931  946]], ornt: [u'c'], transcriptions: [u'PETROSAINS']",
    "x: [[ 10  30  30\n  10]], y: [[ 1  1 9\n 9]], ornt: [u'h'], transcriptions: [u\"Joe's\"]",
    "x: [[10 30 30 10]], y: [[1 1 9 9]], ornt: [u'#'], transcriptions: [u'#']",
    "x: [[10 30 30 10]], y: [[1 1 9 9]], ornt: [], transcriptions: [u'5] [x: [[, \\u2019']",
)


def test_total_text_records():
    annotation = TotalText.parse("\r\n".join(RECORDS).encode(), "poly_gt_img1.txt")
    assert said(annotation) == []
    assert annotation.texts == ["PETROSAINS", "Joe's", "#", "5] [x: [[, \u2019"]
    assert annotation.ignore == [False, False, True, False]
    np.testing.assert_array_equal(annotation.polygons[1], [[10, 1], [30, 1], [30, 9], [10, 9]])


def test_total_text_bad_records_take_no_neighbour_along():
    bad = (
        "x: [[10 30]], y: [[1 1]], ornt: [u'h'], transcriptions: [u'a']",
        "x: [[10 30 30]], y: [[1 1]], ornt: [u'h'], transcriptions: [u'a']",
        "x: [[10 30 3O]], y: [[1 1 9]], ornt: [u'h'], transcriptions: [u'a']",
        "x: [[10 30 30]], y: [[1 1 9]], ornt: [u'h'",
        "something else",
    )
    lines = [line for pair in zip([RECORDS[0]] * len(bad), bad, strict=True) for line in pair]
    annotation = TotalText.parse("\n".join(lines).encode(), "poly_gt_img1.txt")
    assert annotation.texts == ["PETROSAINS"] * len(bad)
    assert [problem.split(": ")[:2] for problem in said(annotation)] == [
        ["poly_gt_img1.txt:2", "2 points where at least 3 are needed"],
        ["poly_gt_img1.txt:4", "3 x coordinates and 2 y coordinates"],
        ["poly_gt_img1.txt:6", "2 numbers where 3 are needed"],
        ["poly_gt_img1.txt:8", "not of the form x"],
        ["poly_gt_img1.txt:10", "not of the form x"],
    ]


def test_outlines_outside_of_the_picture_are_named():
    image = np.zeros((20, 40, 3), np.uint8)
    lines = [
        "0,0,9,0,9,9,0,9,in",
        "30,10,50,10,50,30,30,30,across",
        "40,0,50,0,50,9,40,9,right",
        "0,-9,9,-9,9,-1,0,-1,up",
    ]
    sample = make_sample("img_1.jpg", image, Icdar2015.parse("\n".join(lines).encode(), "gt_img_1.txt"))
    assert sample.texts == ["in", "across"]
    # What reaches in stays whole: cutting it is the labels' affair.
    assert sample.polygons[1].max() == 50
    assert [problem.split(", which")[0] for problem in said(sample)] == [
        "img_1.jpg: the outline from (40, 0) lies outside of the picture",
        "img_1.jpg: the outline from (0, -9) lies outside of the picture",
    ]
