"""One's own data: each format's layout, splits, what is missing, and the quirks of each."""

import gzip
import json
import threading

import cv2
import numpy as np
import own_labels
import pytest
from own_labels import (
    BLURRED,
    FILES,
    FLAT_BLURRED,
    FLAT_WORD,
    HEIGHT,
    WIDTH,
    WORD,
    document,
    encode,
    make,
    write,
    write_picture,
)

from configs import common, own_data
from dbnet_jax.decode import BadPicture
from input_pipeline.datasets import DATASETS, OWN_DATA, open_dataset
from input_pipeline.datasets.coco import CocoText
from input_pipeline.datasets.hiertext import HierText
from input_pipeline.datasets.icdar_folder import IcdarFolder, parse_line
from input_pipeline.datasets.labelled import MAX_NAMED, natural_order
from input_pipeline.datasets.labelme import LabelMe
from input_pipeline.datasets.mmocr import MmOcr
from input_pipeline.datasets.paddleocr import PaddleOcr
from input_pipeline.datasets.sample import Dataset
from input_pipeline.datasets.textocr import TextOcr

KINDS = tuple(FILES)


def names(dataset):
    return [dataset.name(index) for index in range(len(dataset))]


def reader(kind):
    return OWN_DATA[kind.split()[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_samples(kind, tmp_path):
    make(kind, tmp_path, [1, 2, 10])
    dataset = open_dataset(kind.split()[0], tmp_path, "trainval")
    assert isinstance(dataset, Dataset)
    assert dataset.problems == []
    assert names(dataset) == ["img_1.jpg", "img_2.jpg", "img_10.jpg"]
    sample = dataset[2]
    assert sample.name == "img_10.jpg"
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.problems == []
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
    mine, scored = ("mine", "scored") if kind in ("labelme", "icdar_folder") else ("a/mine.txt", "a/scored.txt")
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
    with pytest.raises(FileNotFoundError) as error:
        reader(kind)(tmp_path / "nowhere", "train")
    assert reader(kind).layout in str(error.value)
    assert "there is no such folder" in str(error.value)
    make(kind, tmp_path, [1, 2, 3])
    picture = next(tmp_path.rglob("img_2.jpg"))
    picture.unlink()
    dataset = reader(kind)(tmp_path, "trainval")
    if kind == "icdar_folder":
        assert dataset.problems == ["gt_img_2.txt: there is no picture of it"]
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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("icdar_folder", "labelme", "paddleocr")])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"null", b'{"images": 3}', b"[" * 100_000, b"9" * 5000])
def test_a_file_of_something_else_is_an_error_that_names_it(kind, data, tmp_path):
    write(tmp_path / FILES[kind], data)
    with pytest.raises((ValueError, FileNotFoundError), match=FILES[kind].split("/")[-1]):
        reader(kind)(tmp_path, "trainval")


@pytest.mark.parametrize("kind", KINDS)
def test_threads_read_the_same(kind, tmp_path):
    make(kind, tmp_path, list(range(1, 9)))
    dataset = reader(kind)(tmp_path, "trainval")
    found = [[] for _ in range(8)]

    def read(thread):
        found[thread] = [dataset[index].polygons[0].tolist() for index in range(len(dataset))]

    threads = [threading.Thread(target=read, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[WORD] * 8] * 8


def test_problems_are_named_up_to_a_number_and_counted(tmp_path):
    make("paddleocr", tmp_path, [1])
    rows = [{"transcription": "a", "points": [[0, 0], [1, 1]]}] * (MAX_NAMED + 5)
    lines = [f"img_1.jpg\t{json.dumps(rows)}", *["no tab"] * (MAX_NAMED + 3), "img_1.jpg\t[]"]
    write(tmp_path / "train.txt", "\n".join(lines))
    dataset = PaddleOcr(tmp_path, "trainval")
    assert dataset.problems[0].startswith("train.txt:2: no tab between the picture's path and its instances")
    assert dataset.problems[MAX_NAMED] == "… and 3 more: bad lines"
    assert dataset.problems[MAX_NAMED + 1] == "train.txt: img_1.jpg: named a second time; this one is left out"
    problems = dataset[0].problems
    assert len(problems) == MAX_NAMED + 1
    assert problems[0].startswith("train.txt: img_1.jpg:1: 2 points where at least 3 are needed: '{")
    assert problems[-1] == "train.txt: img_1.jpg: … and 5 more problems"


def test_a_picture_of_another_size_than_its_labels_say_is_named(tmp_path):
    make("mmocr", tmp_path, [1, 2])
    write_picture(tmp_path / "img_2.jpg", WIDTH, HEIGHT)
    dataset = MmOcr(tmp_path, "trainval")
    assert dataset[0].problems == []
    (problem,) = dataset[1].problems
    assert problem.startswith(
        "textdet_train.json: img_2.jpg: the picture is 60 wide and 80 high, its labels are for 80"
    )


def test_pictures_are_turned_upright_unless_told_otherwise(tmp_path):
    make("labelme", tmp_path, [1])
    jpeg = cv2.imencode(".jpg", np.zeros((WIDTH, HEIGHT, 3), np.uint8))[1].tobytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6, turned by 90°
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    write(tmp_path / "train/img_1.jpg", jpeg[:2] + segment + jpeg[2:])
    assert LabelMe(tmp_path, "trainval")[0].image.shape == (HEIGHT, WIDTH, 3)
    assert LabelMe(tmp_path, "trainval")[0].problems == []
    stored = LabelMe(tmp_path, "trainval", follow_exif=False)[0]
    assert stored.image.shape == (WIDTH, HEIGHT, 3)
    assert "`follow_exif` is False" in stored.problems[0]


def test_natural_order():
    ordered = ["2.jpg", "10.jpg", "a/img_2.jpg", "a/img_10.jpg", "b01", "b1", "b" + "9" * 5000]
    assert sorted(sorted(ordered), key=natural_order) == ordered


def test_paths_of_paddleocr(tmp_path):
    # PPOCRLabel writes paths from the folder above, and on Windows with backslashes.
    make("paddleocr", tmp_path / "photos", [1, 2], "Label.txt")
    rows = json.dumps([{"transcription": "*", "points": WORD, "difficult": False}])
    write(tmp_path / "photos/Label.txt", f"photos/img_1.jpg\t{rows}\r\nphotos\\img_2.jpg\t{rows}\r\n")
    dataset = PaddleOcr(tmp_path / "photos", "trainval")
    assert names(dataset) == ["photos/img_1.jpg", "photos/img_2.jpg"]
    assert [dataset[i].ignore for i in range(2)] == [[True], [True]]


def test_boxes_stand_in_for_polygons(tmp_path):
    content = document("mmocr", [1])
    for instance in content["data_list"][0]["instances"]:
        del instance["polygon"]
    make("mmocr", tmp_path, [1])
    write(tmp_path / FILES["mmocr"], encode("mmocr", content))
    np.testing.assert_array_equal(MmOcr(tmp_path, "trainval")[0].polygons[0], WORD)
    content = document("coco_text", [1])
    for annotation in content["annotations"]:
        annotation["segmentation"] = []
    write(tmp_path / "train.json", encode("coco_text", content))
    np.testing.assert_array_equal(CocoText(tmp_path, "trainval")[0].polygons[0], WORD)


def test_coco_rings_and_masks_are_instances(tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:21, 10:31] = 1
    mask[40:50, 50:60] = 1
    flat = np.concatenate([[0], mask.T.ravel()])
    counts = np.diff(np.flatnonzero(np.diff(np.concatenate([flat, [2]]))), prepend=0).tolist()
    content = document("coco_text", [1])
    content["annotations"] = [
        {"image_id": 0, "segmentation": [FLAT_WORD, FLAT_BLURRED], "utf8_string": "two"},
        {"image_id": 0, "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}, "iscrowd": 1},
        {"image_id": 0, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [1]}},
        {"image_id": 7, "segmentation": [FLAT_WORD]},
    ]
    make("coco_text", tmp_path, [1])
    write(tmp_path / "train.json", encode("coco_text", content))
    dataset = CocoText(tmp_path, "trainval")
    assert dataset.problems == ["train.json: annotations[3]: there is no picture '7'; left out"]
    sample = dataset[0]
    assert sample.texts == ["two", "two", "", ""]
    assert sample.ignore == [False, False, True, True]
    np.testing.assert_array_equal(sample.polygons[1], BLURRED)
    areas = sorted(cv2.contourArea(polygon) for polygon in sample.polygons[2:])
    assert areas == [9 * 9, 20 * 10]
    (problem,) = sample.problems
    assert problem.startswith("train.json: img_1.jpg:3: `counts` fill 1 of the mask's 4800 pixels")


def test_the_sets_of_coco_text_are_its_splits(tmp_path):
    content = document("coco_text v2", [1, 2, 3])
    content["imgs"]["1"]["set"] = "val"
    make("coco_text v2", tmp_path, [1, 2, 3])
    write(tmp_path / FILES["coco_text v2"], encode("coco_text v2", content))
    assert names(CocoText(tmp_path, "train")) == ["img_1.jpg", "img_3.jpg"]
    assert names(CocoText(tmp_path, "validation")) == ["img_2.jpg"]
    assert len(CocoText(tmp_path, "trainval")) == 3


def test_textocr_pictures_lie_in_another_folder_than_the_file_says(tmp_path):
    content = document("textocr", [1])
    content["imgs"]["0"]["file_name"] = "train/img_1.jpg"
    write_picture(tmp_path / "train_images/img_1.jpg")
    write(tmp_path / FILES["textocr"], encode("textocr", content))
    assert TextOcr(tmp_path, "trainval")[0].name == "train/img_1.jpg"


def test_hiertext_words_or_lines(tmp_path):
    make("hiertext", tmp_path, [1])
    lines = HierText(tmp_path, "trainval", granularity="line")[0]
    np.testing.assert_array_equal(lines.polygons, [[[10, 10], [62, 10], [62, 45], [10, 45]]])
    assert lines.texts == ["word"]
    with pytest.raises(ValueError, match=r"`granularity` \(='page'\)"):
        HierText(tmp_path, "trainval", granularity="page")
    # A line a picture, packed; text that nobody outlined is not to care for.
    content = document("hiertext", [1])["annotations"][0]
    content["paragraphs"][0]["lines"].append({"vertices": BLURRED, "legible": True, "words": []})
    content["paragraphs"].append({"vertices": WORD, "legible": True})
    second = {**content, "image_id": "img_2"}
    write_picture(tmp_path / "train/img_2.jpg")
    (tmp_path / "gt/train.jsonl").unlink()
    data = f"{json.dumps(content)}\n{{\n{json.dumps(second)}\n"
    write(tmp_path / "gt/train.jsonl.gz", gzip.compress(data.encode()))
    dataset = HierText(tmp_path, "trainval")
    assert names(dataset) == ["img_1.jpg", "img_2.jpg"]
    (problem,) = dataset.problems
    assert problem.startswith("train.jsonl.gz:2: the line: not JSON: ")
    assert dataset[1].ignore == [False, True, True, True]
    assert HierText(tmp_path, "trainval", granularity="line")[1].ignore == [False, False, True]
    write(tmp_path / "gt/train.jsonl.gz", gzip.compress(data.encode())[:-9])
    with pytest.raises(ValueError, match=r"train\.jsonl\.gz: a damaged gzip file"):
        HierText(tmp_path, "trainval")


def test_labelme_shapes(tmp_path):
    content = document("labelme", [1])
    content["shapes"] = [
        {"label": "###", "points": WORD, "flags": None},
        {"label": "turned", "points": WORD, "shape_type": "rotation", "difficult": True},
        {"label": "round", "points": [[0, 0], [5, 5]], "shape_type": "circle"},
        {"label": 2016, "points": WORD, "shape_type": "polygon"},
    ]
    write_picture(tmp_path / "photos/a.png")
    write_picture(tmp_path / "b.png")
    write(tmp_path / "odd.json", json.dumps({**content, "imagePath": "photos\\a.png"}))
    write(tmp_path / "settings.json", "{}")
    dataset = LabelMe(tmp_path, "trainval")
    assert names(dataset) == ["photos/a.png"]
    assert dataset.problems == [
        "settings.json: no picture of this name, and no `imagePath` in it; left out",
        "b.png: has no label file; left out",
    ]
    sample = dataset[0]
    assert sample.texts == ["###", "turned", "2016"]
    assert sample.ignore == [True, True, False]
    assert sample.problems[0].startswith("odd.json:3: a shape of type 'circle' is no outline of text")
    write(tmp_path / "odd.json", json.dumps({"imagePath": "photos/a.png", "shapes": 5}))
    with pytest.raises(BadPicture, match=r"photos/a.png: its labels cannot be used: `shapes` \(=5\) must be a list"):
        LabelMe(tmp_path, "trainval")[0]


def test_parts_of_a_wrong_type_are_named(tmp_path):
    content = document("hiertext", [1])
    content["annotations"][0]["paragraphs"][0]["lines"].append({"vertices": WORD, "words": 5})
    content["annotations"][0]["paragraphs"].append("no paragraph")
    make("hiertext", tmp_path, [1])
    write(tmp_path / FILES["hiertext"], encode("hiertext", content))
    sample = HierText(tmp_path, "trainval")[0]
    assert len(sample.polygons) == 2
    assert sample.problems == [
        "train.jsonl: img_1.jpg:3: `word` (=5) must be an object: '5'",
        "train.jsonl: img_1.jpg:4: `word` (='no paragraph') must be an object: '\"no paragraph\"'",
    ]


def test_ids_that_two_pictures_have_are_named(tmp_path):
    content = document("coco_text", [1, 2])
    content["images"][1]["id"] = 0
    make("coco_text", tmp_path, [1, 2])
    write(tmp_path / FILES["coco_text"], encode("coco_text", content))
    dataset = CocoText(tmp_path, "trainval")
    assert names(dataset) == ["img_1.jpg"]
    assert dataset.problems == [
        "train.json: images[1]: the id '0' is taken by another; left out",
        "train.json: annotations[2]: there is no picture '1'; left out",
        "train.json: annotations[3]: there is no picture '1'; left out",
    ]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([1, 2, 3, 4, 5, 6, 7], "`polygon` holds 7 numbers where pairs are needed"),
        ([1, 2, 3, True, 5, 6], "`polygon` holds True where a number is needed"),
        ([1, 2, 3, "4", 5, 6], "`polygon` holds '4' where a number is needed"),
        ([1, 2, 3, float("nan"), 5, 6], "`polygon` holds nan, which is not finite or lies far outside of any picture"),
        ([1, 2, 3, -1e7, 5, 6], "`polygon` holds -10000000.0, which is not finite or lies far outside of any picture"),
        (
            [1, 2, 3, 10**999, 5, 6],
            "`polygon` holds an integer of many digits, which is not finite or lies far outside",
        ),
        ([[1, 2], [3, 4], [5, 6]], "`polygon` holds [1, 2] where a number is needed"),
        ({"x": 1}, "`polygon` (={'x': 1}) must be a list"),
        ([1, 1, 2, 2, 3, 3], "the outline has no area"),
    ],
)
def test_what_is_no_outline_is_named(points, reason, tmp_path):
    content = document("mmocr", [1])
    content["data_list"][0]["instances"][0]["polygon"] = points
    make("mmocr", tmp_path, [1])
    write(tmp_path / FILES["mmocr"], encode("mmocr", content))
    sample = MmOcr(tmp_path, "trainval")[0]
    assert sample.ignore == [True]
    (problem,) = sample.problems
    assert problem.startswith(f"textdet_train.json: img_1.jpg:1: {reason}")


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


def test_the_config_names_every_format():
    config = own_data.get_config("cpu,quad")
    assert config.keys() == common.get_config().keys()
    assert config.predict.shape == "quad"
    assert config.model.width == 16
    for name in OWN_DATA:
        assert name in DATASETS
        assert name in own_data.__doc__
