"""The benchmarks' readers: layouts, splits, what is missing, and the real data. Pictures are made here."""

import re

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import BENCHMARKS, open_dataset
from input_pipeline.datasets.benchmarks.icdar2015 import Icdar2015
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.total_text import TotalText
from input_pipeline.datasets.sample import Dataset
from tests.helpers.benchmark_labels import SQUARE, WORD
from tests.helpers.own_labels import names, write, write_picture
from tests.helpers.pictures import with_orientation
from tests.helpers.problems import said


def make_icdar2015(folder, count=23):
    for number in range(1, count + 1):
        write_picture(folder / f"ch4_training_images/img_{number}.jpg")
        write(folder / f"ch4_training_localization_transcription_gt/gt_img_{number}.txt", f"{WORD},word {number}\n")
    return folder


def test_splits_share_the_training_folder_by_number(tmp_path):
    make_icdar2015(tmp_path)
    found = {split: names(Icdar2015(tmp_path, split)) for split in ("train", "validation", "trainval")}
    assert found["trainval"] == [f"img_{number}.jpg" for number in range(1, 24)]
    assert found["validation"] == ["img_1.jpg", "img_11.jpg", "img_21.jpg"]
    assert found["train"] == [name for name in found["trainval"] if name not in found["validation"]]
    sample = Icdar2015(tmp_path, "validation")[1]
    assert sample.name == "img_11.jpg"
    assert sample.texts == ["word 11"]
    assert sample.ignore == [False]
    assert sample.image.shape == (60, 80, 3)
    np.testing.assert_array_equal(sample.polygons[0], SQUARE)
    assert isinstance(Icdar2015(tmp_path), Dataset)


def test_icdar2015_test_layout(tmp_path):
    for number in (2, 10, 1):
        write_picture(tmp_path / f"ch4_test_images/img_{number}.jpg")
        write(tmp_path / f"Challenge4_Test_Task1_GT/gt_img_{number}.txt", f"{WORD},###\r\n")
    dataset = Icdar2015(tmp_path, "test")
    assert names(dataset) == ["img_1.jpg", "img_2.jpg", "img_10.jpg"]
    assert dataset[0].ignore == [True]
    assert said(dataset) == ["3 test pictures where the release has 500"]


def test_msra_td500_layout(tmp_path):
    for part in ("train", "test"):
        for number in (30, 59):
            write_picture(tmp_path / part / f"IMG_00{number}.JPG")
            write(tmp_path / part / f"IMG_00{number}.gt", "0 1 10 20 30 8 0\r\n" if number == 30 else b"")
    dataset = MsraTd500(tmp_path, "test")
    assert names(dataset) == ["IMG_0030.JPG", "IMG_0059.JPG"]
    assert dataset[0].ignore == [True]
    assert dataset[1].polygons == []
    assert said(dataset[1]) == []


@pytest.mark.parametrize("labels", ["txt_format", "groundtruth_polygonal_annotation", "Txts", "annotations"])
def test_total_text_official_layout(tmp_path, labels):
    record = "x: [[10 30 30 10]], y: [[10 10 20 20]], ornt: [u'h'], transcriptions: [u'{}']\n"
    for part in ("Train", "Test"):
        write_picture(tmp_path / f"Images/{part}/img11.jpg")
        write(tmp_path / f"{labels}/{part}/poly_gt_img11.txt", record.format(part))
    assert TotalText(tmp_path, "test")[0].texts == ["Test"]
    assert TotalText(tmp_path, "trainval")[0].texts == ["Train"]


def test_total_text_flat_layout(tmp_path):
    write_picture(tmp_path / "Images/img3.jpg")
    write_picture(tmp_path / "Images/img4.JPG")
    write(tmp_path / "annotations/img4.JPG.txt", f"{WORD},apart")
    write(tmp_path / "Images/img3.jpg.txt", f"{WORD},beside")
    dataset = TotalText(tmp_path, "trainval")
    assert [dataset[index].texts for index in range(2)] == [["beside"], ["apart"]]
    with pytest.raises(FileNotFoundError, match="no test pictures"):
        TotalText(tmp_path, "test")


@pytest.mark.parametrize("reader", BENCHMARKS.values())
def test_a_missing_or_empty_folder_says_what_to_do(tmp_path, reader):
    for folder, found in ((tmp_path / "nowhere", "there is no such folder"), (tmp_path, "the folder is empty")):
        with pytest.raises(FileNotFoundError) as error:
            reader(folder, "train")
        for part in (str(folder), found, reader.layout, reader.source):
            assert part in str(error.value)


@pytest.mark.parametrize(
    ("line", "turned"),
    [
        ("10,60,30,60,30,75,10,75,upright", True),
        ("10,10,30,10,30,20,10,20,either", True),
        ("60,10,75,10,75,20,60,20,as stored", False),
    ],
)
def test_one_photo_of_total_text_is_turned(tmp_path, line, turned):
    for name in ("img61.jpg", "img651.jpg"):
        write_picture(tmp_path / "Images/Test" / name)
        path = tmp_path / "Images/Test" / name
        path.write_bytes(with_orientation(path.read_bytes(), 6))
        write(tmp_path / f"Txts/Test/{name}.txt", line)
    dataset = TotalText(tmp_path, "test")
    assert dataset[0].image.shape == (60, 80, 3)
    assert dataset[1].image.shape == ((80, 60, 3) if turned else (60, 80, 3))
    assert len(dataset[1].polygons) == 1


def test_a_folder_of_something_else_is_described(tmp_path):
    for number in range(12):
        write(tmp_path / f"file{number:02}.txt", "")
    (tmp_path / "photos").mkdir()
    with pytest.raises(FileNotFoundError, match=re.escape("file00.txt, file01.txt")) as error:
        Icdar2015(tmp_path)
    assert "(13 in all)" in str(error.value)
    make_icdar2015(tmp_path / "only", count=1)
    with pytest.raises(FileNotFoundError, match="1 picture, which is held out as 'validation'"):
        Icdar2015(tmp_path / "only", "train")
    for path in (tmp_path / "only/ch4_training_localization_transcription_gt").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no annotation files"):
        Icdar2015(tmp_path / "only", "validation")


def test_pictures_and_annotations_without_each_other(tmp_path):
    make_icdar2015(tmp_path, count=3)
    labels = tmp_path / "ch4_training_localization_transcription_gt"
    (labels / "gt_img_2.txt").rename(labels / "gt_img_200.txt")
    # What a Mac puts into archives is neither.
    write(tmp_path / "ch4_training_images/._img_1.jpg", b"")
    write(tmp_path / "ch4_training_images/Thumbs.db", b"")
    dataset = Icdar2015(tmp_path, "trainval")
    assert len(dataset) == 3
    assert said(dataset) == [
        "3 train pictures where the release has 1000",
        "annotation files without a picture: gt_img_200.txt",
    ]
    with pytest.raises(BadPicture, match=r"img_2\.jpg: has no annotation file gt_img_2\.txt"):
        dataset[1]
    assert dataset[2].texts == ["word 3"]


def test_broken_and_vanished_pictures_are_bad_samples(tmp_path):
    make_icdar2015(tmp_path, count=3)
    dataset = Icdar2015(tmp_path, "trainval")
    picture = tmp_path / "ch4_training_images/img_1.jpg"
    picture.write_bytes(picture.read_bytes()[:-40])
    (tmp_path / "ch4_training_images/img_2.jpg").unlink()
    with pytest.raises(BadPicture, match=r"img_1\.jpg: .*truncated"):
        dataset[0]
    with pytest.raises(BadPicture, match=r"img_2\.jpg: cannot be read: No such file"):
        dataset[1]
    # Statistics and evaluation need no pixels.
    assert dataset.annotation(0).texts == ["word 1"]


def test_unknownnames():
    with pytest.raises(ValueError, match=r"`name` \(='icdar'\) must be one of icdar2015, msra_td500, total_text"):
        open_dataset("icdar", "x", "train")
    with pytest.raises(
        ValueError, match=r"`split` \(='val'\) must be one of 'train', 'validation', 'trainval', 'test'"
    ):
        open_dataset("icdar2015", "x", "val")
    with pytest.raises(ValueError, match=r"`source` \(='tar'\) must be files or tfds"):
        open_dataset("icdar2015", "x", "train", source="tar")


# The real data
def _totals(dataset):
    annotations = [dataset.annotation(index) for index in range(len(dataset))]
    return (
        len(annotations),
        sum(len(annotation.polygons) for annotation in annotations),
        sum(sum(annotation.ignore) for annotation in annotations),
        sum(not annotation.polygons for annotation in annotations),
        [problem for annotation in annotations for problem in said(annotation)],
    )


def test_real_icdar2015(shared):
    folder = shared / "data/icdar2015"
    assert _totals(Icdar2015(folder, "trainval")) == (1000, 11_886, 7_418, 0, [])
    validation = Icdar2015(folder, "validation")
    assert said(validation) == []
    assert (len(validation), validation.name(0), validation.name(99)) == (100, "img_1.jpg", "img_991.jpg")
    sample = validation[0]
    assert sample.image.shape == (720, 1280, 3)
    assert sample.texts[:3] == ["Genaxis Theatre", "[06]", "###"]


def test_real_msra_td500(shared):
    dataset = MsraTd500(shared / "data/msra_td500", "trainval")
    assert _totals(dataset) == (300, 1_068, 101, 6, [])
    assert said(dataset) == []
    assert len(MsraTd500(shared / "data/msra_td500", "validation")) == 30


def test_real_total_text(shared):
    files = sorted((shared / "data/total_text/annotations").iterdir())
    annotations = [TotalText.parse(path.read_bytes(), path.name) for path in files]
    assert len(files) == 1255
    # Ten of the 10,588 are single points with ###, which outline nothing.
    problems = [problem for annotation in annotations for problem in said(annotation)]
    crossed = [problem for problem in problems if "the outline crosses itself; repaired" in problem]
    bad = [problem for problem in problems if "1 points where at least 3 are needed" in problem]
    assert (len(bad), len(crossed), len(problems)) == (10, 2, 12)
    assert sum(len(annotation.polygons) for annotation in annotations) == 10_588 - 10
    dataset = TotalText(shared / "data/total_text", "trainval")
    assert names(dataset) == ["img3.jpg", "img310.jpg", "img564.jpg"]
    assert [len(dataset[index].polygons) for index in range(3)] == [4, 3, 14]
