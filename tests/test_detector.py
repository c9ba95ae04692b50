"""The detector: any picture in, its own coordinates out; batches, devices, maps and options."""

import itertools
import pathlib
import threading
from collections import Counter

import cv2
import jax
import numpy as np
import pytest
import tiny
from brightness import BrightnessDetector, quad, white_box

from dbnet_jax import detector as detector_module
from dbnet_jax.decode import BadPicture
from dbnet_jax.detector import Detector
from dbnet_jax.mesh import data_mesh
from dbnet_jax.network import MAPS, model_from_config
from dbnet_jax.postprocess import extract_polygons
from dbnet_jax.resize import RULES

SIZES = [(97, 131), (131, 97), (160, 160), (60, 500), (333, 70), (41, 45), (300, 640)]


@pytest.fixture(scope="module")
def variables() -> dict:
    """Untrained, with statistics of noise: without, each layer enlarges what processors round differently."""
    model = model_from_config(tiny.config())
    pictures = np.random.default_rng(0).normal(size=(4, 64, 64, 3)).astype(np.float32)
    found = dict(jax.jit(model.init)(jax.random.key(0), pictures[:1]))
    see = jax.jit(lambda known: model.apply(known, pictures, train=True, mutable=["batch_stats"])[1])
    for _ in range(40):  # each is a tenth of the statistics
        found |= see(found)
    return found


@pytest.fixture(scope="module")
def detector(variables) -> Detector:
    """The untrained network; the shapes that it compiles are shared by the tests.

    Its binarisation is a tenth as steep: that of training enlarges the maps' rounding errors 12.5 times.
    """
    return Detector(tiny.config("threshold=0.01,box_threshold=0.0,k=5.0"), variables)


def boxed(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a white box far from its corner, where a wrong scale would show, and the box."""
    height, width = size
    box = (round(0.55 * width), round(0.5 * height), round(0.9 * width), round(0.85 * height))
    return white_box(size, *box), quad(*box)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def assert_same(found, expected):
    assert len(found.polygons) == len(expected.polygons)
    for a, b in zip(found.polygons, expected.polygons, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.scores, expected.scores)


# Coordinates, with a network whose maps are known


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
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    (stored,) = BrightnessDetector(resize="none", follow_exif=False).detect(turned).polygons
    np.testing.assert_allclose(stored, box, atol=2)
    (upright,) = BrightnessDetector(resize="none", follow_exif=True).detect(turned).polygons
    corners = np.stack([79 - box[:, 1], box[:, 0]], axis=-1)
    np.testing.assert_allclose(upright.min(axis=0), corners.min(axis=0), atol=2)
    np.testing.assert_allclose(upright.max(axis=0), corners.max(axis=0), atol=2)


# The network itself


def test_untrained_maps_are_probabilities_at_the_size_that_the_network_saw(detector):
    maps = detector.detect_with_maps(noise(60, 50))[1]
    assert maps.keys() == set(MAPS)
    for values in maps.values():
        assert values.shape == (60, 50)
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1


def test_detections_follow_from_the_probability_map(detector):
    image = noise(60, 50)
    found = detector.detect(image)
    values = np.ascontiguousarray(detector.detect_with_maps(image)[1]["probability_map"])
    expected = extract_polygons(
        values, image_size=(60, 50), shape="polygon", threshold=0.01, box_threshold=0.0, unclip_ratio=None
    )
    assert len(found.polygons) > 0
    assert_same(found, expected)
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1


def test_pictures_of_a_batch_do_not_touch_each_other(detector):
    # Three pictures in batches of two: the last one is filled up.
    pictures = [noise(64, 64, seed) for seed in range(3)]
    together = list(detector.detect_many_with_maps(pictures))
    for found, picture in zip(together, pictures, strict=True):
        np.testing.assert_array_equal(found.image, picture)
        for name, values in detector.detect_with_maps(picture)[1].items():
            np.testing.assert_allclose(found.maps[name], values, atol=1e-5)
    assert np.abs(together[0].maps["probability_map"] - together[1].maps["probability_map"]).max() > 0.01


@pytest.mark.parametrize("devices", [1, 4])
def test_side_by_side_gives_bit_for_bit_what_one_batch_after_another_gives(detector, variables, devices, tmp_path):
    # On four devices batches are of four and not of two. The last one is filled up, but for one picture alone.
    many = Detector(detector.config, variables, mesh=data_mesh(jax.devices()[:devices]) if devices > 1 else None)
    size = max(2, devices)
    pictures = [noise(64, 60, seed) for seed in range(4 * size + 3)]
    expected: list[dict[str, np.ndarray]] = []
    for start in range(0, len(pictures), size):
        chunk = [cv2.copyMakeBorder(one, 0, 0, 0, 4, cv2.BORDER_CONSTANT) for one in pictures[start : start + size]]
        chunk += chunk[-1:] * ((size if len(chunk) > 1 else devices) - len(chunk))
        maps = jax.device_get(many._eval_step(variables, np.stack(chunk), MAPS))
        expected += [{name: maps[name][row, :, :60] for name in MAPS} for row in range(len(chunk))]
    found = list(many.detect_many_with_maps(pictures))
    assert len(found) == len(pictures)
    for one, maps in zip(found, expected, strict=False):
        assert one.maps.keys() == set(MAPS)
        for name in MAPS:
            np.testing.assert_array_equal(one.maps[name], maps[name])
        values = np.ascontiguousarray(maps["probability_map"])
        polygons = extract_polygons(values, image_size=(64, 60), shape="polygon", threshold=0.01, box_threshold=0.0)
        assert len(polygons.polygons) > 0
        assert_same(one.detections, polygons)


def test_files_come_out_as_one_by_one_with_a_bad_one_in_the_middle(variables, tmp_path):
    detector = Detector(tiny.config("predict.batch_size=1,threshold=0.01,box_threshold=0.0"), variables)
    files = [tmp_path / f"{index}.png" for index in range(9)]
    for index, file in enumerate(files):
        # Two shapes, each known to the compiler already.
        file.write_bytes(cv2.imencode(".png", noise(64, 64 - 4 * (index % 2), index))[1].tobytes())
    files[4].write_bytes(files[4].read_bytes()[:-40])
    found = list(detector.detect_many(map(str, files)))
    assert isinstance(found[4], BadPicture)
    assert "4.png" in str(found[4])
    for index, (file, one) in enumerate(zip(files, found, strict=True)):
        if index != 4:
            assert len(one.polygons) > 0
            assert_same(one, detector.detect(file))
    with pytest.raises(BadPicture, match=r"4\.png"):
        detector.detect_batch(files)
    # What is not there is a mistake, and no bad picture.
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(detector.detect_many([files[0], tmp_path / "nowhere.png"]))


def test_pixels_may_come_from_a_function(detector):
    image = noise(60, 50)
    (found,) = detector.detect_many([lambda: image])
    assert_same(found, detector.detect(image))
    assert_same(found, detector.detect(lambda: image))


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


def test_many_devices_share_a_batch(detector, variables):
    pictures = [noise(64, 64, seed) for seed in range(5)]
    many = Detector(detector.config, variables, mesh=data_mesh(jax.devices()[:4]))
    for one in (many, many.with_variables(variables)):
        assert all(len(leaf.devices()) == 4 for leaf in jax.tree.leaves(one._variables))
    alone, shared = (list(one.detect_many_with_maps(pictures)) for one in (detector, many))
    for a, b in zip(alone, shared, strict=True):
        for name in MAPS:
            np.testing.assert_allclose(a.maps[name], b.maps[name], atol=1e-5)


def test_other_weights_give_other_maps_and_leave_the_detector_as_it_was(detector, variables):
    image = noise(60, 50)
    before = detector.detect_with_maps(image)[1]
    other = detector.with_variables(jax.tree.map(lambda leaf: leaf * 0.5, variables))
    assert np.abs(other.detect_with_maps(image)[1]["probability_map"] - before["probability_map"]).max() > 1e-3
    np.testing.assert_array_equal(detector.detect_with_maps(image)[1]["probability_map"], before["probability_map"])


def test_the_program_that_detects_holds_no_threshold_branch(detector, variables):
    images = np.zeros((2, 64, 64, 3), np.uint8)
    text = {
        names: detector._eval_step.lower(variables, images, names).compile().as_text()
        for names in (("probability_map",), MAPS)
    }
    assert ["threshold_head" in program for program in text.values()] == [False, True]
    assert all("probability_head" in program for program in text.values())


# Options


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("map", "threshold", r"`config.predict.map` \(='threshold'\) must be one of"),
        ("resize", "wide", r"`config.predict.resize` \(='wide'\) must be one of"),
        ("shape", "circle", r"`config.predict.shape` \(='circle'\) must be one of"),
        ("checkpoint", "newest", r"`config.predict.checkpoint` \(='newest'\) must be one of"),
        ("unclip_ratio", -1.0, r"`config.predict.unclip_ratio` \(=-1.0\) must be positive"),
        ("size", 0, r"`config.predict.size` \(=0\) must be positive"),
    ],
)
def test_options_that_cannot_work_are_named(field, value, message):
    with pytest.raises(ValueError, match=message):
        BrightnessDetector(**{field: value}).detect(boxed((60, 80))[0])


def test_an_unknown_type_of_computation_is_named():
    with pytest.raises(ValueError, match=r"`config.model.dtype` \(='float16'\) must be one of"):
        model_from_config(tiny.config("dtype=float16"))
