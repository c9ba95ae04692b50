"""The detector with a network of random weights: its maps, alone and in batches, on one device and on many."""

import cv2
import jax
import numpy as np
import pytest

from dbnet_jax.detector import Detector
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.models.from_config import MAPS, model_from_config
from dbnet_jax.postprocess import extract_polygons
from dbnet_jax.sharding import data_mesh
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import assert_same, noise


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
