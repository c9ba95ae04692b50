"""One's own data: the quirks of each format."""

import gzip
import json

import cv2
import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.own_data.coco import CocoText
from input_pipeline.datasets.own_data.hiertext import HierText
from input_pipeline.datasets.own_data.labelme import LabelMe
from input_pipeline.datasets.own_data.mmocr import MmOcr
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.datasets.own_data.textocr import TextOcr
from tests.helpers.own_labels import (
    BLURRED,
    FLAT_BLURRED,
    FLAT_WORD,
    HEIGHT,
    WIDTH,
    WORD,
    document,
    encode,
    make,
    names,
    write,
    write_picture,
)
from tests.helpers.problems import said


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
    make("mmocr", tmp_path, [1], content=content)
    np.testing.assert_array_equal(MmOcr(tmp_path, "trainval")[0].polygons[0], WORD)
    for nothing in ([], [[]], None):
        content = document("coco_text", [1])
        for annotation in content["annotations"]:
            annotation["segmentation"] = nothing
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
    make("coco_text", tmp_path, [1], content=content)
    dataset = CocoText(tmp_path, "trainval")
    assert said(dataset) == ["train.json: annotations[3]: there is no picture '7'; left out"]
    sample = dataset[0]
    assert sample.texts == ["two", "two", "", ""]
    assert sample.ignore == [False, False, True, True]
    np.testing.assert_array_equal(sample.polygons[1], BLURRED)
    areas = sorted(cv2.contourArea(polygon) for polygon in sample.polygons[2:])
    assert areas == [9 * 9, 20 * 10]
    (problem,) = said(sample)
    assert problem.startswith("train.json: img_1.jpg:3: `counts` fill 1 of the mask's 4800 pixels")


def test_the_sets_of_coco_text_are_its_splits(tmp_path):
    content = document("coco_text v2", [1, 2, 3])
    content["imgs"]["1"]["set"] = "val"
    make("coco_text v2", tmp_path, [1, 2, 3], content=content)
    assert names(CocoText(tmp_path, "train")) == ["img_1.jpg", "img_3.jpg"]
    assert names(CocoText(tmp_path, "validation")) == ["img_2.jpg"]
    assert len(CocoText(tmp_path, "trainval")) == 3


def test_textocr_pictures_lie_in_another_folder_than_the_file_says(tmp_path):
    content = document("textocr", [1])
    content["imgs"]["0"]["file_name"] = "train/img_1.jpg"
    write_picture(tmp_path / "train_images/img_1.jpg")
    write(tmp_path / "TextOCR_0.1_train.json", encode("textocr", content))
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
    assert names(dataset) == ["img_1.jpg", "img_2.jpg", "train.jsonl.gz:2"]
    with pytest.raises(BadPicture, match=r"train\.jsonl\.gz:2: the line: not JSON: "):
        dataset[2]
    assert dataset[1].ignore == [False, True, True, True]
    assert HierText(tmp_path, "trainval", granularity="line")[1].ignore == [False, False, True]
    write(tmp_path / "gt/train.jsonl.gz", gzip.compress(data.encode())[:-9])
    with pytest.raises(ValueError, match=r"train\.jsonl\.gz: a damaged gzip file"):
        HierText(tmp_path, "trainval")


def test_hiertext_dont_care(tmp_path):
    content = document("hiertext", [1])
    content["annotations"][0]["paragraphs"][0]["lines"][0]["words"][0]["text"] = "###"
    make("hiertext", tmp_path, [1], content=content)
    assert HierText(tmp_path, "trainval")[0].ignore == [True, True]


@pytest.mark.parametrize("key", [1.0, "1"])
def test_ids_are_numbers_or_their_digits(tmp_path, key):
    content = document("coco_text", [1, 2])
    for annotation in content["annotations"][2:]:
        annotation["image_id"] = key
    make("coco_text", tmp_path, [1, 2], content=content)
    dataset = CocoText(tmp_path, "trainval")
    assert said(dataset) == []
    assert dataset[1].texts == ["word", ""]


def test_labelme_folders_in_folders(tmp_path):
    for part in ("a", "b"):
        make("labelme", tmp_path, [1], part)
    write_picture(tmp_path / "b/c/2.jpg")
    content = {**document("labelme", [1]), "imagePath": "../../a/3.jpg"}
    write(tmp_path / "b/c/3.json", encode("labelme", content))
    write_picture(tmp_path / "a/3.jpg")
    dataset = LabelMe(tmp_path, "trainval")
    assert names(dataset) == ["a/3.jpg", "a/img_1.jpg", "b/img_1.jpg"]
    assert said(dataset) == ["b/c/2.jpg: has no label file; left out"]
    assert said(dataset[0]) == []


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
    assert said(dataset) == [
        "settings.json: no picture of this name, and no `imagePath` in it; left out",
        "b.png: has no label file; left out",
    ]
    sample = dataset[0]
    assert sample.texts == ["###", "turned", "2016"]
    assert sample.ignore == [True, True, False]
    assert said(sample)[0].startswith("odd.json:3: a shape of type 'circle' is no outline of text")
    write(tmp_path / "odd.json", json.dumps({"imagePath": "photos/a.png", "shapes": 5}))
    with pytest.raises(BadPicture, match=r"photos/a.png: its labels cannot be used: `shapes` \(=5\) must be a list"):
        LabelMe(tmp_path, "trainval")[0]


def test_parts_of_a_wrong_type_are_named(tmp_path):
    content = document("hiertext", [1])
    content["annotations"][0]["paragraphs"][0]["lines"].append({"vertices": WORD, "words": 5})
    content["annotations"][0]["paragraphs"].append("no paragraph")
    make("hiertext", tmp_path, [1], content=content)
    sample = HierText(tmp_path, "trainval")[0]
    assert len(sample.polygons) == 2
    assert said(sample) == [
        "train.jsonl: img_1.jpg:3: `word` (=5) must be an object: '5'",
        "train.jsonl: img_1.jpg:4: `word` (='no paragraph') must be an object: '\"no paragraph\"'",
    ]


def test_ids_that_two_pictures_have_are_named(tmp_path):
    content = document("coco_text", [1, 2])
    content["images"][1]["id"] = 0
    make("coco_text", tmp_path, [1, 2], content=content)
    dataset = CocoText(tmp_path, "trainval")
    assert names(dataset) == ["img_1.jpg"]
    assert said(dataset) == [
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
        ([1, 2, 3, 10**999, 5, 6], f"`polygon` holds 1{'0' * 38}…, which is not finite or lies far outside"),
        ([[1, 2], [3, 4], [5, 6]], "`polygon` holds [1, 2] where a number is needed"),
        ({"x": 1}, "`polygon` (={'x': 1}) must be a list"),
        ([1, 1, 2, 2, 3, 3], "the outline has no area"),
    ],
)
def test_what_is_no_outline_is_named(points, reason, tmp_path):
    content = document("mmocr", [1])
    content["data_list"][0]["instances"][0]["polygon"] = points
    make("mmocr", tmp_path, [1], content=content)
    sample = MmOcr(tmp_path, "trainval")[0]
    assert sample.ignore == [True]
    (problem,) = said(sample)
    assert problem.startswith(f"textdet_train.json: img_1.jpg:1: {reason}")


def test_boxes_of_cvat_are_turned_about_their_centre(tmp_path):
    content = document("coco_text", [1])
    box = {"image_id": 0, "segmentation": [], "bbox": [10, 10, 40, 20]}
    content["annotations"] = [
        {**box, "attributes": {"rotation": 90.0, "text": "down"}},
        {**box, "attributes": {"rotation": 330.0, "text": True}},
        {**box, "attributes": {"rotation": 360.0}},
        {**box, "segmentation": [FLAT_WORD], "attributes": {"rotation": 90.0}},
    ]
    make("coco_text", tmp_path, [1], content=content)
    sample = CocoText(tmp_path, "trainval")[0]
    assert said(sample) == []
    assert sample.texts == ["down", "", "", ""]
    # Clockwise on the screen, where y points down: the top left corner comes to the top right.
    np.testing.assert_allclose(sample.polygons[0], [[40, 0], [40, 40], [20, 40], [20, 0]], atol=1e-4)
    start, end = sample.polygons[1][:2]
    np.testing.assert_allclose(end - start, [40 * 3**0.5 / 2, -20], atol=1e-4)
    np.testing.assert_allclose(sample.polygons[1].mean(axis=0), [30, 20], atol=1e-4)
    np.testing.assert_array_equal(sample.polygons[2], [[10, 10], [50, 10], [50, 30], [10, 30]])
    np.testing.assert_array_equal(sample.polygons[3], WORD)


@pytest.mark.parametrize(
    ("corners", "doubt"),
    [
        ([10, 10, 30, 20], ""),
        ([30, 10, 10, 20], ""),
        ([12, 13, 14, 15], "an outline of 2 points, and the `bbox` beside it is used"),
        ([12, 13], "an outline of 1 point, and the `bbox` beside it is used"),
    ],
)
def test_two_corners_beside_a_box_are_the_box(tmp_path, corners, doubt):
    coco, mmocr = document("coco_text", [1]), document("mmocr", [1])
    coco["annotations"][0]["segmentation"] = [corners]
    mmocr["data_list"][0]["instances"][0]["polygon"] = corners
    make("coco_text", tmp_path, [1], content=coco)
    make("mmocr", tmp_path, [1], content=mmocr)
    for sample in (CocoText(tmp_path, "trainval")[0], MmOcr(tmp_path, "trainval")[0]):
        np.testing.assert_array_equal(sample.polygons[0], WORD)
        assert [problem.split(": ")[2].split(";")[0] for problem in said(sample)] == [doubt] * bool(doubt)


def test_without_a_box_of_its_own_an_outline_needs_three_points(tmp_path):
    content = document("coco_text", [1])
    content["annotations"][0]["segmentation"] = [[10, 10, 30, 20], FLAT_BLURRED]  # a box around both
    del content["annotations"][1]["bbox"]
    content["annotations"][1]["segmentation"] = [[10, 10, 30, 20]]
    make("coco_text", tmp_path, [1], content=content)
    sample = CocoText(tmp_path, "trainval")[0]
    np.testing.assert_array_equal(sample.polygons, [BLURRED])
    assert [": 2 points where at least 3 are needed" in problem for problem in said(sample)] == [True, True]
