"""One's own data: layouts, splits, what is missing, and problems, the same of every format."""

import json
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from configs import common, own_data
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import DATASETS, OWN_DATA, open_dataset
from input_pipeline.datasets.own_data.entries import natural_order
from input_pipeline.datasets.own_data.labelme import LabelMe
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.datasets.sample import Dataset
from input_pipeline.from_config import open_split
from tests.helpers.own_labels import BLURRED, FILES, FOLDERS, HEIGHT, WIDTH, WORD, make, names, write, write_picture
from tests.helpers.pictures import saved, with_orientation
from tests.helpers.problems import said

KINDS = tuple(FILES)


def reader(kind):
    return OWN_DATA[kind.split()[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_samples(kind, tmp_path):
    make(kind, tmp_path, [1, 2, 10])
    dataset = open_dataset(kind.split()[0], tmp_path, "trainval")
    assert isinstance(dataset, Dataset)
    assert said(dataset) == []
    assert names(dataset) == ["img_1.jpg", "img_2.jpg", "img_10.jpg"]
    sample = dataset[2]
    assert sample.name == "img_10.jpg"
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert said(sample) == []
    assert sample.ignore == [False, True]
    assert sample.texts[0] == "word"
    np.testing.assert_array_equal(sample.polygons[0], WORD)
    np.testing.assert_array_equal(sample.polygons[1], BLURRED)


@pytest.mark.parametrize("kind", KINDS)
def test_every_tenth_picture_is_held_out_where_no_others_are(kind, tmp_path):
    make(kind, tmp_path, list(range(1, 24)))
    everything = names(reader(kind)(tmp_path, "trainval"))
    assert everything == [f"img_{number}.jpg" for number in range(1, 24)]
    assert names(reader(kind)(tmp_path, "validation")) == ["img_1.jpg", "img_11.jpg", "img_21.jpg"]
    assert names(reader(kind)(tmp_path, "train")) == [
        name for name in everything if name[4:-4] not in ("1", "11", "21")
    ]
    with pytest.raises(FileNotFoundError, match="no test pictures"):
        reader(kind)(tmp_path, "test")


@pytest.mark.parametrize(
    ("kind", "validation", "test"),
    [
        ("paddleocr", "val.txt", "test.txt"),
        ("mmocr", "textdet_val.json", "textdet_test.json"),
        ("mmocr 0.x", "instances_val.json", "instances_test.json"),
        ("coco_text", "annotations/instances_val2017.json", "test.json"),
        ("textocr", "TextOCR_0.1_val.json", "test.json"),
        ("hiertext", "gt/val.json", "gt/test.jsonl"),
        ("labelme", "val", "test"),
        ("label_studio", "val.json", "test.json"),
        ("via", "val.json", "test.json"),
        ("pascal_voc", "val", "test"),
        ("icdar_folder", "validation", "test"),
    ],
)
def test_labels_of_a_split_are_found_by_name(kind, validation, test, tmp_path):
    make(kind, tmp_path, [1, 2])
    make(kind, tmp_path, [3], validation)
    make(kind, tmp_path, [4], test)
    found = {split: names(reader(kind)(tmp_path, split)) for split in ("train", "validation", "trainval", "test")}
    assert found == {
        "train": ["img_1.jpg", "img_2.jpg"],
        "validation": ["img_3.jpg"],
        "trainval": ["img_1.jpg", "img_2.jpg", "img_3.jpg"],
        "test": ["img_4.jpg"],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_named_by_the_user(kind, tmp_path):
    # Names of which the formats know nothing.
    mine, scored = ("mine", "scored") if kind in FOLDERS else ("a/mine.txt", "a/scored.txt")
    make(kind, tmp_path, [1, 2], mine)
    make(kind, tmp_path, [3], scored)
    options = {"labels": mine, "eval_labels": scored}
    assert names(reader(kind)(tmp_path, "train", **options)) == ["img_1.jpg", "img_2.jpg"]
    assert names(reader(kind)(tmp_path, "validation", **options)) == ["img_3.jpg"]
    assert names(reader(kind)(tmp_path, "test", **options)) == ["img_3.jpg"]
    assert names(reader(kind)(tmp_path, "validation", labels=mine)) == ["img_1.jpg"]
    with pytest.raises(FileNotFoundError, match=r"`labels` \(='nowhere'\) is not there"):
        reader(kind)(tmp_path, "train", labels="nowhere")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_named(kind, tmp_path):
    write(tmp_path / "file", "")
    for folder, words in (("nowhere", "there is no such folder"), ("file", "it is not a folder")):
        with pytest.raises(FileNotFoundError, match=words) as error:
            reader(kind)(tmp_path / folder, "train")
        assert reader(kind).layout in str(error.value)
    make(kind, tmp_path, [1, 2, 3])
    picture = next(tmp_path.rglob("img_2.jpg"))
    picture.unlink()
    dataset = reader(kind)(tmp_path, "trainval")
    if kind == "icdar_folder":
        assert said(dataset) == ["gt_img_2.txt: there is no picture of it"]
    else:
        with pytest.raises(BadPicture, match=r"^img_2\.jpg: there is no such picture in /"):
            dataset[1]
    next(tmp_path.rglob("img_3.jpg")).write_bytes(b"no picture")
    with pytest.raises(BadPicture, match=r"^img_3\.jpg: cannot be decoded"):
        dataset[-1]
    assert dataset[0].texts[0] == "word"
    for path in tmp_path.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"no trainval pictures of {reader(kind).title}"):
        reader(kind)(tmp_path, "trainval")


@pytest.mark.parametrize("kind", KINDS)
def test_threads_read_the_same(kind, tmp_path):
    make(kind, tmp_path, list(range(1, 9)))
    dataset = reader(kind)(tmp_path, "trainval")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: dataset[index].polygons[0].tolist(), [*range(8)] * 8))
    assert found == [WORD] * 64


@pytest.mark.parametrize("again", ["./img_2.jpg", "a/../img_2.jpg", "{}/img_2.jpg", "linked/img_2.jpg"])
def test_a_picture_has_one_name(tmp_path, again):
    make("paddleocr", tmp_path, [1, 2])
    (tmp_path / "linked").symlink_to(tmp_path)
    rows = json.dumps([{"transcription": "word", "points": WORD}])
    lines = [f"{name}\t{rows}" for name in ("img_1.jpg", "img_2.jpg", again.format(tmp_path))]
    write(tmp_path / "train.txt", "\n".join(lines))
    dataset = PaddleOcr(tmp_path, "trainval")
    (problem,) = said(dataset)
    assert "named a second time" in problem
    assert problem.endswith("; this one is left out")
    assert len(dataset) == 2
    # Under any of its names it is the same picture to hold out.
    write(tmp_path / "train.txt", "\n".join(lines[:2]))
    write(tmp_path / "val.txt", lines[2])
    train = PaddleOcr(tmp_path, "train")
    assert names(train) == ["img_1.jpg"]
    assert said(train) == ["train.txt: img_2.jpg: is a picture to score on too; kept out of training"]
    assert len(PaddleOcr(tmp_path, "validation")) == 1
    assert len(PaddleOcr(tmp_path, "trainval")) == 2
    write(tmp_path / "train.txt", lines[1])
    with pytest.raises(FileNotFoundError, match="all of its pictures are to be scored on"):
        PaddleOcr(tmp_path, "train")


@pytest.mark.parametrize("kind", ["mmocr", "coco_text", *FOLDERS])
def test_a_picture_to_score_on_is_not_trained_on(kind, tmp_path):
    validation = {"mmocr": "textdet_val.json", "coco_text": "val.json"}.get(kind, "val")
    make(kind, tmp_path, [1, 2])
    make(kind, tmp_path, [2], validation)
    if kind in FOLDERS:
        (tmp_path / "val/img_2.jpg").unlink()
        (tmp_path / "val/img_2.jpg").symlink_to(tmp_path / "train/img_2.jpg")
    train = reader(kind)(tmp_path, "train")
    assert names(train) == ["img_1.jpg"]
    assert "kept out of training" in said(train)[0]


@pytest.mark.parametrize("kind", FOLDERS)
def test_pictures_of_one_name_in_two_folders_are_two(kind, tmp_path):
    make(kind, tmp_path, [1, 2])
    make(kind, tmp_path, [2, 3], "val")
    write_picture(tmp_path / "val/img_2.jpg", HEIGHT + 9)
    train = reader(kind)(tmp_path, "train")
    assert (names(train), said(train)) == (["img_1.jpg", "img_2.jpg"], [])
    whole = reader(kind)(tmp_path, "trainval")
    assert names(whole) == ["img_1.jpg", "img_2.jpg", "validation/img_2.jpg", "img_3.jpg"]
    assert said(whole) == []
    assert [whole[index].image.shape[0] - HEIGHT for index in range(4)] == [0, 0, 9, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_held_out_and_that_is_said(kind, tmp_path):
    make(kind, tmp_path, [1])
    with pytest.raises(FileNotFoundError, match=r"its only picture, img_1\.jpg, is held out"):
        reader(kind)(tmp_path, "train")
    assert len(reader(kind)(tmp_path, "validation")) == len(reader(kind)(tmp_path, "trainval")) == 1


@pytest.mark.parametrize(
    ("kind", "names"), [("icdar_folder", "gt_NAME.txt, NAME.txt"), ("labelme", "NAME.json"), ("pascal_voc", "NAME.xml")]
)
def test_the_layout_says_what_label_files_are_called(kind, names, tmp_path):
    with pytest.raises(FileNotFoundError, match=names):
        reader(kind)(tmp_path, "train")


def test_a_home_folder_is_found_and_a_name_is_asked_for(tmp_path, monkeypatch):
    make("paddleocr", tmp_path / "x", list(range(1, 12)))
    monkeypatch.setenv("HOME", str(tmp_path))
    config = own_data.get_config("name=paddleocr,dir=~/x,crop=(64,64)")
    assert len(open_split(config, "train")) == 9
    config.data.mix = "paddleocr=~/x"
    assert len(open_split(config, "train")) == 18
    (tmp_path / "x" / FILES["paddleocr"]).rename(tmp_path / "mine.txt")
    config.data.update({"mix": "", "train_labels": "~/mine.txt"})
    assert len(open_split(config, "train")) == 9
    config.data.update({"train_labels": "", "eval_labels": "~/mine.txt"})
    assert len(open_split(config, "eval")) == 11
    with pytest.raises(ValueError, match="icdar_folder, paddleocr, mmocr, coco_text, labelme, label_studio, via"):
        open_split(own_data.get_config(), "train")


def test_a_try_out_of_few_steps_has_no_longer_warmup():
    assert own_data.get_config().train.warmup == 100
    config = own_data.get_config("steps=50")
    assert config.train.warmup == 0
    config.train.steps = 400  # as --config.train.steps=400 does
    assert config.train.warmup == 2
    assert json.loads(config.to_json())["train"]["warmup"] == 2
    assert own_data.get_config("warmup=7").train.warmup == 7
    assert own_data.get_config("cpu").train.warmup == 100
    assert own_data.get_config("cpu,steps=50").train.warmup == 0


def test_pictures_are_turned_upright_unless_told_otherwise(tmp_path):
    make("labelme", tmp_path, [1])
    jpeg = cv2.imencode(".jpg", np.zeros((WIDTH, HEIGHT, 3), np.uint8))[1].tobytes()
    write(tmp_path / "train/img_1.jpg", with_orientation(jpeg, 6))
    assert LabelMe(tmp_path, "trainval")[0].image.shape == (HEIGHT, WIDTH, 3)
    assert said(LabelMe(tmp_path, "trainval")[0]) == []
    stored = LabelMe(tmp_path, "trainval", follow_exif=False)[0]
    assert stored.image.shape == (WIDTH, HEIGHT, 3)
    assert "`follow_exif` is False" in said(stored)[0]


def test_a_picture_with_frames_or_too_many_pixels_is_a_problem_of_its_own(tmp_path):
    make("labelme", tmp_path, [1])
    pages = [np.full((HEIGHT, WIDTH), value, np.uint8) for value in (0, 255)]
    write(tmp_path / "train/img_1.jpg", saved(pages[0], "TIFF", pages[1]))
    sample = LabelMe(tmp_path, "trainval")[0]
    assert (sample.image.max(), said(sample)) == (0, ["img_1.jpg: has 2 frames; the first was read"])
    with pytest.raises(BadPicture, match=rf"^img_1\.jpg: has {WIDTH}×{HEIGHT} pixels .*`config.predict.max_pixels`"):
        LabelMe(tmp_path, "trainval", max_pixels=100)[0]


def test_natural_order():
    ordered = ["2.jpg", "10.jpg", "a/img_2.jpg", "a/img_10.jpg", "b01", "b1", "b" + "9" * 5000]
    assert sorted(sorted(ordered), key=natural_order) == ordered


def test_the_config_names_every_format():
    config = own_data.get_config("cpu,quad")
    assert config.keys() == common.get_config().keys()
    assert config.predict.shape == "quad"
    assert config.model.width == 16
    for name in OWN_DATA:
        assert name in DATASETS
        assert name in own_data.__doc__
