"""The detector around a network whose maps are known: any picture in, its own coordinates out."""

import itertools
import pathlib
import threading
from collections import Counter

import cv2
import numpy as np
import PIL.Image
import pytest

from dbnet_jax import detector as detector_module
from dbnet_jax.geometry import polygon_area
from dbnet_jax.images.resize import RULES
from dbnet_jax.models.from_config import MAPS
from dbnet_jax.postprocess import extract_polygons
from tests.helpers.brightness import BrightnessDetector, assert_same, noise, quad, white_box
from tests.helpers.pictures import saved, with_orientation

SIZES = [(97, 131), (131, 97), (160, 160), (60, 500), (333, 70), (41, 45), (300, 640)]


def boxed(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a white box far from its corner, where a wrong scale would show, and the box."""
    height, width = size
    box = (round(0.55 * width), round(0.5 * height), round(0.9 * width), round(0.85 * height))
    return white_box(size, *box), quad(*box)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("max_side", [1024, 200])
@pytest.mark.parametrize(("shape", "slack"), [("polygon", 1), ("quad", 2)])
def test_a_box_comes_out_where_it_is_in_the_picture(rule, size, max_side, shape, slack):
    image, box = boxed(size)
    detector = BrightnessDetector(resize=rule, max_side=max_side, shape=shape)
    (polygon,) = detector.detect(image).polygons
    # As in the official code a corner is the index of the map's pixel times the scale, at the right and below too.
    rows, columns = detector.detect_with_maps(image)[1]["probability_map"].shape
    pixel = np.array([size[1] / columns, size[0] / rows], np.float32)
    low, high = box[0], box[2] + 1 - pixel
    # A quad's corners are truncated to whole pixels of the map beside.
    assert (np.abs(polygon.min(axis=0) - low) <= slack * np.maximum(pixel, 1)).all()
    assert (np.abs(polygon.max(axis=0) - high) <= slack * np.maximum(pixel, 1)).all()
    if shape == "quad":
        assert (np.abs(polygon - quad(*low, *high)) <= slack * np.maximum(pixel, 1)[None]).all()


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_a_picture_that_is_all_text_gives_its_own_outline_and_no_border(shape):
    for size in SIZES:
        found = BrightnessDetector(shape=shape, unclip_ratio=1.5).detect(np.full((*size, 3), 255, np.uint8))
        (polygon,) = found.polygons
        np.testing.assert_allclose(polygon.min(axis=0), [0, 0], atol=1)
        np.testing.assert_array_equal(polygon.max(axis=0), [size[1], size[0]])


def test_a_batch_of_mixed_sizes_gives_what_each_picture_gives_alone_in_their_order():
    pictures = [boxed(SIZES[i % len(SIZES)])[0] for i in range(17)]
    together = BrightnessDetector(batch_size=4)
    alone = BrightnessDetector(batch_size=1)
    found = together.detect_batch(pictures)
    assert len(found) == 17
    for one, picture in zip(found, pictures, strict=True):
        assert_same(one, alone.detect(picture))
    assert together.detect_batch([]) == []


@pytest.mark.parametrize("batch_size", [1, 4])
def test_few_shapes_are_compiled_for_many_sizes(batch_size):
    rng = np.random.default_rng(1)
    pictures = []
    for index in range(60):
        short = int(rng.integers(40, 400))
        size = (short, int(short * rng.uniform(1, 2)))
        pictures.append(np.zeros((*(size if index % 2 else size[::-1]), 3), np.uint8))
    detector = BrightnessDetector(batch_size=batch_size)
    detector.detect_batch(pictures)
    shapes = Counter(shape for shape, _ in detector.calls)
    assert len({picture.shape for picture in pictures}) > 50
    assert len({shape[1:] for shape in shapes}) <= 4
    assert {shape[0] for shape in shapes} <= {1, batch_size}
    # Pictures of one shape share batches: each shape leaves one that is not full.
    assert sum(shapes.values()) < 60 / batch_size + len(shapes)


def test_detection_asks_for_the_map_of_the_config_alone():
    image = noise(50, 50)
    for name in ("probability", "binary"):
        detector = BrightnessDetector(map=name)
        detector.detect(image)
        detector.detect_with_maps(image)
        assert [names for _, names in detector.calls] == [(f"{name}_map",), MAPS]


# Files
def test_a_file_is_detected_as_its_pixels_and_turned_as_told(tmp_path: pathlib.Path):
    image, box = boxed((80, 120))
    path = tmp_path / "picture.png"
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    detector = BrightnessDetector(resize="none")
    for source in (path, str(path)):
        assert_same(detector.detect(source), detector.detect(image))
    # Orientation 6: viewers turn it a quarter clockwise, (x, y) to (79 − y, x).
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(with_orientation(jpeg, 6))
    (stored,) = BrightnessDetector(resize="none", follow_exif=False).detect(turned).polygons
    np.testing.assert_allclose(stored, box, atol=2)
    (upright,) = BrightnessDetector(resize="none", follow_exif=True).detect(turned).polygons
    corners = np.stack([79 - box[:, 1], box[:, 0]], axis=-1)
    np.testing.assert_allclose(upright.min(axis=0), corners.min(axis=0), atol=2)
    np.testing.assert_allclose(upright.max(axis=0), corners.max(axis=0), atol=2)


# Notes, frames
def test_a_file_with_frames_has_a_note_or_a_result_for_each(tmp_path: pathlib.Path):
    images = [white_box((80, 120), 20 + 10 * frame, 20, 90, 50) for frame in range(3)]
    pages, single = tmp_path / "pages.tif", tmp_path / "single.png"
    pages.write_bytes(saved(images[0], "TIFF", *images[1:]))
    single.write_bytes(saved(images[1], "PNG"))
    for size in ("none", "short"):
        first = BrightnessDetector(resize=size, size=None, first_size=160, sizes=(160, 320))
        found = first.detect_batch([pages, single])
        assert [one.notes for one in found] == [("has 3 frames; the first was read",), ()]
        every = BrightnessDetector(resize=size, size=None, first_size=160, sizes=(160, 320), frames="all")
        found = every.detect_batch([pages, single])
        assert len(found) == 4
        for one, image in zip(found, [*images, images[1]], strict=True):
            assert_same(one, first.detect(image))
        assert_same(every.detect(pages), found[0])
        assert_same(every.detect_with_maps(pages)[0], found[0])


def test_a_picture_that_is_too_long_for_the_network_has_a_note():
    detector = BrightnessDetector(size=160, max_side=400)
    expected = r"is 60×1500 pixels, and `config.predict.max_side` (=400) shrinks it to 16×400; cut it into parts"
    assert detector.detect(np.zeros((1500, 60, 3), np.uint8)).notes[0].startswith(expected)
    for size in ((300, 60), (2000, 2000), (60, 60)):
        assert detector.detect(np.zeros((*size, 3), np.uint8)).notes == ()


def test_what_people_call_a_picture_is_one():
    image, _ = boxed((80, 120))
    detector = BrightnessDetector(resize="none")
    pil = PIL.Image.fromarray(image)
    for source in (image[..., 0], image / 255, saved(image, "PNG"), pil, lambda: pil.convert("1")):
        assert_same(detector.detect(source), detector.detect(image))
    for one in (image, image[..., 0], saved(image, "PNG")):
        with pytest.raises(ValueError, match=r"`images` \(\w+\) must be several pictures: put a single"):
            detector.detect_many(one)
        with pytest.raises(ValueError, match=r"`images` \(\w+\) must be several pictures: put a single"):
            detector.detect_many_with_maps(one)


def test_regions_that_are_left_out_are_counted_and_their_file_is_listed(tmp_path: pathlib.Path, caplog):
    image = np.zeros((160, 200, 3), np.uint8)
    for row in range(5):
        image[row * 30 + 10 : row * 30 + 25, 20 : 60 + 20 * row] = 255
    path = tmp_path / "page.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    for options in ({}, {"size": None, "sizes": (320,)}):
        detector = BrightnessDetector(max_candidates=3, resize="short", first_size=160, **options)
        caplog.clear()
        with caplog.at_level("WARNING"):
            found = detector.detect_batch([path, image, lambda: image])
        assert [(len(one.polygons), one.left_out) for one in found] == [(3, 2)] * 3
        what = "`max_candidates` leaves out 2 text regions, the smallest; raise it"
        assert all(one.notes == (what,) for one in found)
        said = [record.getMessage() for record in caplog.records]
        assert sorted(said) == sorted([f"{path}: {what}", *[f"`image`: {what}"] * 2])
        assert min(polygon[:, 1].min() for polygon in found[0].polygons) > 60  # the largest are the lower ones


def test_text_around_a_ring_is_found_where_asked():
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (100, 100), 70, (255, 255, 255), 10)
    options = {"shape": "polygon", "unclip_ratio": 2.0, "resize": "none"}
    assert BrightnessDetector(**options).detect(image).polygons == []
    found = BrightnessDetector(rings=True, **options).detect(image)
    assert found.scores.tolist() == [1.0]
    assert polygon_area(found.polygons[0]) == pytest.approx(2 * np.pi * 70 * 30, rel=0.1)
    with pytest.raises(ValueError, match=r"`config.predict.rings` \(=True\) needs `config.predict.shape` \(='quad'\)"):
        BrightnessDetector(rings=True)


# Errors
def _opencv_error(code: int, message: str) -> cv2.error:
    error = cv2.error(message)
    error.code, error.err = code, message
    return error


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), "need more memory than there is"),
        (_opencv_error(cv2.Error.StsNoMem, "Failed to allocate 9 bytes"), "need more memory than there is"),
        (_opencv_error(cv2.Error.StsAssert, "ssize.area() > 0"), "cannot be resized: ssize.area() > 0"),
    ],
)
def test_a_picture_that_cannot_be_resized_ends_nothing(monkeypatch, tmp_path, raised, said):
    image = boxed((64, 64))[0]
    detector, fit = BrightnessDetector(resize="none"), BrightnessDetector._fit

    def fitting(self, image, size):
        if image.shape[1] == 70:
            raise raised
        return fit(self, image, size)

    monkeypatch.setattr(BrightnessDetector, "_fit", fitting)
    large = tmp_path / "large.png"
    large.write_bytes(saved(boxed((64, 70))[0], "PNG"))
    found = list(detector.detect_many([image, large, image]))
    assert [len(one.polygons) for one in found[::2]] == [1, 1]
    assert isinstance(found[1], ValueError)
    assert str(found[1]).endswith(f"large.png: its 70×64 pixels {said}")


def test_an_error_in_post_processing_is_no_bad_picture(monkeypatch):
    detector = BrightnessDetector(resize="none")
    pictures = [boxed((64, 64 + index))[0] for index in range(12)]

    def extract(values: np.ndarray, *, image_size: tuple[int, int], **options: object) -> object:
        if image_size == (64, 70):
            raise ValueError("broken")
        return extract_polygons(values, image_size=image_size, **options)

    monkeypatch.setattr(detector_module, "extract_polygons", extract)
    before = set(threading.enumerate())
    found = detector.detect_many(pictures)
    assert len(list(itertools.islice(found, 6))) == 6
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert set(threading.enumerate()) <= before
    with pytest.raises(ValueError, match="broken"):
        detector.detect_batch(pictures)
    assert set(threading.enumerate()) <= before
