"""Small data sets in each of the formats of one's own data, all of the same pictures and outlines."""

import json
import pathlib
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 60, 80
WORD = [[10, 10], [30, 10], [30, 20], [10, 20]]
BLURRED = [[40, 30], [60, 30], [62, 38], [50, 45], [40, 40]]
FLAT_WORD, FLAT_BLURRED = (np.ravel(points).tolist() for points in (WORD, BLURRED))

FILES = {
    "paddleocr": "train.txt",
    "mmocr": "textdet_train.json",
    "mmocr 0.x": "instances_training.json",
    "coco_text": "train.json",
    "coco_text v2": "cocotext.v2.json",
    "textocr": "TextOCR_0.1_train.json",
    "hiertext": "gt/train.jsonl",
    "labelme": "train/img_1.json",
    "label_studio": "project-2-at-2026-01-01.json",
    "via": "via_project_1.json",
    "pascal_voc": "train/img_1.xml",
    "icdar_folder": "train/gt_img_1.txt",
}

FOLDERS = ("labelme", "icdar_folder", "pascal_voc")  # the formats with a label file for each picture


def document(kind: str, numbers: list[int]) -> Any:
    """What the label file of a format holds: a word and a text not to care for on each of the pictures."""
    names = [f"img_{number}.jpg" for number in numbers]
    if kind == "paddleocr":
        rows = [{"transcription": "word", "points": WORD}, {"transcription": "###", "points": BLURRED}]
        return dict.fromkeys(names, rows)
    if kind == "mmocr":
        rows = [
            {"polygon": FLAT_WORD, "bbox": [10, 10, 30, 20], "bbox_label": 0, "ignore": False, "text": "word"},
            {"polygon": FLAT_BLURRED, "bbox": [40, 30, 62, 45], "bbox_label": 0, "ignore": True},
        ]
        size = {"height": HEIGHT, "width": WIDTH}
        pictures = [{"img_path": name, **size, "instances": rows} for name in names]
        return {"metainfo": {"dataset_type": "TextDetDataset"}, "data_list": pictures}
    if kind in ("mmocr 0.x", "coco_text"):
        rows = [
            {"segmentation": [FLAT_WORD], "bbox": [10, 10, 20, 10], "iscrowd": 0, "text": "word"},
            {"segmentation": [FLAT_BLURRED], "bbox": [40, 30, 22, 15], "iscrowd": 1},
        ]
        images = [{"id": n, "file_name": name, "height": HEIGHT, "width": WIDTH} for n, name in enumerate(names)]
        annotations = [{"id": 2 * n + i, "image_id": n, **rows[i]} for n in range(len(names)) for i in range(2)]
        return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "text"}]}
    if kind in ("coco_text v2", "textocr"):
        key = "mask" if kind == "coco_text v2" else "points"
        rows = [
            {key: FLAT_WORD, "utf8_string": "word", "legibility": "legible", "bbox": [10, 10, 20, 10]},
            {key: FLAT_BLURRED, "utf8_string": ".", "legibility": "illegible", "bbox": [40, 30, 22, 15]},
        ]
        images = {
            str(n): {"id": n, "set": "train", "file_name": name, "width": WIDTH, "height": HEIGHT}
            for n, name in enumerate(names)
        }
        anns = {str(2 * n + i): {"image_id": n, **rows[i]} for n in range(len(names)) for i in range(2)}
        return {"imgs": images, "anns": anns, "imgToAnns": {str(n): [2 * n, 2 * n + 1] for n in range(len(names))}}
    if kind == "hiertext":
        words = [
            {"vertices": WORD, "text": "word", "legible": True},
            {"vertices": BLURRED, "text": "", "legible": False},
        ]
        lines = [
            {"vertices": [[10, 10], [62, 10], [62, 45], [10, 45]], "text": "word", "legible": True, "words": words}
        ]
        paragraphs = [{"vertices": lines[0]["vertices"], "legible": True, "lines": lines}]
        size = {"image_width": WIDTH, "image_height": HEIGHT}
        return {"annotations": [{"image_id": name[:-4], **size, "paragraphs": paragraphs} for name in names]}
    if kind == "labelme":
        shapes = [
            {"label": "word", "points": [[30, 20], [10, 10]], "shape_type": "rectangle", "flags": {}},
            {"label": "x", "points": BLURRED, "shape_type": "polygon", "flags": {"ignore": True}},
        ]
        (name,) = names
        return {"version": "5.0", "imagePath": name, "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}
    if kind == "label_studio":
        # The first region in two results, one of them a text area; the second with the label that means ignored.
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        box = {"x": 12.5, "y": 50 / 3, "width": 25, "height": 50 / 3, "rotation": 0}
        outline = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in BLURRED]
        results = [
            {"id": "a", "type": "rectanglelabels", **size, "value": {**box, "rectanglelabels": ["Text"]}},
            {"id": "a", "type": "textarea", **size, "value": {**box, "text": ["word"]}},
            {"id": "b", "type": "polygonlabels", **size, "value": {"points": outline, "polygonlabels": ["###"]}},
        ]
        annotations = [{"id": 1, "was_cancelled": False, "result": results}]
        return [{"id": n, "data": {"ocr": name}, "annotations": annotations} for n, name in enumerate(names)]
    if kind == "via":
        xs, ys = zip(*BLURRED, strict=True)
        regions = [
            {
                "shape_attributes": {"name": "rect", "x": 10, "y": 10, "width": 20, "height": 10},
                "region_attributes": {"text": "word", "kind": "printed"},
            },
            {
                "shape_attributes": {"name": "polygon", "all_points_x": xs, "all_points_y": ys},
                "region_attributes": {"text": "###"},
            },
        ]
        pictures = {f"{name}123": {"filename": name, "size": 123, "regions": regions} for name in names}
        return {"_via_settings": {}, "_via_img_metadata": pictures, "_via_attributes": {}}
    raise ValueError(kind)


def voc_text(name: str) -> str:
    """The same text of a picture in Pascal VOC's XML."""
    corners = "".join(f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(BLURRED, 1))
    return f"""<annotation>
        <folder>photos</folder><filename>{name}</filename>
        <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>
        <object><name>word</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
            <bndbox><xmin>10</xmin><ymin>10</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>
        <object><name>x</name><difficult>1</difficult><polygon>{corners}</polygon>
            <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>
    </annotation>"""


def encode(kind: str, value: Any) -> bytes:
    """A document as the bytes of its file."""
    if kind == "paddleocr":
        return "".join(f"{name}\t{json.dumps(rows)}\n" for name, rows in value.items()).encode()
    return json.dumps(value).encode()


def icdar_text() -> str:
    """The same text of a picture in ICDAR's style."""
    return f"{','.join(map(str, FLAT_WORD))},word\r\n{','.join(map(str, FLAT_BLURRED))},###\r\n"


def write(path: pathlib.Path, data: bytes | str) -> None:
    """Writes a file and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def write_picture(path: pathlib.Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Writes a grey picture."""
    write(path, cv2.imencode(path.suffix, np.full((height, width, 3), 90, np.uint8))[1].tobytes())


def make(kind: str, folder: pathlib.Path, numbers: list[int], labels: str = "", *, content: Any = None) -> pathlib.Path:
    """A data set of a format; `content` is another document for its label file.

    Its pictures lie in `train`, for the formats that do not look there in the folder itself.
    """
    if kind in FOLDERS:
        part = folder / (labels or "train")
        for n in numbers:
            write_picture(part / f"img_{n}.jpg")
            if kind == "labelme":
                write(part / f"img_{n}.json", encode(kind, document(kind, [n])))
            elif kind == "pascal_voc":
                write(part / f"img_{n}.xml", voc_text(f"img_{n}.jpg"))
            else:
                write(part / f"gt_img_{n}.txt", icdar_text())
        return folder
    pictures = folder / "train" if kind == "hiertext" else folder
    for n in numbers:
        write_picture(pictures / f"img_{n}.jpg")
    write(folder / (labels or FILES[kind]), encode(kind, content or document(kind, numbers)))
    return folder


def names(dataset: Any) -> list[str]:
    """The names of all pictures."""
    return [dataset.name(index) for index in range(len(dataset))]
