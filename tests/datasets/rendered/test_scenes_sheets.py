"""Tests of sheets of small print, and of things beside the text that are not text."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.rendered.scenes import dataset as scenes
from input_pipeline.datasets.rendered.scenes.clutter import _THINGS, paint_clutter
from input_pipeline.datasets.rendered.scenes.composition import compose
from input_pipeline.datasets.rendered.scenes.fonts import BUILTIN, Font
from input_pipeline.datasets.rendered.scenes.mood import pick_mood
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.sheet import pick_sheet_ink, set_sheet
from input_pipeline.datasets.rendered.scenes.surface import outline
from tests.helpers.scenes import SIZE, open_scenes


@pytest.fixture(scope="module")
def sheets():
    scripts = ["Latin", "Chinese", "Korean", "Cyrillic"]
    return [set_sheet(np.random.default_rng(seed), scripts[seed % 4], Font(), 20, 16, 40) for seed in range(12)]


def test_the_words_of_a_sheet_are_apart_and_hold_its_ink(sheets):
    for sheet in sheets:
        free = sheet.letters.copy()
        taken = np.zeros(sheet.letters.shape, int)
        for line in sheet.lines:
            assert "".join(line.words)
            for left, top, right, bottom in line.boxes:
                area = np.s_[round(top) : round(bottom), round(left) : round(right)]
                assert sheet.letters[area].max() > 100
                free[area] = 0
                # Without the margin, which the box of a neighbour may touch.
                taken[round(top) + 1 : round(bottom) - 1, round(left) + 1 : round(right) - 1] += 1
        assert free.max() < 64
        assert taken.max() == 1
        assert 5 <= len(sheet.lines) <= 4 * 16 + 1


def test_a_row_of_a_receipt_is_a_line_on_the_left_and_one_on_the_right(sheets):
    def beside(first, second):
        (_, top, right, bottom), (left, other_top, _, other_bottom) = first.box, second.box
        overlap = min(bottom, other_bottom) - max(top, other_top)
        return left - right > 20 and overlap > 0.5 * min(bottom - top, other_bottom - other_top)

    rows = [sum(beside(*pair) for pair in itertools.permutations(sheet.lines, 2)) for sheet in sheets]
    assert sum(count == 0 for count in rows) > 1  # pages of one column
    assert sum(count >= 5 for count in rows) > 3


def test_a_sheet_needs_room():
    assert set_sheet(np.random.default_rng(0), "Latin", Font(), 20, 4, 40) is None
    assert set_sheet(np.random.default_rng(0), "Latin", Font(), 20, 16, 11) is None


def test_a_sheet_has_a_plate_of_paper_or_of_a_screen():
    inks = [pick_sheet_ink(np.random.default_rng(seed)) for seed in range(40)]
    levels = np.array([ink.plate_color for ink in inks]).mean(1)
    assert min(ink.plate for ink in inks) > 0.5
    assert (levels < 60).any()
    assert ((levels < 60) | (levels > 175)).all()


def placed_on(seed, **forced):
    """A black scene's picture, its blocks and its occupied places."""
    rng, picture = np.random.default_rng(seed), np.zeros((*SIZE, 3), np.uint8)
    occupied = OccupancyMap(picture)
    mood = dataclasses.replace(pick_mood(rng, SIZE, BUILTIN), **forced)
    return rng, picture, list(compose(rng, SIZE, mood, occupied)), occupied


def test_the_lines_of_a_placed_sheet_lie_in_the_picture_and_apart():
    found = 0
    for seed in range(8):
        _, _, blocks, _ = placed_on(seed, sheet=True, large=0.0, size=9.0, count=0)
        for placed in blocks:
            polygons = [outline(placed.surface, line.box) for line in placed.block.lines]
            assert min(polygon.min() for polygon in polygons) >= 0
            assert (np.max([polygon.max(0) for polygon in polygons], 0) <= np.array(SIZE[::-1]) - 1).all()
            for one, two in itertools.combinations(polygons, 2):
                assert cv2.intersectConvexConvex(one, two)[0] <= 1
            found += len(polygons)
    assert found > 60


def test_clutter_stands_beside_all_text():
    changed = 0
    for seed in range(12):
        rng, picture, blocks, occupied = placed_on(seed, count=3)
        paint_clutter(rng, picture, occupied, 5)
        things = (picture > 0).any(-1)
        changed += things.any()
        for placed in blocks:
            for line in placed.block.lines:
                polygon = np.rint(outline(placed.surface, line.box)).astype(np.int32)
                assert not things[cv2.fillPoly(np.zeros(SIZE, np.uint8), [polygon], (1,)) > 0].any()
    assert changed > 8


@pytest.mark.parametrize("thing", dict.fromkeys(_THINGS), ids=lambda thing: thing.__name__)
def test_a_thing_stays_in_its_square(thing):
    drawings = [thing(np.random.default_rng(seed)) for seed in range(20)]
    for polygon, color in (part for drawing in drawings for part in drawing):
        assert np.abs(polygon).max() <= 1 + 1e-9
        assert all(0 <= level <= 255 for level in color)
    assert min(len(drawing) for drawing in drawings) >= 2


def test_clutter_gets_no_label(monkeypatch):
    def cluttered(*arguments):
        return dataclasses.replace(pick_mood(*arguments), clutter=6, sheet=False, count=0, large=0.0)

    monkeypatch.setattr(scenes, "pick_mood", cluttered)
    assert [open_scenes(4)[index].polygons for index in range(4)] == [[]] * 4
