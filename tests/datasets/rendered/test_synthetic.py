"""Tests of the synthetic data set: the same pictures every time, and a truth that agrees with them."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from shapely.geometry import LineString, Polygon

from input_pipeline.datasets.rendered.synthetic.dataset import SyntheticDataset
from input_pipeline.datasets.rendered.synthetic.layout import MAX_TEXT_HEIGHT, MIN_TEXT_HEIGHT, TEXT_FREE, lay_out
from input_pipeline.datasets.rendered.synthetic.text import BOX_MARGIN, Font, draw_text
from input_pipeline.datasets.rendered.synthetic.warp import Warp, text_height
from input_pipeline.datasets.rendered.synthetic.words import WORDS, pick_text, word_split
from tests.helpers.scenes import check_opens_by_name, same

SIZES = [(256, 256), (200, 330), (64, 64)]


@pytest.fixture(scope="module")
def samples():
    dataset = SyntheticDataset(250, seed=3)
    return [dataset[index] for index in range(len(dataset))]


@pytest.fixture(scope="module")
def layouts():
    """Pictures' runs, before they are painted, of several sizes."""
    return [
        (size, lay_out(np.random.default_rng((seed, *size)), "train", size)[0]) for size in SIZES for seed in range(80)
    ]


def test_samples_do_not_depend_on_order_or_thread(samples):
    again = SyntheticDataset(250, seed=3)
    order = np.random.default_rng(0).permutation(120).tolist()
    assert all(same(again[index], samples[index]) for index in order[:40])
    with ThreadPoolExecutor(8) as pool:
        assert all(map(same, pool.map(again.__getitem__, order), (samples[index] for index in order)))


def test_seed_split_and_index_each_change_the_picture():
    first = SyntheticDataset(2, seed=7)
    others = [
        first[1],
        SyntheticDataset(2, seed=8)[0],
        SyntheticDataset(2, seed=7, split="test")[0],
        SyntheticDataset(2, seed=1, split="test")[0],
    ]
    # Words could differ alone: the pictures beneath them must too.
    for a, b in itertools.combinations([first[0], *others], 2):
        assert np.mean(np.any(a.image != b.image, axis=-1)) > 0.9


def test_no_picture_is_in_both_splits_for_any_pair_of_seeds():
    corners = {
        SyntheticDataset(40, seed=seed, split=split)[index].image[::8, ::8].tobytes()
        for seed in (0, 1, 2**32 - 1)
        for split in ("train", "test")
        for index in (0, 1, 32)
    }
    assert len(corners) == 18


def test_splits_share_no_word():
    def words(split):
        rng = np.random.default_rng(0)
        text = " ".join(pick_text(rng, split) for _ in range(3000))
        return {"".join(filter(str.isalnum, word.lower())) for word in text.split()}

    train, test = words("train"), words("test")
    assert not train & test
    # Both are varied, in words and in numbers.
    for found, least in ((train, 400), (test, 120)):
        assert len(found & set(WORDS)) > least
        assert len({word for word in found if word.isdigit()}) > 100
    assert word_split("Open") == word_split("OPEN!")
    assert word_split("$19.95") == word_split("1995")


def test_texts_are_of_the_split(samples):
    for sample in samples:
        assert all(word_split(word) == "train" for text in sample.texts for word in text.split())


def test_samples_are_complete(samples):
    for sample in samples:
        assert sample.image.shape == (256, 256, 3)
        assert len(sample.texts) == len(sample.ignore) == len(sample.polygons)
        assert not any(sample.ignore)
        assert all(text.strip() for text in sample.texts)
    assert len({sample.name for sample in samples}) == len(samples)


def test_polygons_are_simple_clockwise_inside_and_of_the_stated_height(layouts):
    for size, runs in layouts:
        for run in runs:
            assert run.polygon.dtype == np.float32
            assert 4 <= len(run.polygon) <= 14
            assert Polygon(run.polygon).is_valid
            assert cv2.contourArea(run.polygon, oriented=True) > 0  # clockwise where y points down
            assert (run.polygon >= 0).all()
            assert (run.polygon <= np.array(size[::-1]) - 1).all()
            lowest, highest = text_height(run.polygon)
            # Chords of an arc stand a little outside of it.
            assert MIN_TEXT_HEIGHT * 0.99 <= lowest <= highest <= MAX_TEXT_HEIGHT * 1.01


def test_text_reads_from_the_first_vertex(layouts):
    # Its upper side leads to the right, at most 90 degrees up or down, and a little more by perspective.
    for _, runs in layouts:
        for run in runs:
            side = len(run.polygon) // 2
            direction = run.polygon[side - 1] - run.polygon[0]
            assert direction[0] > -0.45 * np.linalg.norm(direction)


def test_runs_stand_a_text_height_apart(layouts):
    pairs = 0
    for _, runs in layouts:
        for a, b in itertools.combinations(runs, 2):
            apart = Polygon(a.polygon).distance(Polygon(b.polygon))
            assert apart >= max(text_height(a.polygon)[1], text_height(b.polygon)[1])
            pairs += 1
    assert pairs > 150


def test_ink_is_inside_its_polygon_and_fills_it(layouts):
    for _, runs in layouts:
        for run in runs:
            left, top, _, _ = run.window()
            ink = run.opacity()[..., 1].astype(np.float64)
            assert ink.sum() > 0
            rows, columns = np.nonzero(ink)
            outline = run.polygon - np.array([left, top], np.float32)
            distance = signed_distance(outline, ink.shape)[rows, columns]
            weight = ink[rows, columns] / ink.sum()
            assert weight[distance >= -1.5].sum() >= 0.99
            assert weight[distance >= -0.5].sum() >= 0.96
            # Tight: a strong pixel of ink near every edge of the polygon, within the margin.
            strong = np.argwhere(ink >= 64)[:, ::-1]
            reach = 2 * BOX_MARGIN * text_height(run.polygon)[1] + 2.5
            sides = np.array_split(np.roll(outline, 1, 0), 2)
            assert all(nearest(LineString(side), strong) <= reach for side in sides)


def signed_distance(outline, shape):
    """Of every pixel to `outline`, positive inside; three pixels and more inside it is not measured."""
    filled = cv2.fillPoly(np.zeros(shape, np.uint8), [np.rint(outline).astype(np.int32)], (1,))
    distance = cv2.erode(filled, np.ones((7, 7), np.uint8), borderValue=0) * 3.0
    for row, column in np.argwhere(distance == 0):
        distance[row, column] = cv2.pointPolygonTest(outline, (float(column), float(row)), True)
    return distance


def nearest(line, points):
    """The least distance of `points` from a line."""
    (x0, y0), *rest = line.coords
    least = np.inf
    for x1, y1 in rest:
        along = np.array([x1 - x0, y1 - y0])
        offset = points - np.array([x0, y0])
        t = np.clip(offset @ along / max(along @ along, 1e-9), 0, 1)
        least = min(least, np.linalg.norm(offset - t[:, None] * along, axis=1).min())
        x0, y0 = x1, y1
    return least


def test_text_box_is_the_ink_with_its_margin():
    for font in (Font(), Font("italic", 800, outline=0.05), Font("uni", tracking=0.1, outline=0.05, hollow=True)):
        for text in ("sea", "harp", "$19.95"):
            _, _, width, height = cv2.boundingRect((draw_text(text, font)[..., 1] >= 64).astype(np.uint8))
            margin = round(BOX_MARGIN * height)
            assert draw_text(text, font).shape == (height + 2 * margin, width + 2 * margin, 2)
    assert draw_text("sea", Font()).shape[0] < draw_text("harp", Font()).shape[0]


def test_text_without_ink_is_refused():
    with pytest.raises(ValueError, match="text"):
        draw_text("  ", Font())


def test_straight_and_bent_warps_agree_where_the_bend_vanishes():
    mask = draw_text("Almost straight", Font())
    aspect = mask.shape[1] / mask.shape[0]
    matrix = np.array([[20.0, 2, 150], [-3, 22, 40], [1e-3, 2e-3, 1]])
    straight, bent = Warp(aspect, 0.0, matrix), Warp(aspect, 1e-3, matrix)
    np.testing.assert_allclose(straight.outline()[[0, -1]], bent.outline()[[0, -1]], atol=0.05)
    drawn = [warp.draw(mask, (0, 0), (100, 300)).astype(float) for warp in (straight, bent)]
    assert drawn[0].max() == 255
    assert np.abs(drawn[0] - drawn[1]).mean() < 0.5


def test_a_line_bent_upwards_has_its_middle_above_its_ends():
    outline = Warp(6.0, 1.0, np.eye(3)).outline()
    top = outline[: len(outline) // 2, 1]
    assert top[len(top) // 2] < top[0] - 0.5


def test_shapes_sizes_and_places_vary(layouts):
    runs = [run for size, found in layouts if size == (256, 256) for run in found]
    corners = np.array([len(run.polygon) for run in runs])
    assert 0.15 < np.mean(corners > 4) < 0.6
    assert corners.max() == 14
    heights = np.array([text_height(run.polygon)[0] for run in runs])
    assert np.mean(heights < 20) > 0.15
    assert np.mean(heights > 40) > 0.1
    turns = [np.degrees(np.arctan2(*(run.polygon[1] - run.polygon[0])[::-1])) for run in runs if len(run.polygon) == 4]
    assert min(turns) < -50
    assert max(turns) > 50
    assert np.mean(np.abs(turns) < 20) > 0.4


def test_a_tenth_of_the_pictures_has_no_text():
    free = [not lay_out(np.random.default_rng(seed), "test", (256, 256))[0] for seed in range(600)]
    # Four standard deviations of 600 draws.
    assert abs(np.mean(free) - TEXT_FREE) < 4 * np.sqrt(TEXT_FREE * (1 - TEXT_FREE) / 600)


def test_text_stands_out_from_its_surroundings(samples):
    stronger = []
    for sample in samples:
        grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY).astype(float)
        for polygon in sample.polygons:
            inside = cv2.fillPoly(np.zeros(grey.shape, np.uint8), [np.rint(polygon).astype(np.int32)], (1,)) > 0
            stronger.append(np.percentile(grey[inside], 95) - np.percentile(grey[inside], 5))
    assert min(stronger) > 25
    assert np.median(stronger) > 75


def test_it_opens_by_name_and_ends_by_index_error():
    check_opens_by_name("synthetic")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"count": -1}, "count"), ({"seed": 2**32}, "seed"), ({"size": (32, 256)}, "size"), ({"split": "dev"}, "split")],
)
def test_arguments_out_of_range_are_refused(arguments, named):
    # Type checking, which the tests switch on, refuses a wrong split first, with an error of its own.
    with pytest.raises(Exception, match=named):
        SyntheticDataset(**{"count": 1, **arguments})
