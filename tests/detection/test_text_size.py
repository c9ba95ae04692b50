"""Pictures that are looked at in the sizes that their text needs."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.detection.text_size import height_of, sizes_for_text
from dbnet_jax.images.decode import BadPicture
from tests.helpers.brightness import BrightnessDetector, assert_same, white_box

SIZES = (64, 160, 320)
AUTOMATIC = {"size": None, "first_size": 160, "sizes": SIZES, "text_height": 24.0}


def band(radius: float, height: float) -> np.ndarray:
    """A word on a half circle."""
    angles = np.linspace(0, np.pi, 40)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([ring * (radius + height / 2), ring[::-1] * (radius - height / 2)]).astype(np.float32)


def page(height: int) -> np.ndarray:
    """A picture of 160×200 with a word of this height."""
    return white_box((160, 200), 20, 10, 179, 9 + height)


@settings(max_examples=50)
@given(st.floats(1, 300), st.floats(1, 20), st.floats(0, 180))
def test_the_height_of_a_rectangle_is_its_shorter_side(height, ratio, degrees):
    box = cv2.boxPoints(((500.0, 400.0), (height * ratio, height), degrees))
    # Of squares, the root of almost nothing.
    assert height_of(box) == pytest.approx(height, rel=0.02)


def test_the_height_of_a_curved_word_is_that_of_its_band():
    assert height_of(band(100, 30)) == pytest.approx(30, rel=0.02)
    assert height_of(np.array([[0, 0], [9, 0], [9, 0]], np.float32)) == 0


@pytest.mark.parametrize(
    ("heights", "scale", "chosen"),
    [
        ([24], 1.0, ()),
        ([17, 59], 1.0, ()),
        ([16], 1.0, (320, 640)),
        ([61], 1.0, (64,)),
        ([30], 0.5, (320, 640)),  # it was seen at half of its size
        ([31], 2.0, (64,)),
        ([24, 24, 300], 1.0, (64,)),  # one text is enough
        ([24, 8, 300], 1.0, (64, 320, 640)),
        ([0], 1.0, (320, 640)),
        ([], 1.0, (64, 320, 640)),
    ],
)
def test_text_that_is_too_tall_or_too_low_for_the_first_look_needs_others(heights, scale, chosen):
    boxes = [np.array([[0, 0], [90, 0], [90, height], [0, height]], np.float32) for height in heights]
    for sizes in ((64, 160, 320, 640), (640, 64, 64, 320)):
        assert sizes_for_text(boxes, 160, scale, sizes, 24.0) == chosen


@pytest.mark.parametrize(
    ("height", "sizes"), [(110, (64, 160)), (24, (160,)), (12, (160, 320)), (0, SIZES)], ids=lambda one: str(one)
)
def test_a_picture_is_looked_at_in_the_sizes_that_its_text_needs(height, sizes):
    picture = page(height) if height else np.zeros((160, 200, 3), np.uint8)
    automatic = BrightnessDetector(**AUTOMATIC)
    every = BrightnessDetector(**AUTOMATIC | {"looks": "all", "sizes": sizes})
    found, maps = automatic.detect_with_maps(picture)
    expected, expected_maps = every.detect_with_maps(picture)
    assert_same(found, expected)
    assert_same(automatic.detect(picture), expected)
    assert_same(*(one.detect(picture) for one in (automatic, every)))
    (many,) = automatic.detect_many_with_maps([picture])
    assert_same(many.detections, expected)
    # The maps are those of the last look, and the first look is not the last one.
    last = BrightnessDetector(size=max(set(sizes) - {160}, default=160)).detect_with_maps(picture)[1]
    for one in (maps, many.maps):
        np.testing.assert_array_equal(one["probability_map"], last["probability_map"])
    assert expected_maps["probability_map"].shape[0] == max(sizes)


def test_a_panorama_that_no_size_makes_larger_is_seen_once():
    picture = np.tile(page(8), (1, 10, 1))
    detector = BrightnessDetector(**AUTOMATIC | {"sizes": (160, 320)}, max_side=400)
    detector.detect(picture)
    list(detector.detect_many([picture]))
    assert len(detector.calls) == 2


def test_many_come_out_as_one_by_one_and_errors_in_their_place(tmp_path):
    pictures = [page(4 + 7 * (index % 9)) for index in range(40)]
    detector = BrightnessDetector(**AUTOMATIC, batch_size=2)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = list(detector.detect_many([*pictures[:20], tmp_path / "broken.png", *pictures[20:]]))
    assert isinstance(found.pop(20), BadPicture)
    assert len(found) == len(pictures)
    for one, picture in zip(found, pictures, strict=True):
        assert_same(one, detector.detect(picture))
    ended = detector.detect_many([*pictures, tmp_path / "nowhere.png", *pictures])
    for picture in pictures:
        assert_same(next(ended), detector.detect(picture))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(ended)


def test_a_picture_whose_text_fits_the_first_look_is_looked_at_once():
    def looks(height: int, maps: bool = False) -> list[int]:
        detector = BrightnessDetector(**AUTOMATIC)
        counts = []
        for look in (
            lambda: detector.detect_with_maps(page(height)) if maps else detector.detect(page(height)),
            lambda: list((detector.detect_many_with_maps if maps else detector.detect_many)([page(height)])),
        ):
            before = len(detector.calls)
            look()
            counts.append(len(detector.calls) - before)
        return counts

    assert looks(24) == [1, 1]
    assert looks(12) == looks(110) == [2, 2]
    # The first look makes one map alone.
    assert looks(24, maps=True) == [2, 2]


def test_an_error_of_the_first_look_is_no_bad_picture(monkeypatch):
    detector = BrightnessDetector(**AUTOMATIC)

    def fail(*arguments: object) -> int:
        raise ValueError("broken")

    monkeypatch.setattr("dbnet_jax.detection.looks.sizes_for_text", fail)
    with pytest.raises(ValueError, match="broken"):
        list(detector.detect_many([page(20)]))


def test_a_picture_that_keeps_its_size_is_looked_at_once():
    detector = BrightnessDetector(**AUTOMATIC, resize="none")
    assert_same(detector.detect(page(60)), BrightnessDetector(resize="none").detect(page(60)))
    assert len(list(detector.detect_many([page(60)]))) == 1
    assert len(detector.calls) == 2
    with pytest.raises(ValueError, match=r"`config.predict.size` \(=None\) needs a number .* 'official'"):
        BrightnessDetector(**AUTOMATIC, resize="official")
