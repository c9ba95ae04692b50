"""Bad input, end to end: it works or it is named, and what is good beside it is not lost."""

import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from configs import icdar2015
from dbnet_jax.commands.predict import predict_files
from dbnet_jax.detector import Detector
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.weights.run_folder import load_config
from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.benchmarks.icdar2015 import Icdar2015
from input_pipeline.datasets.sample import Sample
from input_pipeline.examples import LABELS, Example, Examples
from input_pipeline.from_config import make_examples, open_split
from input_pipeline.labels import make_labels
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import BrightnessDetector, quad, white_box
from tests.helpers.numbered import Numbered

BOX = (30, 20, 90, 50)
RGB = white_box((80, 120), *BOX)
GREY = RGB[..., 0]
LABEL = "30,20,90,20,90,50,30,50,word\n"


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def rgba() -> np.ndarray:
    # What is transparent is black in the file, and white where it is laid over white.
    return np.dstack([np.zeros((80, 120, 3), np.uint8), 255 - GREY])


GOOD = {
    "grey.png": encoded(GREY),
    "grey.jpg": encoded(GREY, ".jpg"),
    "rgba.png": encoded(rgba()),
    "16-bit.png": encoded(RGB.astype(np.uint16) * 257),
    "16-bit-grey.tif": encoded(GREY.astype(np.uint16) * 257, ".tif"),
}
TINY = {"1x1.png": encoded(np.full((1, 1, 3), 255, np.uint8)), "1x1-grey.png": encoded(np.zeros((1, 1), np.uint8))}
BAD = {
    "truncated.jpg": encoded(RGB, ".jpg")[:-200],
    "truncated.png": encoded(RGB)[:-30],
    "empty.png": b"",
    "words.png": b"no picture",
}


@pytest.fixture(scope="module")
def detector() -> BrightnessDetector:
    return BrightnessDetector()


# Pictures
@pytest.mark.parametrize("name", GOOD)
def test_pictures_of_every_kind_are_detected_alike(detector, tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name])
    (polygon,) = detector.detect(tmp_path / name).polygons
    np.testing.assert_allclose(polygon, quad(*BOX), atol=2)


@pytest.mark.parametrize("rule", ["short", "long", "height", "none"])
def test_a_picture_of_one_pixel_is_detected(tmp_path, rule):
    detector = BrightnessDetector(resize=rule)
    for name, data in TINY.items():
        (tmp_path / name).write_bytes(data)
        for polygon in detector.detect(tmp_path / name).polygons:
            assert 0 <= polygon.min() <= polygon.max() <= 1
    assert all(shape[1] <= 192 and shape[2] <= 192 for shape, _ in detector.calls)


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_decode_is_named(detector, tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(BadPicture, match=name):
        detector.detect(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        detector.detect(tmp_path / "nowhere.png")


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    "image",
    [RGB[0, 0], RGB.transpose(2, 0, 1), RGB.astype(np.float32), np.zeros((0, 5, 3), np.uint8)],
    ids=["row", "channels first", "float over 1", "empty"],
)
def test_arrays_of_another_kind_are_refused_by_name(detector, image):
    with pytest.raises(ValueError, match=r"`image` \(\w+ \(.*\)\) (must be|has) .*\[?height|divide by 255"):
        detector.detect(image)


def test_prediction_goes_on_past_bad_pictures(detector, tmp_path):
    for name, data in (GOOD | TINY | BAD).items():
        (tmp_path / name).write_bytes(data)
    predict_files(detector, tmp_path, tmp_path / "out")
    found = json.loads((tmp_path / "out/detections.json").read_text())
    assert found["pictures"].keys() == (GOOD | TINY).keys()
    assert found["skipped"].keys() == BAD.keys()


def test_training_examples_come_from_every_picture_that_decodes(tmp_path):
    pictures, labels = tmp_path / "ch4_training_images", tmp_path / "ch4_training_localization_transcription_gt"
    pictures.mkdir()
    labels.mkdir()
    files = [*(GOOD | TINY | BAD).items()]
    for number, (name, data) in enumerate(files):
        (pictures / f"img_{number}{pathlib.Path(name).suffix}").write_bytes(data)
        (labels / f"gt_img_{number}.txt").write_text(LABEL)
    # Three lines that do not parse: each is left out, and its picture is used.
    (labels / "gt_img_0.txt").write_text(LABEL + "1,2,3,word\n1,1,9,nan,9,9,1,9,x\n5,5,5,5,5,5,5,5,no area\n")
    (labels / "gt_img_99.txt").write_text(LABEL)
    dataset = Icdar2015(tmp_path, "trainval")
    bad_samples = BadSamples(len(dataset), max_share=0.5)
    config = icdar2015.get_config("crop=(64,96)")
    examples = make_examples(config, dataset, bad_samples)
    made = [examples[position] for position in range(3 * len(dataset))]
    assert all(example["image"].shape == (64, 96, 3) for example in made)
    used = {example["name"] for example in made}
    assert used == {dataset.name(index) for index in range(len(GOOD | TINY))}
    report = bad_samples.report(everything=True)
    # The word of a picture of one pixel lies outside of it.
    assert report.startswith(f"{len(BAD)} pictures skipped, {5 + len(TINY)} problems in the data:")
    assert f"{len(files)} train pictures where the release has 1000" in report
    assert "annotation files without a picture: gt_img_99.txt" in report
    for index in range(len(GOOD | TINY), len(files)):
        assert dataset.name(index) in report
    for line in (2, 3, 4):
        assert f"gt_img_0.txt:{line}:" in report


# Polygons
def one(polygons: list[list[list[float]]], size: tuple[int, int] = (80, 120)) -> tuple[Examples, BadSamples]:
    """Examples of one picture with these polygons."""
    sample = Sample(
        "photo.jpg",
        np.full((*size, 3), 90, np.uint8),
        [np.array(polygon, np.float32).reshape(-1, 2) for polygon in polygons],
        [False] * len(polygons),
        ["word"] * len(polygons),
    )

    class One(Numbered):
        def __getitem__(self, index: int) -> Sample:
            return sample

    bad_samples = BadSamples(1, max_share=0.0)
    augmentation = Augmentation((64, 96), flip=0.5, rotation=10.0, scale=(0.5, 1.5))
    return Examples(One(1), 0, augmentation, {}, bad_samples), bad_samples


POLYGONS = {
    "triangle": [[10, 10], [90, 10], [50, 60]],
    "zero area": [[10, 10], [50, 30], [90, 50]],
    "one place": [[10, 10], [10, 10], [10, 10], [10, 10]],
    "two points": [[10, 10], [90, 50]],
    "crossing": [[10, 10], [70, 60], [70, 10], [10, 60]],
    "outside": [[500, 500], [600, 500], [600, 550], [500, 550]],
    "far outside": [[1e9, 1e9], [2e9, 1e9], [2e9, 2e9], [1e9, 2e9]],
    "all around": [[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]],
    "nan": [[10, 10], [np.nan, 10], [90, 50], [10, 50]],
    "all nan": [[np.nan, np.nan]] * 4,
    "infinite": [[10, 10], [np.inf, 10], [90, 50], [10, 50]],
    "nothing": [],
}
PLACELESS = ("nan", "all nan", "infinite", "nothing")


def assert_sound(example: Example) -> None:
    """Maps of the right size, type and range: nothing that would make a loss that is not finite."""
    ranges = {"shrink_map": (0, 1), "shrink_mask": (0, 1), "threshold_map": (0.3, 0.7), "threshold_mask": (0, 1)}
    assert example["image"].shape == (64, 96, 3)
    assert example["image"].dtype == np.uint8
    for name in LABELS:
        values = example[name]
        assert values.shape == (64, 96)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert ranges[name][0] - 1e-6 <= values.min() <= values.max() <= ranges[name][1] + 1e-6


@pytest.mark.parametrize("size", [(80, 120), (1, 1), (1, 400)])
@pytest.mark.parametrize("name", POLYGONS)
def test_examples_survive_any_polygon_and_keep_the_word_beside_it(name, size):
    word = [[30, 20], [90, 20], [90, 50], [30, 50]]
    examples, bad_samples = one([POLYGONS[name], word], size)
    made = [examples[position] for position in range(12)]
    for example in made:
        assert_sound(example)
    if name != "all around":
        assert sum(example["shrink_map"].sum() for example in made) > 500
    report = bad_samples.report(everything=True)
    if name in PLACELESS:
        assert "photo.jpg: outline 0 has no vertices or one that is not finite" in report
        without, _ = one([word], size)
        np.testing.assert_array_equal(made[5]["shrink_mask"], without[5]["shrink_mask"])
    else:
        assert report == ""


def test_a_triangle_is_learned_and_what_has_no_inside_is_ignored():
    for name, learned in (("triangle", True), ("crossing", False), ("zero area", False), ("two points", False)):
        examples, _ = one([POLYGONS[name]])
        made = [examples[position] for position in range(20)]
        assert (sum(example["shrink_map"].sum() for example in made) > 0) == learned
        assert any((example["shrink_mask"] == 0).any() for example in made)
        labels = make_labels([np.array(POLYGONS[name], np.float32)], [False], 80, 120)
        assert (labels["shrink_map"].sum() > 0) == learned
        assert (labels["shrink_mask"] == 0).any() != learned


@pytest.mark.parametrize("size", [(80, 120), (1, 1), (500, 3)])
def test_photos_without_text_are_all_background(size):
    examples, bad_samples = one([], size)
    for position in range(10):
        example = examples[position]
        assert_sound(example)
        assert example["shrink_map"].max() == example["threshold_mask"].max() == 0
        assert example["shrink_mask"].min() == 1
    assert bad_samples.report(everything=True) == ""


# Data directories, configs and runs
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("data.name=''", "`config.data.name` is empty"),
        ("data.name=icdar", r"`name` \(='icdar'\) must be one of icdar2015"),
        ("train_pictures=0", "split 'train' of `config.data.dir`"),
        ("granularity=line", r"`config.data.granularity` \(='line'\): synthetic has words alone"),
    ],
)
def test_a_data_config_that_cannot_work_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        open_split(tiny.config(fields), "train")


def run(*flags: str) -> str:
    """What `python run.py` says as it ends without success."""
    ended = subprocess.run([sys.executable, "run.py", *flags], cwd=tiny.ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=configs/quickstart.py", "--config.trian.batch_size=4"], "unknown; is it train.batch_size"),
        (["--config=configs/nowhere.py", "--workdir=w"], "configs/nowhere.py"),
    ],
)
def test_an_unknown_config_field_is_named_without_a_traceback(flags, message):
    assert message in run(*flags)


def test_a_run_that_is_not_there_or_does_not_fit_its_code_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        Detector.from_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(tiny.config().to_json())
    with pytest.raises(FileNotFoundError, match="has no checkpoint yet"):
        Detector.from_checkpoint(tmp_path)
    fields = json.loads(tiny.config().to_json())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"model": fields["model"] | {"depth": 3}}))
    with pytest.raises(ValueError, match="'depth'"):
        Detector(load_config(tmp_path), {})
