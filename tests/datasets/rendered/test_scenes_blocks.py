"""Tests of the blocks of a scene before they are photographed: where they lie, and that outlines hold their ink."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
import shapely
from shapely.geometry import Polygon

from input_pipeline.datasets.rendered.scenes import composition
from input_pipeline.datasets.rendered.scenes.composition import _bend, compose
from input_pipeline.datasets.rendered.scenes.fonts import BUILTIN, Font
from input_pipeline.datasets.rendered.scenes.ink import Ink
from input_pipeline.datasets.rendered.scenes.mood import pick_mood
from input_pipeline.datasets.rendered.scenes.painting import paint
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.surface import Arc, Plane, Wave, outline
from tests.helpers.scenes import SIZE, mean_height, open_scenes


@pytest.fixture(scope="module")
def blocks():
    """Scenes' blocks before they are painted."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        occupied = OccupancyMap(np.zeros((*SIZE, 3), np.uint8))
        found.append(list(compose(rng, SIZE, pick_mood(rng, SIZE, BUILTIN), occupied)))
    return found


def outlines(dataset, placed):
    return list(dataset._outlines(placed))


def test_every_kind_of_block_comes_up(blocks):
    every = [placed for found in blocks for placed in found]
    curves = {type(placed.surface.curve) for placed in every}
    assert curves == {type(None), Arc, Wave}
    assert any(len(placed.block.lines) > 3 for placed in every)
    assert any(len(placed.block.lines[0].words) > 3 for placed in every)
    assert any(placed.block.letters.shape[0] > 2.5 * placed.block.letters.shape[1] for placed in every)  # columns
    assert any(np.abs(placed.surface.matrix[2, :2]).max() > 1e-4 for placed in every)
    assert len({placed.script for placed in every}) > 4
    assert len({placed.ink.plate > 0 for placed in every}) == 2


def test_text_reads_from_the_first_vertex(blocks):
    dataset = open_scenes(1)
    for placed in (placed for found in blocks for placed in found):
        for line in placed.block.lines:
            for (left, top, right, _), (polygon, _) in zip(
                line.boxes, outlines(dataset, with_lines(placed, [line])), strict=True
            ):
                corners = placed.surface.place(np.array([[left, top], [right, top]]))
                np.testing.assert_allclose(polygon[[0, len(polygon) // 2 - 1]], corners, atol=0.01)


def with_lines(placed, lines):
    """A placed block with a few of its lines."""
    return dataclasses.replace(placed, block=dataclasses.replace(placed.block, lines=lines))


def test_ink_is_inside_its_polygon_and_fills_it(blocks):
    assert sum(check_ink(placed) for found in blocks[:20] for placed in found) > 80


def check_ink(placed):
    """Checks that all ink of a block is inside its outlines and near their edges; returns the number of outlines."""
    picture = np.full((*SIZE, 3), 128, np.uint8)
    paint(np.random.default_rng(0), picture, placed.block, placed.surface, Ink(contrast=110.0))
    ink = np.abs(picture[..., 1].astype(int) - 128)
    mask = np.zeros(SIZE, np.uint8)
    polygons = [polygon for polygon, _ in outlines(open_scenes(1), placed)]
    for polygon in polygons:
        one = cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.rint(polygon).astype(np.int32)], (1,))
        mask |= one
        high = np.linalg.norm(polygon[0] - polygon[-1])
        # Strong ink comes close to every edge of the outline.
        near_it = cv2.dilate(one, np.ones((3, 3), np.uint8)) > 0
        strong = np.argwhere((ink > 0.25 * ink.max()) & near_it)[:, ::-1]
        half = len(polygon) // 2
        for side in (polygon[:half], polygon[half - 1 : half + 1], polygon[half:], polygon[[-1, 0]]):
            near = min(abs(cv2.pointPolygonTest(thin(side), tuple(map(float, dot)), True)) for dot in strong)
            assert near <= 0.12 * high + 2
    inside = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
    assert ink[inside].sum() >= 0.985 * ink.sum()
    return len(polygons)


def thin(side):
    """An open line as a contour, which goes back the way it came."""
    return np.concatenate([side, side[-2:0:-1]]).astype(np.float32)


def test_lines_are_the_union_of_their_words(blocks):
    by_word, by_line = open_scenes(1), open_scenes(1, granularity="line")
    for placed in (placed for found in blocks for placed in found):
        lines = outlines(by_line, placed)
        assert [text for _, text in lines] == [" ".join(line.words) for line in placed.block.lines]
        for line, (polygon, _) in zip(placed.block.lines, lines, strict=True):
            # Its edges lie up to 6 % of its height from the true ones.
            whole = Polygon(polygon).buffer(0.07 * mean_height(polygon) + 0.5)
            for word, _ in outlines(by_word, with_lines(placed, [line])):
                assert whole.contains(Polygon(word))
            if len(line.words) == 1:
                np.testing.assert_array_equal(polygon, word)


@pytest.mark.parametrize("aspect", [2, 6, 15, 40])
def test_outlines_can_follow_every_bend(aspect):
    height, width = 50, 50 * aspect
    x = np.linspace(0, width, 200)
    for seed in range(12):
        curve = _bend(np.random.default_rng(seed), height, width)
        surface = Plane((width / 2, height / 2), curve, np.eye(3))
        polygon = outline(surface, (0.0, 0.0, float(width), float(height)))
        for y in (0.0, height):
            edge = surface.place(np.stack([x, np.full_like(x, y)], -1)).astype(np.float32)
            away = [abs(cv2.pointPolygonTest(polygon, tuple(map(float, point)), True)) for point in edge]
            assert max(away) < 0.09 * height


@pytest.mark.parametrize("stroke", [0.02, 0.08])
def test_the_boxes_of_hollow_letters_hold_their_strokes_and_do_not_meet(stroke, monkeypatch):
    ink = Ink(contrast=110.0, stroke=stroke, hollow=True)
    monkeypatch.setattr(composition, "_pick_ink", lambda rng, mood: ink)
    band = np.array([[20, 60], [300, 50]], np.float32)
    every = [placed for seed in range(6) for placed in composed(seed, size=30.0)]
    for high in (8, 40, 90):
        lower = band + np.float32([0, high])
        every.append(composition._fill(np.random.default_rng(0), band, lower, "word", Font(), ink))
    strict = 0
    for placed in every:
        polygons = [polygon for polygon, _ in outlines(open_scenes(1), placed)]
        for polygon in polygons:
            assert (polygon >= 0).all()
            assert (polygon <= np.array(SIZE[::-1]) - 1).all()
        for one, two in itertools.combinations(map(Polygon, polygons), 2):
            assert one.intersection(two).area <= 1
        if len(polygons) > 1 or len(polygons[0]) > 4:
            continue
        inked = paint(np.random.default_rng(0), np.zeros((*SIZE, 3), np.uint8), placed.block, placed.surface, ink)
        rows, columns = np.nonzero(inked.letters > 64)
        seen = shapely.contains_xy(Polygon(polygons[0]).buffer(0.8), columns + inked.first[0], rows + inked.first[1])
        assert seen.all()
        strict += 1
    assert strict > 5


def test_plates_cover_no_other_block():
    for seed in range(15):
        rng = np.random.default_rng(seed)
        occupied = OccupancyMap(np.zeros((*SIZE, 3), np.uint8))
        mood = dataclasses.replace(pick_mood(rng, SIZE, BUILTIN), count=10)
        before = np.zeros(SIZE, np.uint8)
        for placed in compose(rng, SIZE, mood, occupied):
            picture = np.zeros((*SIZE, 3), np.uint8)
            ink = dataclasses.replace(placed.ink, shadow=(0.0, 0.0), stroke=0.0)
            paint(rng, picture, placed.block, placed.surface, ink)
            # Black of a plate and of letters hides here; the colours are random, and most are not.
            after = picture.max(-1) > 0
            assert not (after & (before > 0)).any()
            before |= after.astype(np.uint8)


def composed(seed, **forced):
    """The blocks of a scene whose mood has these fields."""
    rng = np.random.default_rng(seed)
    occupied = OccupancyMap(np.zeros((*SIZE, 3), np.uint8))
    mood = dataclasses.replace(pick_mood(rng, SIZE, BUILTIN), sheet=False, large=0.0, count=5, **forced)
    return list(compose(rng, SIZE, mood, occupied))


@pytest.mark.parametrize("kind", ["columns", "spaced", "single"])
def test_ink_of_rarer_kinds_is_inside_its_polygon(kind):
    shares = {"columns": 0.0, "spaced": 0.0, "single": 0.0, kind: 1.0}
    every = [placed for seed in range(4) for placed in composed(seed, size=30.0, **shares)]
    assert len(every) > 8
    for placed in every:
        check_ink(placed)
        lines = placed.block.lines
        if kind == "spaced":
            # However far apart its letters stand, a line is one outline.
            assert len(list(open_scenes(1, granularity="line")._outlines(placed))) == len(lines) == 1
        elif kind == "single":
            assert len(lines) == 1
            assert len(lines[0].text) == 1 or lines[0].text.isdigit()
            assert lines[0].text not in set("01OoIl一")
        else:
            assert all(len(line.words) == 1 for line in lines)
            assert 0 < placed.block.letter_share <= 1
    if kind == "columns":
        assert {len(placed.block.lines) for placed in every} > {1}


def test_a_scene_may_have_very_large_text_beside_small_print():
    rng = np.random.default_rng(0)
    moods = [pick_mood(rng, SIZE, BUILTIN) for _ in range(300)]
    first, least = [], []
    for mood in [mood for mood in moods if mood.large > 110][:24]:
        small = dataclasses.replace(mood, size=9.0, count=6, columns=0.0, turn=0.0)
        found = list(compose(rng, SIZE, small, OccupancyMap(np.zeros((*SIZE, 3), np.uint8))))
        heights = [mean_height(polygon) for placed in found for polygon, _ in outlines(open_scenes(1), placed)]
        first.append(heights[0])
        least.append(min(heights))
    assert np.median(first) > SIZE[0] / 5
    assert max(first) > SIZE[0] / 3
    assert np.median(least) < 12
    plain = [not (mood.sheet or mood.large or mood.clutter or mood.spaced or mood.single) for mood in moods]
    assert 1 / 3 < np.mean(plain) < 2 / 3
