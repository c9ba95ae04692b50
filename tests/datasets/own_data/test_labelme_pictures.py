"""LabelMe's files: which picture they are of."""

import base64

import cv2
import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.own_data.labelme import LabelMe
from tests.helpers.own_labels import HEIGHT, WIDTH, document, encode, names, write, write_picture
from tests.helpers.problems import said


def label(file, picture, **fields):
    write(file, encode("labelme", {**document("labelme", [1]), "imagePath": picture, **fields}))


def write_mask(file):
    write(file, cv2.imencode(file.suffix, np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes())


@pytest.mark.parametrize(
    ("photo", "said_path"),
    [
        ("train/a.jpg", "a.jpg"),
        ("train/a.jpg", ".\\a.jpg"),
        ("train/a.jpg", "C:\\photos\\a.jpg"),  # of the machine where it was labelled
        ("train/photo.jpg", "photo.jpg"),
        ("photos/a.jpg", "../photos/a.jpg"),
        ("photos/b.jpg", "..\\photos\\b.jpg"),
        ("train/ä.jpg", "ä.jpg"),
    ],
)
@pytest.mark.parametrize("padding", [0, 2**17])
def test_the_photo_is_taken_and_not_its_mask(tmp_path, photo, said_path, padding):
    write_picture(tmp_path / photo)
    stem = "ä" if "ä" in photo else "a"
    write_mask(tmp_path / f"train/{stem}.png")
    label(tmp_path / f"train/{stem}.json", said_path)
    if padding:  # shapes before `imagePath`, as LabelMe writes them
        shapes = document("labelme", [1])["shapes"]
        content = {"shapes": [{**shapes[0], "note": "x" * padding}, shapes[1]], "imagePath": said_path}
        write(tmp_path / f"train/{stem}.json", encode("labelme", content))
    (sample,) = list(LabelMe(tmp_path, "trainval"))
    assert sample.image.mean() > 80
    assert sample.name.endswith(photo.removeprefix("train/"))


def test_a_renamed_picture_keeps_its_labels(tmp_path):
    # Exchanged, and one that is gone: the file's own name counts.
    for name in "abc":
        write_picture(tmp_path / f"{name}.jpg")
    for name, old in (("a", "b"), ("b", "a"), ("c", "IMG_1")):
        label(tmp_path / f"{name}.json", f"{old}.jpg")
    dataset = LabelMe(tmp_path, "trainval")
    assert names(dataset) == ["a.jpg", "b.jpg", "c.jpg"]
    assert said(dataset) == [
        "a.json: `imagePath` is b.jpg, which has a label file of its own; a.jpg is taken",
        "b.json: `imagePath` is a.jpg, which has a label file of its own; b.jpg is taken",
    ]


def test_a_smaller_copy_beside_its_labels_is_taken_and_not_the_original(tmp_path):
    write_picture(tmp_path / "original/a.jpg", 2 * HEIGHT, 2 * WIDTH)
    write_picture(tmp_path / "train/a.JPG")
    label(tmp_path / "train/a.json", "../original/a.jpg")
    dataset = LabelMe(tmp_path, "trainval")
    assert names(dataset) == ["a.JPG"]
    assert said(dataset) == said(dataset[0]) == []


def test_another_picture_than_that_of_the_name_is_listed(tmp_path):
    write_picture(tmp_path / "photo.jpg")
    write_mask(tmp_path / "a.png")
    label(tmp_path / "a.json", "photo.jpg")
    dataset = LabelMe(tmp_path, "trainval")
    assert names(dataset) == ["photo.jpg"]
    assert said(dataset) == [
        "a.json: `imagePath` is photo.jpg, which is taken, and not a.png",
        "a.png: has no label file; left out",
    ]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("path", ["gone.png", "", None])
def test_a_picture_in_the_label_file(tmp_path, prefix, path):
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    data = base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
    for name in "ab":
        label(tmp_path / f"{name}.json", path, imageData=prefix + data)
    label(tmp_path / "c.json", path, imageData="no picture")
    dataset = LabelMe(tmp_path, "trainval")
    assert said(dataset) == []
    suffix = ".png" if path else ""
    assert names(dataset) == [f"{name}{suffix}" for name in "abc"]
    sample = dataset[1]
    np.testing.assert_array_equal(sample.image, image)
    assert (sample.ignore, said(sample)) == ([False, True], [])
    with pytest.raises(BadPicture, match=f"^c{suffix}: `imageData` is not base64"):
        dataset[2]
