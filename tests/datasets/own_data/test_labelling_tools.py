"""One's own data: what Label Studio, VIA and the tools that write Pascal VOC's XML may write."""

import json
import math

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.own_data.label_studio import LabelStudio
from input_pipeline.datasets.own_data.pascal_voc import PascalVoc
from input_pipeline.datasets.own_data.stored_names import stored_names
from input_pipeline.datasets.own_data.via import Via
from tests.helpers.own_labels import BLURRED, HEIGHT, WIDTH, WORD, document, encode, make, names, voc_text, write
from tests.helpers.own_labels import write_picture as picture
from tests.helpers.problems import said

TURNED = [[40, 10], [40, 30], [30, 30], [30, 10]]  # 20 wide and 10 high, a quarter clockwise about (40, 10)


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ("/data/upload/1/8ab3-img_1.jpg", "img_1.jpg"),
        ("../../label-studio/data/media/upload/1/8ab3f7c2-img_1.jpg", "images/img_1.jpg"),
        ("\\label-studio\\media\\upload\\1\\8ab3f7c2-img_1.jpg", "img_1.jpg"),
        ("/data/upload/1/8ab3f7c2-img_1.jpg", "images/8ab3f7c2-img_1.jpg"),
        ("/data/upload/12/8ab3f7c2-%C3%A9cran%201.jpg", "écran 1.jpg"),
        ("/data/upload/8ab3-img_1.jpg", "img_1.jpg"),
        ("images/8ab3f7c2-img_1.jpg", "img_1.jpg"),
        ("a/8ab3f7c2-img_1.jpg", "a/img_1.jpg"),
        ("/data/local-files/?d=photos%2Fa%201.jpg", "photos/a 1.jpg"),
        ("/data/local-files/?d=mnt/photos/a.jpg", "a.jpg"),
        ("https://example.org/b/img_1.jpg?token=1", "img_1.jpg"),
        ("s3://bucket/photos/img_1.jpg", "images/img_1.jpg"),
    ],
)
@pytest.mark.parametrize("kind", ["label_studio", "coco_text"])
def test_places_of_label_studio_lead_to_the_pictures(kind, place, there, tmp_path):
    content = document(kind, [1])
    if kind == "label_studio":
        content[0]["data"] = {"name": "word", "ocr": place}
    else:
        content["images"][0]["file_name"] = place
    picture(tmp_path / there)
    write(tmp_path / "train.json", json.dumps(content))
    dataset = open_dataset(kind, tmp_path, "trainval")
    assert (dataset[0].texts[0], said(dataset)) == ("word", [])
    if "upload" in place:
        assert "/" not in names(dataset)[0]


def test_a_coco_export_of_label_studio_is_found(tmp_path):
    picture(tmp_path / "images/8ab3f7c2-img_1.jpg")
    content = document("coco_text", [1])
    content["images"][0]["file_name"] = "images/8ab3f7c2-img_1.jpg"
    write(tmp_path / "result.json", json.dumps(content))
    assert open_dataset("coco_text", tmp_path, "trainval")[0].texts[0] == "word"


@pytest.mark.parametrize("path", ["img_1.jpg", "upload/img_1.jpg", "images/20260101-img_1.jpg", "C:/a.jpg", "[a.jpg"])
def test_ordinary_paths_are_left_as_they_are(path):
    assert stored_names(path) == ()


def label_studio(results, **task):
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"data": {"image": "img_1.jpg"}, "annotations": [{"result": [{**size, **one} for one in results]}], **task}


def test_regions_of_label_studio(tmp_path):
    turned = {"x": 50, "y": 100 / 6, "width": 25, "height": 100 / 6, "rotation": 90}
    word = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in WORD]
    results = [
        {"id": "a", "type": "rectangle", "value": turned},
        {"id": "a", "type": "labels", "value": {**turned, "labels": ["Text"]}},
        {"id": "a", "type": "textarea", "value": {**turned, "text": ["two", "words"]}},
        {"id": "b", "type": "polygonlabels", "value": {"points": word, "polygonlabels": ["Illegible"]}},
        {"id": "c", "type": "textarea", "value": {"text": ["of the whole picture"]}},
        {"id": "d", "type": "rectanglelabels", "value": {**turned, "rectanglelabels": ["Text"]}},
        {"id": "d", "type": "textarea", "value": {"text": "###"}},
        {"type": "relation", "from_id": "a", "to_id": "b"},
        {"id": "e", "type": "brushlabels", "value": {"format": "rle", "rle": [1, 2], "brushlabels": ["Text"]}},
        {"id": "f", "type": "ellipselabels", "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5}},
        {"id": "g", "type": "rectanglelabels", "value": turned, "image_rotation": 90},
    ]
    picture(tmp_path / "img_1.jpg")
    write(tmp_path / "train.json", json.dumps([label_studio(results)]))
    sample = LabelStudio(tmp_path, "trainval")[0]
    assert sample.texts == ["two words", "", "###", ""]
    assert sample.ignore == [False, True, True, False]
    np.testing.assert_allclose(sample.polygons[0], TURNED, atol=1e-4)
    np.testing.assert_array_equal(sample.polygons[1], WORD)
    np.testing.assert_allclose(sample.polygons[3].max(axis=0), [40 + 8, 30 + 3], atol=1e-4)
    assert [problem.split(": ")[1:3] for problem in said(sample)] == [
        ["img_1.jpg:4", "a brush is no outline of text; export it as COCO, and read it as coco_text"],
        ["img_1.jpg:6", "`image_rotation` (=90) is not supported; 0 is"],
    ]


def test_tasks_of_label_studio_that_nobody_has_labelled(tmp_path):
    region = {"id": "a", "type": "rectangle", "value": {"x": 12.5, "y": 10, "width": 25, "height": 10}}
    good, other = (label_studio([region])["annotations"][0], {"result": [], "ground_truth": True})
    for number in range(1, 8):
        picture(tmp_path / f"img_{number}.jpg")
    answers = [
        {"annotations": [good]},
        {"annotations": []},
        {"annotations": [{"was_cancelled": True, "result": []}]},
        {"annotations": [{"result": []}]},
        {"annotations": [good, other]},
        {"completions": [good]},
    ]
    tasks = [{"data": {"image": f"img_{i}.jpg"}, **answer} for i, answer in enumerate(answers, 1)]
    write(tmp_path / "project-1-at-2026-01-09.json", json.dumps([*tasks, {"image": "img_7.jpg", "bbox": []}]))
    write(tmp_path / "project-1-at-2025-12-31.json", "an older one")
    dataset = LabelStudio(tmp_path, "trainval")
    kept = names(dataset)
    assert sorted(kept[:4]) == ["img_1.jpg", "img_4.jpg", "img_5.jpg", "img_6.jpg"]
    assert [len(dataset[index].polygons) for index in range(4)] == [1, 0, 0, 1]
    assert [problem.split(": ", 1)[1] for problem in said(dataset)] == [
        "task 2: img_2.jpg: has no annotation; left out",
        "task 3: img_3.jpg: has no annotation; left out",
        "task 5: img_5.jpg: has 2 annotations; the ground truth, or else the first, is used",
    ]
    with pytest.raises(BadPicture, match="task 7: has no `data`: export the project as JSON; JSON-MIN is not read"):
        dataset[4]


def test_regions_of_via(tmp_path):
    xs, ys = ([float(x) for x in axis] for axis in zip(*WORD, strict=True))
    shapes = [
        {"name": "polyline", "all_points_x": [*xs, xs[0]], "all_points_y": [*ys, ys[0]]},
        {"name": "polyline", "all_points_x": xs, "all_points_y": ys},
        {"name": "circle", "cx": 40, "cy": 30, "r": 10},
        {"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10, "theta": math.pi / 2},
        {"name": "point", "cx": 40, "cy": 30},
        {"name": "polygon", "all_points_x": [], "all_points_y": []},
    ]
    attributes = [
        {"Text": "a", "ignore": {}},
        {"anything": "b"},
        {"label": "c", "difficult": {"yes": True}},
        {"text": "d", "illegible": "no"},
        {},
        {},
    ]
    regions = [
        {"shape_attributes": shape, "region_attributes": region}
        for shape, region in zip(shapes, attributes, strict=True)
    ]
    picture(tmp_path / "images/img_1.jpg")
    # VIA 1: without a project around it, and the regions by their numbers.
    content = {"img_1.jpg1": {"filename": "img_1.jpg", "regions": {str(i): one for i, one in enumerate(regions)}}}
    write(tmp_path / "via_region_data.json", json.dumps(content))
    sample = Via(tmp_path, "trainval")[0]
    assert sample.texts == ["a", "b", "c", "d"]
    assert sample.ignore == [False, False, True, False]
    np.testing.assert_array_equal(sample.polygons[0][:4], WORD)
    for polygon, half in zip(sample.polygons[2:], ([10, 10], [10, 20]), strict=True):
        np.testing.assert_allclose(polygon.min(axis=0), np.subtract([40, 30], half))
        np.testing.assert_allclose(polygon.max(axis=0), np.add([40, 30], half))
    assert [problem.split(": ")[2] for problem in said(sample)] == [
        "a polyline whose ends do not meet, closed; kept as it is",
        "a region of the shape 'point' is no outline of text",
        "0 points where at least 3 are needed",
    ]


def voc(*objects):
    return f"<annotation>{''.join(f'<object>{one}</object>' for one in objects)}</annotation>"


BOX = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"


def test_objects_of_pascal_voc(tmp_path):
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in BLURRED)
    # Centre, size and angle of the box that TURNED is.
    turned = f"<robndbox><cx>35</cx><cy>20</cy><w>20</w><h>10</h><angle>{math.pi / 2}</angle></robndbox>"
    picture(tmp_path / "img_1.jpg")
    write(
        tmp_path / "img_1.xml",
        voc(
            f"<type>robndbox</type><name>turned</name>{turned}",
            f"<name>points &amp; more</name><polygon>{points}</polygon>{BOX}",
            f"<name>###</name>{BOX}",
            f"<name>a</name><difficult>1</difficult>{BOX}",
            "<name>b</name>",
            f"<name>c</name>{BOX.replace('30', 'nan')}",
        ),
    )
    sample = PascalVoc(tmp_path, "trainval")[0]
    assert sample.texts == ["turned", "points & more", "###", "a"]
    assert sample.ignore == [False, False, True, True]
    np.testing.assert_allclose(sample.polygons[0], TURNED, atol=1e-4)
    np.testing.assert_array_equal(sample.polygons[1], BLURRED)
    np.testing.assert_array_equal(sample.polygons[2], WORD)
    first, second = said(sample)
    assert first.startswith("img_1.xml:5: no `bndbox`, `robndbox` or `polygon` in it")
    assert second.startswith("img_1.xml:6: `xmax` (='nan') must be a number")


def test_the_picture_of_a_pascal_voc_file(tmp_path):
    # The challenge's folders; a mask of the picture's name, a file of another name, and one of no picture.
    for name in ("1.jpg", "1.png", "2.jpg", "3.jpg", "6.jpg"):
        picture(tmp_path / "JPEGImages" / name)
    for stem, name in (
        ("1", "1.jpg"),
        ("two", "C:\\photos\\2.jpg"),
        ("8ab3f7c2-6", "8ab3f7c2-6"),
        ("4", "4.jpg"),
        ("5", ""),
    ):
        write(tmp_path / f"Annotations/{stem}.xml", voc_text(name))
    dataset = PascalVoc(tmp_path, "trainval")
    assert names(dataset) == ["1.jpg", "2.jpg", "4.jpg", "6.jpg"]
    assert [dataset[index].texts[0] for index in (0, 1, 3)] == ["word", "word", "word"]
    with pytest.raises(BadPicture, match=r"4\.jpg: there is no such picture in "):
        dataset[2]
    assert said(dataset) == [
        "5.xml: not one picture of its name, and no `filename` in it; left out",
        "1.png: has no label file; left out",
        "3.jpg: has no label file; left out",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "GBK", "utf-16"])
def test_encodings_that_pascal_voc_declares(encoding, tmp_path):
    make("pascal_voc", tmp_path, [1])
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + voc_text("img_1.jpg").replace("word", "出口")
    write(tmp_path / "train/img_1.xml", text.encode(encoding))
    sample = PascalVoc(tmp_path, "trainval")[0]
    assert (sample.texts[0], said(sample)) == ("出口", [])


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + voc("<name>&b;</name>")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "declares a document type, which labels have no need of; refused"),
        ("<a/>", "<a> where <annotation> is needed"),
        ("<annotation>", "not XML: "),
    ],
)
def test_xml_that_is_no_label_file(text, reason, tmp_path):
    make("pascal_voc", tmp_path, [1])
    write(tmp_path / "train/img_1.xml", text)
    with pytest.raises(BadPicture, match=rf"^img_1\.jpg: its labels cannot be used: img_1\.xml: {reason}"):
        PascalVoc(tmp_path, "trainval")[0]


def test_a_new_format_is_read_in_every_spelling(tmp_path):
    picture(tmp_path / "Cafe\u0301 1.jpg")
    write(tmp_path / "Caf\u00e9 1.xml", voc_text("x.jpg"))
    content = encode("via", document("via", [1])).decode().replace('img_1.jpg"', 'Caf%C3%A9%201.jpg"')
    write(tmp_path / "train.json", content)
    for kind in ("pascal_voc", "via"):
        dataset = open_dataset(kind, tmp_path, "trainval")
        assert (dataset[0].texts[0], said(dataset)) == ("word", [])
