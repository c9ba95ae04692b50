"""Tests of the rendered scenes as a data set: the same pictures every time, and a truth that agrees with them."""

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon

from configs import common
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.rendered.scenes.block import set_column
from input_pipeline.datasets.rendered.scenes.composition import Placed
from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset
from input_pipeline.datasets.rendered.scenes.fonts import BUILTIN, Font, find_fonts
from input_pipeline.datasets.rendered.scenes.ink import Ink
from input_pipeline.datasets.rendered.scenes.surface import Plane
from input_pipeline.from_config import open_split
from tests.helpers.problems import said
from tests.helpers.scenes import SIZE, check_opens_by_name, mean_height, open_scenes, same


@pytest.fixture(scope="module")
def samples():
    dataset = open_scenes(40, seed=3)
    return [dataset[index] for index in range(len(dataset))]


def test_samples_do_not_depend_on_order_or_thread(samples):
    again = open_scenes(40, seed=3)
    order = np.random.default_rng(0).permutation(40).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert all(map(same, pool.map(again.__getitem__, order), (samples[index] for index in order)))


def test_the_machines_fonts_too_may_be_written_with_by_many_threads():
    if find_fonts() == BUILTIN:
        pytest.skip("needs a font on the machine")
    # All threads write with the same few faces, in sizes that OpenCV keeps apart or not.
    dataset = SceneDataset(12, seed=1, size=(160, 160))
    dataset._faces = find_fonts()[: len(BUILTIN) + 2]
    alone = [dataset[index] for index in range(12)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(dataset.__getitem__, list(range(12)) * 2))
    assert all(map(same, together, alone * 2))


def test_seed_split_and_index_each_change_the_picture():
    first = open_scenes(2, seed=7)
    pictures = [first[0], first[1], open_scenes(1, seed=8)[0]]
    pictures += [open_scenes(1, seed=seed, split="test")[0] for seed in (7, 1)]
    for a, b in itertools.combinations(pictures, 2):
        assert np.mean(np.any(a.image != b.image, axis=-1)) > 0.5


def test_polygons_are_simple_clockwise_inside_and_apart(samples):
    for sample in samples:
        shapes = [Polygon(polygon) for polygon in sample.polygons]
        for polygon, shape in zip(sample.polygons, shapes, strict=True):
            assert polygon.dtype == np.float32
            assert 4 <= len(polygon) <= 14
            assert len(polygon) % 2 == 0
            assert shape.is_valid
            assert shape.area > 8
            assert cv2.contourArea(polygon, oriented=True) > 0  # clockwise where y points down
            assert (polygon >= 0).all()
            assert (polygon <= np.array(SIZE[::-1]) - 1).all()
        for a, b in itertools.combinations(shapes, 2):
            assert a.intersection(b).area <= 1


def test_samples_are_complete(samples):
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.image.shape == (*SIZE, 3)
        assert len(sample.polygons) == len(sample.ignore) == len(sample.texts) == len(sample.scripts)
        assert said(sample) == []
        assert all(sample.texts)


def test_scenes_are_empty_sparse_and_crowded(samples):
    # Of a fifth of 640×640 pixels.
    counts = [len(sample.polygons) for sample in samples]
    assert 3 < np.mean(counts) < 12
    assert 1 <= counts.count(0) <= 8
    assert np.mean([0 < count <= 3 for count in counts]) > 0.15
    assert max(counts) > 20


def test_few_words_are_ignored_and_the_others_can_be_seen():
    # Many: a single crowded scene of small print has half of the words of forty.
    dataset = open_scenes(160, seed=3)
    samples = [dataset[index] for index in range(len(dataset))]
    ignored = [flag for sample in samples for flag in sample.ignore]
    assert 0.005 < np.mean(ignored) < 0.3
    for sample in samples:
        luma = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY).astype(float)
        for polygon, ignore in zip(sample.polygons, sample.ignore, strict=True):
            if not ignore:
                inside = cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.rint(polygon).astype(np.int32)], (1,)) > 0
                assert np.percentile(luma[inside], 95) - np.percentile(luma[inside], 5) > 10
                assert mean_height(polygon) > 6


def test_it_opens_by_name_and_ends_by_index_error():
    check_opens_by_name("scenes", fonts="builtin", granularity="line")


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count"),
        ({"seed": 2**32}, "seed"),
        ({"size": (96, 256)}, "size"),
        ({"split": "dev"}, "split"),
        ({"granularity": "letter"}, "granularity"),
        ({"size": (128,)}, r"`size` \(=\(128,\)\) must be \(height, width\)"),
        ({"size": (128, 128, 3)}, r"`size` \(=\(128, 128, 3\)\)"),
        ({"size": 128}, r"`size` \(=128\)"),
        ({"size": (128.5, 200)}, r"`size` \(=\(128.5, 200\)\) .* whole numbers"),
        ({"seed": 1.5}, r"`seed` \(=1.5\) must be a whole number"),
        ({"count": 2.5}, r"`count` \(=2.5\) must be a whole number"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SceneDataset(**{"count": 1, "fonts": "builtin", **arguments})


def test_scenes_and_synthetic_pictures_of_one_seed_do_not_draw_the_same_random_numbers(monkeypatch):
    drawn = []
    make = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda stream: drawn.append(stream) or make(stream))
    for split in ("train", "test"):
        open_scenes(1, seed=7, split=split, size=(128, 128))[0]
        open_dataset("synthetic", "", split, count=1, seed=7, size=(128, 128))[0]
    assert len(drawn) == len(set(drawn)) == 4


def configured(**fields):
    config = common.get_config()
    config.data.update(
        {"picture_size": (128, 128), "train_pictures": 6, "eval_pictures": 2, "fonts": "builtin", **fields}
    )
    return config


def test_a_config_opens_scenes_alone_and_mixed_in():
    alone = open_split(configured(name="scenes", train_split="train", eval_split="test"), "eval")
    assert len(alone) == 2
    assert alone[0].name.startswith("scene_test")
    mixed = open_split(configured(name="synthetic", mix="scenes*2@0.9"), "train")
    names = [mixed.name(index) for index in range(len(mixed))]
    assert sum(name.startswith("scenes: scene_train") for name in names) == 12
    assert sum(name.startswith("synthetic: ") for name in names) == 6
    sample = mixed[names.index("scenes: scene_train_0000004")]
    assert sample.zoom == 0.9
    alike = dataclasses.replace(sample, zoom=1.0, name=sample.name.removeprefix("scenes: "))
    assert same(alike, open_scenes(6, size=(128, 128))[4])


def test_a_column_of_tiny_letters_is_ignored_however_long_it_is(monkeypatch):
    dataset = open_scenes(30)
    ignored = {}
    for scale in (0.2, 1.0):
        surface = Plane((0.0, 0.0), None, np.array([[scale, 0, 20], [0, scale, 20], [0, 0, 1]]))
        placed = Placed(set_column("HOTEL", Font(), 30), surface, Ink(contrast=110.0), "Latin")
        monkeypatch.setattr(dataset, "_compose", lambda rng, scene, placed=placed: iter([placed]))
        ignored[scale] = [dataset[index].ignore[0] for index in range(30)]
    assert all(ignored[0.2])
    assert np.mean(ignored[1.0]) < 0.5
