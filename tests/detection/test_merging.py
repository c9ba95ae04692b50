"""Polygons of several looks at a picture: one set, in which no text is found twice."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.detection.merging import FoundAt, merge_looks
from dbnet_jax.postprocess import Detections
from tests.helpers.brightness import assert_same, quad

HEIGHT = 24.0


def look(scale: float, *polygons: np.ndarray, score: float = 0.5, **fields: object) -> FoundAt:
    """A look that found these polygons."""
    return FoundAt(Detections(list(polygons), np.full(len(polygons), score, np.float32), **fields), scale)


def row(top: float, *spans: tuple[float, float], height: float = 24) -> list[np.ndarray]:
    """Words from left to right in one row."""
    return [quad(left, top, right, top + height) for left, right in spans]


def turned(polygons: list[np.ndarray]) -> list[np.ndarray]:
    """The polygons a quarter turned."""
    return [polygon[:, ::-1] * np.float32([-1, 1]) + np.float32([400, 0]) for polygon in polygons]


def arc(start: float, end: float, height: float = 24) -> np.ndarray:
    """A part of a word on a circle, between two angles in degrees."""
    angles = np.radians(np.linspace(start, end, 20))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([ring * (100 + height / 2), ring[::-1] * (100 - height / 2)]).astype(np.float32) + 200


LINE, WORDS = row(10, (10, 310)), row(10, (10, 90), (100, 200), (210, 310))
PAGE = [word for top in range(10, 210, 15) for word in row(top, (10, 90), (100, 200), (210, 310), height=12)]
NARROW = [word for top in range(10, 100, 15) for word in row(top, (10, 70), height=12)]


@pytest.mark.parametrize(
    ("small", "large", "kept"),
    [
        (LINE, WORDS, "small"),  # a line, and its pieces at a large size
        (turned(LINE), turned(WORDS), "small"),
        ([arc(180, 350)], [arc(180, 230), arc(235, 290), arc(295, 350)], "small"),
        (LINE, WORDS[:1], "small"),
        ([quad(8, 8, 312, 205)], PAGE, "large"),  # a page, and its blob at a small size
        ([quad(8, 8, 72, 100)], NARROW, "large"),
        (turned([quad(8, 8, 312, 205)]), turned(PAGE), "large"),
        ([quad(8, 8, 312, 205)], PAGE[:2], "small"),  # they cover too little of it
        (row(10, (10, 310), height=10), row(10, (10, 60), height=10), "large"),  # 7.5 pixels are too few
        (row(10, (10, 310), height=40), row(9, (12, 310), height=40), "small"),  # 30 pixels fit better than 80
        (row(10, (10, 310), height=15), row(9, (12, 310), height=15), "large"),
        (WORDS, row(11, (10, 88), (100, 180), (215, 305), height=20), "small"),
        (LINE, row(100, (10, 310)), "both"),
        (LINE, row(28, (10, 310)), "both"),  # a quarter is shared
        (LINE, [], "small"),
        ([], WORDS, "large"),
        ([], [], "both"),
    ],
)
def test_of_two_looks_each_text_is_kept_once(small, large, kept):
    found = merge_looks([look(0.75, *small, score=0.5), look(2.0, *large, score=0.75)], HEIGHT)
    expected = {"small": small, "large": large, "both": [*small, *large]}[kept]
    scores = np.repeat(
        np.float32([0.5, 0.75]), [0 if kept == "large" else len(small), 0 if kept == "small" else len(large)]
    )
    assert_same(found, Detections(expected, scores))


def test_pieces_of_the_smaller_look_do_not_displace_a_line_of_the_larger_one():
    assert_same(merge_looks([look(0.5, *WORDS), look(1.5, *LINE)], HEIGHT), look(1.5, *LINE).detections)


def test_rows_of_the_smaller_look_displace_their_blob_in_the_larger_one():
    rows = [*WORDS, *row(38, (10, 90), (100, 200), (210, 310))]
    assert_same(merge_looks([look(0.75, *rows), look(1.0, quad(8, 8, 312, 64))], HEIGHT), look(1.0, *rows).detections)


@pytest.mark.parametrize(
    ("height", "counts"), [(10, [2]), (20, [2]), (23, [1, 2]), (41, [1]), (45, [0, 1]), (59, [0, 1]), (90, [0])]
)
def test_a_look_counts_for_text_of_some_heights(height, counts):
    scales, word = (0.4, 0.75, 1.5), quad(10, 10, 400, 10 + height)
    for place, scale in enumerate(scales):
        found = merge_looks([look(one, *[word] * (one == scale)) for one in scales], HEIGHT)
        assert len(found.polygons) == (place in counts)


@settings(max_examples=60)
@given(st.lists(st.floats(0.05, 8), min_size=1, max_size=4, unique=True), st.floats(2, 300))
def test_text_that_all_looks_find_is_found_once_whatever_its_height(scales, height):
    word = quad(0, 0, 400, height)
    assert len(merge_looks([look(scale, word) for scale in scales], HEIGHT).polygons) == 1


def test_each_text_is_taken_from_the_look_that_fits_its_height():
    heights = (10, 24, 60)
    texts = [quad(10, 100 * place, 200, 100 * place + height) for place, height in enumerate(heights)]
    looks = [look(scale, *texts, score=scale / 4) for scale in (0.4, 1.0, 2.4)]
    found = merge_looks(looks, HEIGHT)
    assert sorted(zip([polygon[0, 1] for polygon in found.polygons], found.scores.tolist(), strict=True)) == [
        (0, pytest.approx(0.6)),
        (100, 0.25),
        (200, pytest.approx(0.1)),
    ]


def test_one_look_stays_as_it_is():
    alone = look(1.0, *LINE, *WORDS, notes=("a note",)).detections
    assert merge_looks([FoundAt(alone, 1.0)], HEIGHT) is alone


def test_notes_are_listed_once_and_the_most_left_out_regions_are_counted():
    found = merge_looks(
        [
            look(0.5, *LINE, notes=("has 3 frames", "2 left out"), left_out=2),
            look(1.0, *LINE, notes=("has 3 frames", "5 left out"), left_out=5),
            look(1.5, *LINE, notes=("has 3 frames", "is long")),
        ],
        HEIGHT,
    )
    assert (found.notes, found.left_out) == (("has 3 frames", "is long", "5 left out"), 5)


BOX = st.builds(
    lambda left, top, width, height: quad(left, top, left + width, top + height),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 60),
    st.integers(1, 30),
)


@settings(max_examples=40)
@given(st.lists(st.lists(BOX, max_size=6), min_size=2, max_size=4))
def test_polygons_of_two_looks_never_share_more_than_half_of_the_smaller_one(looks):
    scales = np.linspace(0.4, 2, len(looks))
    scored = [look(scale, *polygons, score=scale) for scale, polygons in zip(scales, looks, strict=True)]
    found = merge_looks(scored, HEIGHT)
    shapes = [shapely.Polygon(polygon) for polygon in found.polygons]
    for (one, score), (two, other) in itertools.combinations(zip(shapes, found.scores.tolist(), strict=True), 2):
        if score != other:
            assert one.intersection(two).area <= min(one.area, two.area) / 2
