"""What a detector is given from Python: fields of `config.predict`, names and pictures, and what it says of others."""

import math
import pathlib

import numpy as np
import pytest
from ml_collections import ConfigDict

from dbnet_jax.config.checks import change_predict, check_predict
from dbnet_jax.detector import Detector
from dbnet_jax.models.from_config import model_from_config
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import BrightnessDetector

pytestmark = pytest.mark.usefixtures("as_users_run_it")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    return tiny.save_zeros(tmp_path_factory.mktemp("weights") / "zeros.safetensors")


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        *((name, value, r"in \[0, 1\]") for name in ("threshold", "box_threshold") for value in (7.0, -1.0, math.nan)),
        ("box_threshold", None, r"in \[0, 1\]"),
        ("max_candidates", 0, "positive and whole"),
        ("max_candidates", -1, "positive and whole"),
        ("size", True, "positive and whole, or None"),
        ("first_size", None, "positive and whole"),
        ("sizes", (), "positive and whole, one or more"),
        ("sizes", (640, 0), "positive and whole, one or more"),
        ("sizes", (640.5,), "positive and whole, one or more"),
        ("text_height", 0.0, "positive"),
        ("batch_size", None, "positive and whole"),
        ("stretch_width", 0.5, "positive and whole, or None"),
        ("min_size", -5, "0 or more"),
        ("unclip_ratio", math.inf, "positive, or None"),
        ("unclip_ratio", "high", "positive, or None"),
        ("follow_exif", None, r"one of True, False"),
        ("map", "threshold", "one of .*"),
        ("resize", "wide", "one of .*"),
        ("looks", "three", "one of .*"),
        ("shape", "circle", "one of .*"),
        ("checkpoint", "newest", "one of .*"),
        ("unclip_ratio", -1.0, "positive, or None"),
        ("size", 0, "positive and whole, or None"),
    ],
)
def test_a_number_that_would_find_nothing_is_refused(field, value, wanted):
    config = tiny.config()
    with config.unlocked():
        config.predict = ConfigDict({**config.predict, field: value})  # as of a file, whose fields have no types
    for refuse in (lambda: check_predict(config.predict), lambda: Detector(config, {})):
        with pytest.raises(ValueError, match=rf"`config.predict.{field}` \(=.*\) must be {wanted}$"):
            refuse()


def test_the_ends_of_the_ranges_are_in_them():
    predict = tiny.config("threshold=0,box_threshold=1,min_size=0,max_candidates=1,size=1").predict
    check_predict(predict)
    predict.resize, predict.stretch_width, predict.unclip_ratio = "official", 1, 1e-3
    check_predict(predict)


@pytest.mark.parametrize(
    ("field", "value", "plain"),
    [
        ("threshold", np.float32(0.25), 0.25),
        ("threshold", np.array(0.25), 0.25),
        ("threshold", 1, 1.0),
        ("size", 640.0, 640),
        ("size", np.int64(640), 640),
        ("stretch_width", np.float64(640), 640),
        ("unclip_ratio", 2, 2.0),
        ("follow_exif", np.True_, True),
        ("shape", "polygon", "polygon"),
    ],
)
def test_numbers_of_other_types_become_plain_ones(field, value, plain):
    predict = tiny.config().predict
    change_predict(predict, {field: value})
    assert predict[field] == plain
    assert type(predict[field]) is type(plain)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("box_threshold", "high", r"`box_threshold` \(='high'\) must be of type float"),
        ("size", 640.5, r"`size` \(=640.5\) must be of type int"),
        ("shape", 3, r"`shape` \(=3\) must be of type str"),
        ("box_threshold", 70, r"`config.predict.box_threshold` \(=70.0\) must be in \[0, 1\]"),
        ("sise", 1, r"`sise` \(=1\) is no field of `config.predict`"),
    ],
)
def test_an_override_that_cannot_be_is_a_value_error_by_name(file, field, value, message):
    with pytest.raises(ValueError, match=message):
        Detector.from_checkpoint(file, **{field: value})


def test_weights_of_any_name_are_read_and_what_is_none_is_named(file, tmp_path):
    (tmp_path / "weights").write_bytes(file.read_bytes())
    predict = Detector.from_checkpoint(tmp_path / "weights", threshold=np.float32(0.25), size=64.0).config.predict
    assert (predict.threshold, predict.size) == (0.25, 64)
    (tmp_path / "model.pth").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"`workdir_or_file` \(='.*model.pth'\) is no .safetensors .* --mode=convert"):
        Detector.from_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("name", [None, 3])
def test_a_name_that_is_none_is_answered_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=rf"`name` \(={name}\).*weights"):
        Detector.from_pretrained(name)


@pytest.mark.parametrize("name", ["x/y.safetensors", pathlib.Path("y.safetensors"), "runs/quickstart"])
def test_a_path_in_the_place_of_a_name_is_sent_on(name):
    with pytest.raises(ValueError, match=r"`name` \(=.*\).*Detector\.from_checkpoint"):
        Detector.from_pretrained(name)


@pytest.mark.parametrize("image", [None, [1, 2], lambda: None], ids=["None", "list", "function"])
def test_what_is_no_picture_is_a_value_error(image):
    detector = BrightnessDetector()
    for detect in (detector.detect, detector.detect_with_maps, lambda one: detector.detect_batch([one])):
        with pytest.raises(ValueError, match=r"`image` \(of type \w+\) must be a picture file \(its path"):
            detect(image)


def test_an_unknown_type_of_computation_is_named():
    with pytest.raises(ValueError, match=r"`config.model.dtype` \(='float16'\) must be one of"):
        model_from_config(tiny.config("dtype=float16"))


@pytest.mark.parametrize("images", ["photo.jpg", pathlib.Path("photo.jpg")])
def test_one_path_is_not_many(images):
    detector = BrightnessDetector()
    for detect in (detector.detect_many, detector.detect_batch):
        with pytest.raises(
            ValueError, match=r"`images` \(='photo\.jpg'\) must be several pictures: put a single one into a list"
        ):
            detect(images)


def test_other_options_share_the_network_and_leave_the_detector_as_it_is(file):
    detector = Detector.from_checkpoint(file, box_threshold=0.5, first_size=640)
    other = detector.with_options(box_threshold=0.25, first_size=320)
    assert (other.config.predict.box_threshold, other.config.predict.first_size) == (0.25, 320)
    assert (detector.config.predict.box_threshold, detector.config.predict.first_size) == (0.5, 640)
    assert other._eval_step is detector._eval_step
    assert other._variables is detector._variables
    assert (detector._looks.first_size, other._looks.first_size) == (640, 320)
    for wrong in ({"box_threshold": 2.0}, {"box_treshold": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            detector.with_options(**wrong)
