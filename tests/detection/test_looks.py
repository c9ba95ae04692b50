"""Pictures that are looked at in several sizes, whose polygons are merged."""

import pathlib

import cv2
import numpy as np
import pytest

from dbnet_jax.config.checks import check_predict
from dbnet_jax.config.saved import config_from_json
from dbnet_jax.evaluation.evaluator import Evaluator
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.training.task import get_task
from input_pipeline.datasets.sample import Sample
from tests.helpers.brightness import WHITE, BrightnessDetector, assert_same, quad

ALL = {"size": None, "looks": "all", "text_height": 24.0}


class LimitedDetector(BrightnessDetector):
    """It sees only boxes of 6 to 47 pixels of height in the network's input, as a network that was trained on them."""

    def _threshold(self, variables: object, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        maps = super()._threshold(variables, images, names)
        for values in maps.values():
            for one in values:
                seen = cv2.morphologyEx(one, cv2.MORPH_OPEN, np.ones((6, 1)))
                one[:] = seen - cv2.dilate(
                    cv2.morphologyEx(one, cv2.MORPH_OPEN, np.ones((48, 1))), np.ones((3, 3))
                ).clip(max=seen)
        return maps


def picture(*heights: int) -> np.ndarray:
    """A picture of 320×400 with texts of these heights, one below the other."""
    image, top = np.zeros((320, 400, 3), np.uint8), 20
    for height in heights:
        image[top : top + height, 20:380] = WHITE
        top += height + 40
    return image


def found_heights(found) -> list[int]:
    return sorted(int(np.ptp(polygon[:, 1])) for polygon in found.polygons)


def test_very_large_and_very_small_text_is_found_in_one_picture():
    image = picture(160, 4)
    for sizes, heights in (((80,), [160]), ((640,), [4]), ((80, 640), [4, 160]), ((640, 80, 160, 320), [4, 160])):
        found = LimitedDetector(**ALL, sizes=sizes).detect(image)
        assert found_heights(found) == pytest.approx(heights, abs=4)


@pytest.mark.parametrize("sizes", [(320, 80, 640), (640, 320, 80), (80, 320, 640, 320)])
def test_the_order_of_the_sizes_does_not_matter_and_no_text_is_found_twice(sizes):
    image = picture(100, 30, 8)
    ordered = LimitedDetector(**ALL, sizes=(80, 320, 640))
    detector = LimitedDetector(**ALL, sizes=sizes)
    found, maps = detector.detect_with_maps(image)
    assert len(found.polygons) == 3
    assert_same(found, ordered.detect(image))
    assert len(detector.calls) == len(ordered.calls) == 3
    # The maps are those of the largest size, and only there all of them are made.
    assert maps["probability_map"].shape == (640, 800)
    assert [len(names) for _, names in detector.calls] == [1, 1, 3]


@pytest.mark.parametrize("options", [{}, {"shape": "polygon", "unclip_ratio": 2.0}, {"resize": "long"}])
def test_one_size_is_one_look(options):
    image, fixed = picture(60, 20), BrightnessDetector(**options, size=240)
    for sizes in ((240,), (240, 240)):
        detector = BrightnessDetector(**ALL, **options, sizes=sizes)
        found, maps = detector.detect_with_maps(image)
        assert_same(found, fixed.detect(image))
        np.testing.assert_array_equal(maps["probability_map"], fixed.detect_with_maps(image)[1]["probability_map"])
        assert len(detector.calls) == 1


def test_a_line_stays_whole_and_words_stay_apart():
    image = np.zeros((320, 400, 3), np.uint8)
    image[20:68, 20:380] = image[100:300, 20:380] = WHITE
    # At the size 80, no pixel of the network's input shows these gaps, and the page is one blob.
    image[20:68, 99:380:100] = image[20:68, 100:380:100] = 0
    image[115:300:16, 20:380] = image[116:300:16, 20:380] = 0
    image[100:300, 47:380:32] = image[100:300, 48:380:32] = 0
    small, large = (BrightnessDetector(size=size).detect(image) for size in (80, 640))
    rows, columns = 13, 12
    assert found_heights(small) == pytest.approx([48, 200], abs=4)
    assert len(large.polygons) == 4 + rows * columns
    found = BrightnessDetector(**ALL | {"text_height": 12.0}, sizes=(80, 640)).detect(image)
    assert len(found.polygons) == 1 + rows * columns
    assert found_heights(found)[-2:] == pytest.approx([14, 48], abs=4)


def test_many_come_out_as_one_by_one_and_errors_in_their_place(tmp_path: pathlib.Path):
    pictures = [picture(10 + 9 * index)[: 300 - 40 * (index % 3)] for index in range(9)]
    detector = LimitedDetector(**ALL, sizes=(40, 80, 160), batch_size=2)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = list(detector.detect_many([*pictures[:5], tmp_path / "broken.png", *pictures[5:]]))
    assert isinstance(found.pop(5), BadPicture)
    for one, image in zip(found, pictures, strict=True):
        assert_same(one, detector.detect(image))
    ended = detector.detect_many([*pictures, tmp_path / "nowhere.png"])
    for one in found:
        assert_same(next(ended), one)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(ended)


def test_sizes_that_a_panorama_makes_equal_are_one_look():
    image = np.tile(picture(30), (1, 10, 1))
    detector = BrightnessDetector(**ALL, sizes=(40, 160, 320), max_side=400)
    for detect in (detector.detect, detector.detect_with_maps):
        detector.calls.clear()
        detect(image)
        assert {shape for shape, _ in detector.calls} == {(1, 32, 400 // 128 * 128 + 128, 3)}


def test_pictures_that_keep_their_size_are_looked_at_once():
    detector = BrightnessDetector(**ALL, sizes=(80, 160), resize="none")
    assert_same(detector.detect(picture(30)), BrightnessDetector(resize="none").detect(picture(30)))
    assert len(detector.calls) == 1


def test_a_picture_that_is_too_large_for_the_memory_is_one_error(monkeypatch):
    detector = BrightnessDetector(**ALL, sizes=(80, 160))

    def fit(image: np.ndarray, size: int):
        if size == 160:
            raise MemoryError
        return BrightnessDetector._fit(detector, image, size)

    monkeypatch.setattr(detector, "_fit", fit)
    (error,) = detector.detect_many([picture(30)])
    assert isinstance(error, ValueError)
    assert "more memory than there is" in str(error)


def test_evaluation_scores_all_looks():
    truths = [quad(20, 20, 380, 180), quad(20, 220, 380, 224)]
    sample = Sample("one.png", picture(160, 4), truths, [False, False])
    for sizes, recall in (((80,), 0.5), ((80, 640), 1.0)):
        assert Evaluator([sample]).run(LimitedDetector(**ALL, sizes=sizes)).scores.recall == recall


def test_several_looks_need_sizes_and_are_refused_where_they_would_have_no_effect():
    config = config_from_json('{"predict": {"size": null, "sizes": [416, 1152]}}')  # of an earlier version
    predict = config.predict
    assert predict.looks == "fitting"
    predict.looks = "all"
    check_predict(predict)
    assert "each of (416, 1152), merged" in " ".join(get_task("detection").facts(config, "1 MB"))
    predict.size = 800
    with pytest.raises(
        ValueError, match=r"`config.predict.looks` \(='all'\) needs `config.predict.size` \(=800\) = None"
    ):
        check_predict(predict)
