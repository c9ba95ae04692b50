"""Folders with text files in ICDAR's style: where they may lie, and what a line may mean."""

import numpy as np
import own_labels
import pytest
from own_labels import (
    names,
    write,
    write_picture,
)

from dbnet_jax.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.icdar_folder import IcdarFolder, parse_line


@pytest.mark.parametrize("pictures", ["", "images"])
@pytest.mark.parametrize("labels", ["", "labels", "annotations", "gt"])
@pytest.mark.parametrize("pattern", ["gt_{}.txt", "{}.txt", "{}.jpg.txt"])
def test_icdar_folders(pictures, labels, pattern, tmp_path):
    if pictures and not labels:
        labels = "images"
    write_picture(tmp_path / pictures / "img_1.jpg")
    write(tmp_path / labels / pattern.format("img_1"), "\ufeff" + own_labels.icdar_text())
    dataset = IcdarFolder(tmp_path, "trainval")
    assert dataset.problems == []
    assert dataset[0].texts == ["word", "###"]
    write_picture(tmp_path / pictures / "img_2.jpg")
    with pytest.raises(
        BadPicture, match=r"img_2\.jpg: has no label file gt_img_2\.txt or img_2\.txt or img_2\.jpg\.txt"
    ):
        IcdarFolder(tmp_path, "trainval")[1]


def test_icdar_folders_for_pictures_and_labels_that_hold_the_splits(tmp_path):
    for split, number in (("train", 1), ("val", 2)):
        write_picture(tmp_path / f"images/{split}/img_{number}.jpg")
        write(tmp_path / f"labels/{split}/img_{number}.txt", own_labels.icdar_text())
    assert names(IcdarFolder(tmp_path, "train")) == ["img_1.jpg"]
    assert IcdarFolder(tmp_path, "validation")[0].name == "img_2.jpg"


def test_icdar_folders_of_the_official_code(tmp_path):
    for split, pattern in (("train", "img_1.jpg.txt"), ("test", "gt_img_1.txt")):
        write_picture(tmp_path / f"{split}_images/img_1.jpg")
        write(tmp_path / f"{split}_gts" / pattern, own_labels.icdar_text())
        write(tmp_path / f"{split}_list.txt", "img_1.jpg\n")
    assert IcdarFolder(tmp_path, "trainval")[0].texts == ["word", "###"]
    assert IcdarFolder(tmp_path, "test")[0].texts == ["word", "###"]


@pytest.mark.parametrize(
    ("line", "points", "text"),
    [
        ("10,10,30,10,30,20,10,20,a, b,3", 4, "a, b,3"),
        ("10,10,30,10,30,20,10,20,2016", 4, "2016"),
        ("10,10,30,10,30,20,10,20", 4, ""),
        ("10,10,30,10,30,20,10,20,", 4, ""),
        ("10,10,30,10,30,20,word", 3, "word"),
        ("10,10,30,10,40,15,30,20,10,20,a,b", 5, "a,b"),
        ("10,10,30,10,40,15,30,20,10,20,", 5, ""),
    ],
)
def test_icdar_lines(line, points, text):
    instance = parse_line(line)
    assert (len(instance.polygon), instance.text) == (points, text)


@pytest.mark.parametrize(
    "line",
    [
        "10,10,30,10,30,20,10",
        "10,10,30,10,30,20,10,word",
        "10,10,30,10,40,15,30,20,10,20",
        "10,10,30,10,30,20,10,20,1,000",
        "10,10,30,10,30,20,1O,20,word",
        "10,10,30,10,30,20,10,20,1O,30,40,50,word",
        "10,10,30,10,30,20,nan,20,word",
        "10,10,30,10,30,20,10,20,nan,20,word",
        "10,10,30,10,30,20",
    ],
)
def test_icdar_lines_that_may_mean_two_things_are_refused(line):
    with pytest.raises(ValueError, match="the coordinates cannot be told from the transcription"):
        parse_line(line)


def test_real_icdar2015_labels(shared, tmp_path):
    source = shared / "data/icdar2015"
    (tmp_path / "images").symlink_to(source / "ch4_training_images")
    (tmp_path / "gt").symlink_to(source / "ch4_training_localization_transcription_gt")
    ours = IcdarFolder(tmp_path, "trainval")
    theirs = open_dataset("icdar2015", source, "trainval")
    assert names(ours) == names(theirs)
    assert ours.problems == []
    for index in range(0, len(ours), 4):
        annotation, expected = ours.annotation(index), theirs.annotation(index)
        assert annotation.texts == expected.texts
        assert annotation.ignore == expected.ignore
        np.testing.assert_array_equal(annotation.polygons, expected.polygons)
