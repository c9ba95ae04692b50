"""Folders with text files in ICDAR's style: where they may lie, and what a line may mean."""

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder, parse_line
from tests.helpers import own_labels
from tests.helpers.own_labels import names, write, write_picture
from tests.helpers.problems import said


@pytest.mark.parametrize("pictures", ["", "images"])
@pytest.mark.parametrize("labels", ["", "labels", "annotations", "gt"])
@pytest.mark.parametrize("pattern", ["gt_{}.txt", "{}.txt", "{}.jpg.txt"])
def test_icdar_folders(pictures, labels, pattern, tmp_path):
    if pictures and not labels:
        labels = "images"
    write_picture(tmp_path / pictures / "img_1.jpg")
    write(tmp_path / labels / pattern.format("img_1"), "\ufeff" + own_labels.icdar_text())
    dataset = IcdarFolder(tmp_path, "trainval")
    assert said(dataset) == []
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


UNTOLD = "the coordinates cannot be told from the transcription"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("10,10,30,10,30,20,10", UNTOLD),
        ("10,10,30,10,30,20,10,word", UNTOLD),
        ("10,10,30,10,40,15,30,20,10,20", UNTOLD),
        ("10,10,30,10,30,20,10,20,1,000", UNTOLD),
        ("10,10,30,10,30,20,1O,20,word", UNTOLD),
        ("10,10,30,10,30,20,10,20,1O,30,40,50,word", UNTOLD),
        ("10,10,30,10,30,20", UNTOLD),
        ("10,10,30,10,30,20,nan,20,word", "'nan' is not a finite number"),
        ("10,10,30,10,30,20,10,20,-inf,20,word", "'-inf' is not a finite number"),
        ("nan,10,30,10,30,20,10,20,word", "'nan' is not a finite number"),
        ("0 0.5 0.5 0.25 0.125", "commas are expected between the numbers"),
        ("10;10;30;10;30;20;10;20;word", "commas are expected between the numbers"),
        ("10\t10\t30\t10\t30\t20\t10\t20\tword, again", "commas are expected between the numbers"),
    ],
)
def test_icdar_lines_that_are_refused(line, reason):
    with pytest.raises(ValueError, match=reason):
        parse_line(line)


BOX = np.array([[38, 43], [920, 43], [920, 215], [38, 215]])


def read_rows(folder, *rows):
    """The sample of a picture with these rows, as a set of its own."""
    write_picture(folder / "1.jpg", 480, 960)
    write(folder / "gt_1.txt", "\n".join(rows))
    return IcdarFolder(folder, "trainval")[0]


TEXTS = ["Tiredness", "kills, 12", "###", "2016"]
BOXES = ["38,43,920,215", "275,264,665,450", "1,2,30,40", "1,2,30,40"]


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ("{box},{text}", TEXTS),
        ('{spaced}, "{text}"', TEXTS),
        ('{blanks} "{text}"', TEXTS),
        ("{blanks}\t{text}", [*TEXTS[:3], "in 2016"]),
        # Transcriptions that begin with numbers, in half of the rows.
        ("{box},{text}", ["5, High Street", "12,000", "###", "word"]),
    ],
)
def test_boxes_of_icdar2013(tmp_path, row, texts):
    forms = [{"box": box, "spaced": box.replace(",", ", "), "blanks": box.replace(",", " ")} for box in BOXES]
    sample = read_rows(tmp_path, *(row.format(**form, text=text) for form, text in zip(forms, texts, strict=True)))
    assert said(sample) == []
    assert sample.texts == texts
    assert sample.ignore == [False, False, True, False]
    np.testing.assert_array_equal(sample.polygons[0], BOX)


@pytest.mark.parametrize(
    ("rows", "bad", "reason"),
    [
        # A polygon among boxes, a box among polygons: neither is what it seems.
        (
            [*["38,43,920,215,a"] * 11, "10,10,30,10,30,20,10,20,b"],
            12,
            f"{UNTOLD}: 8 numbers come first, where the other",
        ),
        ([*["38,43,920,215,a"] * 11, "10,10,30,10,20,20,b"], 12, f"{UNTOLD}: 6 numbers come first, where the other"),
        ([*['38 43 920 215 "a"'] * 11, "10 10 30 10 30 20 10 20 b"], 12, f"{UNTOLD}: 8 numbers come first"),
        ([*["10,10,30,10,30,20,10,20,a"] * 2, "38,43,920,215,b"], 3, "2 points where at least 3 are needed"),
        ([*["38,43,920,215,a"] * 11, "38,43,20,15,b"], 12, "right must be more than left"),
        ([*["38,43,920,215,a"] * 11, "38,43,9O,215,b"], 12, "2 numbers where 4 are needed"),
    ],
)
def test_polygons_and_boxes_are_not_mistaken_for_each_other(tmp_path, rows, bad, reason):
    sample = read_rows(tmp_path, *rows)
    (problem,) = said(sample)
    assert problem.startswith(f"gt_1.txt:{bad}: {reason}")
    assert len(sample.polygons) == len(rows) - 1


@pytest.mark.parametrize(
    "row",
    [
        "0 0.5 0.5 0.25 0.125",
        "0 0.2 0.1 0.9 0.8 0.3 0.4 0.1 0.2",
        "1 2 30 40 50 60 7 8 word",
        "1 2 30 40",
        "100,80,60,30,word",
    ],
)
def test_rows_of_another_format_are_no_boxes(tmp_path, row):
    with pytest.raises(BadPicture, match=r"commas are expected|cannot be told|2 points where at least 3"):
        read_rows(tmp_path, *[row] * 3)


def test_labels_of_another_format_are_no_pictures_without_text(tmp_path):
    for number, text in enumerate(("0 0.5 0.5 0.25 0.125\n" * 4, "<html>404</html>", "", "\n \n"), start=1):
        write_picture(tmp_path / f"{number}.jpg")
        write(tmp_path / f"{number}.txt", text)
    dataset = IcdarFolder(tmp_path, "trainval")
    with pytest.raises(BadPicture) as error:
        dataset[0]
    message = str(error.value)
    assert message.startswith(
        "1.txt: none of its 4 entries can be used, and the picture would seem to be without text: 1: commas are"
    )
    assert message.endswith("'0 0.5 0.5 0.25 0.125'; …")
    with pytest.raises(BadPicture, match=r"2\.txt: its one entry cannot be used"):
        dataset[1]
    assert [dataset[i].polygons for i in (2, 3)] == [[], []]
    assert [said(dataset[i]) for i in (2, 3)] == [[], []]


def test_folders_in_folders_are_read(tmp_path):
    for name in ("images/1", "images/a/1", "images/a/b/2"):
        write_picture(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name.replace('images', 'labels')}.txt", own_labels.icdar_text())
    (tmp_path / "images/loop").symlink_to(tmp_path / "images")
    (tmp_path / "images/gone").symlink_to(tmp_path / "nowhere")
    write_picture(tmp_path / "images/a/3.jpg")
    write(tmp_path / "labels/b/4.txt", "")
    dataset = IcdarFolder(tmp_path, "trainval")
    assert names(dataset) == ["1.jpg", "a/1.jpg", "a/3.jpg", "a/b/2.jpg"]
    assert dataset[3].texts == ["word", "###"]
    assert said(dataset) == ["b/4.txt: there is no picture of it"]
    with pytest.raises(BadPicture, match=r"^a/3\.jpg: has no label file a/gt_3\.txt or a/3\.txt or a/3\.jpg\.txt"):
        dataset[2]


def test_folders_of_other_splits_are_no_folders_of_pictures(tmp_path):
    for name in ("batch/1", "test/2"):
        write_picture(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.txt", own_labels.icdar_text())
    assert names(IcdarFolder(tmp_path, "trainval")) == ["batch/1.jpg"]
    assert names(IcdarFolder(tmp_path, "test")) == ["2.jpg"]


def test_labels_that_two_pictures_share_are_named(tmp_path):
    for name in ("23.jpg", "23.png"):
        write_picture(tmp_path / name)
    write(tmp_path / "gt_23.txt", own_labels.icdar_text())
    assert said(IcdarFolder(tmp_path, "trainval")) == ["gt_23.txt: belongs to 23.jpg and to 23.png by its name"]


def test_real_icdar2015_labels(shared, tmp_path):
    source = shared / "data/icdar2015"
    (tmp_path / "images").symlink_to(source / "ch4_training_images")
    (tmp_path / "gt").symlink_to(source / "ch4_training_localization_transcription_gt")
    ours = IcdarFolder(tmp_path, "trainval")
    theirs = open_dataset("icdar2015", source, "trainval")
    assert names(ours) == names(theirs)
    assert said(ours) == []
    for index in range(0, len(ours), 4):
        annotation, expected = ours.annotation(index), theirs.annotation(index)
        assert annotation.texts == expected.texts
        assert annotation.ignore == expected.ignore
        np.testing.assert_array_equal(annotation.polygons, expected.polygons)
