"""The random affine map: text stays whole, polygons follow the pixels, the ranges are kept."""

import cv2
import numpy as np
import pytest

from input_pipeline.augment import Augmentation, sample_placement


def words(count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    height, width = size
    boxes = []
    for _ in range(count):
        x, y = rng.uniform(0, width - 60), rng.uniform(0, height - 20)
        boxes.append(np.array([[x, y], [x + 50, y + 5], [x + 48, y + 18], [x - 1, y + 12]], np.float32))
    return boxes


def within(polygon: np.ndarray, crop: tuple[int, int]) -> bool:
    return bool((polygon >= -1e-3).all() and (polygon <= np.array([crop[1] - 1, crop[0] - 1]) + 1e-3).all())


@pytest.mark.parametrize("size", [(480, 640), (100, 900), (50, 60)])
def test_no_kept_word_is_cut_and_most_examples_have_one(size):
    augmentation = Augmentation(crop=(256, 192))
    kept = 0
    for seed in range(60):
        polygons = words(6, size, seed)
        ignore = [False, False, False, True, False, False]
        placement = sample_placement(np.random.default_rng(seed), size, polygons, ignore, augmentation)
        cared = [p for p, flag in zip(placement.polygons, placement.ignore, strict=True) if not flag]
        assert all(within(polygon, augmentation.crop) for polygon in cared)
        kept += bool(cared)
    assert kept >= 40


def test_polygons_follow_the_pixels():
    image = np.zeros((200, 300, 3), np.uint8)
    polygon = np.array([[120, 60], [180, 70], [175, 110], [118, 100]], np.float32)
    cv2.fillPoly(image, [polygon.astype(np.int32)], (255, 255, 255))
    augmentation = Augmentation(crop=(320, 320), rotation=30.0, scale=(0.8, 1.5))
    for seed in range(20):
        placement = sample_placement(np.random.default_rng(seed), (200, 300), [polygon], [False], augmentation)
        warped = cv2.warpAffine(image, placement.matrix, (320, 320))[..., 0] > 127
        drawn = np.zeros((320, 320), np.uint8)
        for moved in placement.polygons:
            cv2.fillPoly(drawn, [np.round(moved).astype(np.int32)], 1)
        union = (warped | (drawn > 0)).sum()
        assert union == 0 or (warped & (drawn > 0)).sum() / union > 0.93


def test_scale_rotation_and_flip_stay_in_their_ranges():
    polygon = np.array([[10, 10], [40, 10], [40, 20], [10, 20]], np.float32)
    augmentation = Augmentation(crop=(300, 300), flip=0.5, rotation=10.0, scale=(0.5, 2.0))
    flips, scales = 0, []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        matrix = sample_placement(rng, (100, 100), [polygon], [False], augmentation).matrix[:, :2]
        determinant = np.linalg.det(matrix)
        flips += determinant < 0
        scales.append(abs(determinant) ** 0.5)
        assert abs(np.arctan2(matrix[1, 1], matrix[0, 1]) - np.pi / 2) <= np.deg2rad(10) + 1e-4
    assert 0.4 < flips / 300 < 0.6
    assert 0.5 - 1e-4 <= min(scales) < 0.6
    assert 1.9 < max(scales) <= 2.0 + 1e-4


def test_a_word_larger_than_the_crop_is_ignored_and_not_cut():
    polygon = np.array([[0, 0], [999, 0], [999, 300], [0, 300]], np.float32)
    augmentation = Augmentation(crop=(64, 64), scale=(1.0, 1.0))
    placement = sample_placement(np.random.default_rng(0), (1000, 1000), [polygon], [False], augmentation)
    assert all(placement.ignore)


def test_a_picture_without_text_gives_a_placement_too():
    placement = sample_placement(np.random.default_rng(0), (1, 1), [], [], Augmentation(crop=(64, 32)))
    assert placement.polygons == []
    assert placement.ignore == []
    assert np.isfinite(placement.matrix).all()


@pytest.mark.parametrize("image_size", [(50, 400), (400, 50), (50, 50)])
def test_the_shorter_side_is_brought_to_its_size_before_the_scale(image_size):
    augmentation = Augmentation(crop=(640, 640), scale=(1.5, 1.5), short_side=100)
    placement = sample_placement(np.random.default_rng(0), image_size, [], [], augmentation)
    assert abs(np.linalg.det(placement.matrix[:, :2])) ** 0.5 == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize("bad", [{"crop": (0, 5)}, {"flip": 1.5}, {"scale": (2.0, 1.0)}, {"short_side": 0}])
def test_a_range_that_cannot_work_is_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name):
        Augmentation(**bad)
