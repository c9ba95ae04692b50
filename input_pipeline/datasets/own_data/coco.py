"""COCO's JSON: pictures, and annotations with polygons or masks."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from dbnet_jax.messages import Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile, as_line, grouped_by_picture, keyed_objects
from input_pipeline.datasets.parsing.annotations import Instance, is_ignored_text
from input_pipeline.datasets.parsing.coco_mask import mask_outlines
from input_pipeline.datasets.parsing.json_values import (
    as_box,
    as_flag,
    as_flat_points,
    as_list,
    as_object,
    as_size,
    as_text,
    box_polygon,
    parse_json,
)

SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_TEXT_KEYS = ("utf8_string", "text", "transcription")


class CocoText(LabelFile):
    """Text in COCO's JSON, and COCO-Text with its own.

    - COCO's: `images` (`id`, `file_name`, `width`, `height`) and `annotations` (`image_id`, `segmentation`,
      `iscrowd`, `bbox`). A segmentation is a list of polygons [x1, y1, x2, y2, …], or a mask in runs, a list
      or the compressed string; each polygon, and each connected part of a mask, is an instance. Where there
      is none, the box [left, top, width, height] is taken. Ignored text has `iscrowd` or `ignore` 1,
      or the transcription `###` (in `utf8_string`, `text` or `transcription`).
    - COCO-Text v2 (Veit et al., arXiv 1601.07140; https://bgshih.github.io/cocotext/): `imgs` and `anns` by
      their ids, polygons in `mask`, the split of a picture in `set`, ignored text is `"legibility":
      "illegible"`. All of its pictures lie in COCO's train2014.
    """

    title = "COCO's format"
    layout = """\
    train.json               (or instances_train.json, annotations/instances_train*.json, cocotext.v2.json)
    validation.json          (or val.json, instances_val.json, annotations/instances_val*.json; may be missing)
    test.json                (or instances_test.json, annotations/instances_test*.json; may be missing)
    images/, train2014/ …    pictures, at the paths that these files give"""
    label_names = LabelNames(
        train=(
            "train.json",
            "instances_train.json",
            "annotations/instances_train.json",
            "annotations/instances_train2017.json",
            "annotations/instances_train2014.json",
            "annotations/instances_default.json",
            "_annotations.coco.json",
            "train/_annotations.coco.json",
            "annotations.json",
            "cocotext.v2.json",
        ),
        validation=(
            "validation.json",
            "val.json",
            "instances_val.json",
            "annotations/instances_val.json",
            "annotations/instances_val2017.json",
            "annotations/instances_val2014.json",
            "valid/_annotations.coco.json",
        ),
        test=(
            "test.json",
            "instances_test.json",
            "annotations/instances_test.json",
            "test/_annotations.coco.json",
        ),
    )
    picture_folders: ClassVar[tuple[str, ...]] = (
        "",
        *("images", "imgs", "train", "val", "test"),
        *("train2017", "val2017", "train2014", "val2014"),
    )

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        document = as_object(document, labels.name)
        if "imgs" in document:
            yield from keyed_pictures(self, document, labels, problems)
        else:
            yield from coco_pictures(self, document, labels, problems)

    def instance_lines(self, entry: Entry) -> Iterable[tuple[int, str]]:
        """The lines of an entry, one for each polygon of a segmentation and each part of a mask."""
        for number, line in entry.lines:
            for outline in _outlines(line):
                yield number, outline

    def parse_instance(self, value: Any) -> Instance:
        """One annotation with one outline."""
        row = as_object(value, "annotation")
        text = next((as_text(row[key], key) for key in _TEXT_KEYS if key in row), "")
        ignore = is_ignored_text(text) or row.get("legibility") == "illegible"
        ignore = ignore or as_flag(row.get("iscrowd"), "iscrowd") or as_flag(row.get("ignore"), "ignore")
        return Instance(_polygon(row), ignore, text)


def coco_pictures(
    reader: LabelFile, document: dict[str, Any], labels: pathlib.Path, problems: Problems
) -> Iterator[Entry]:
    """The pictures of a document with `images` and `annotations`; for `LabelFile.read_pictures`."""
    images = keyed_objects(document.get("images"), "images", labels.name, problems)
    annotations = as_list(document.get("annotations"), f"{labels.name}: annotations")
    groups = grouped_by_picture(annotations, images, "annotations", labels.name, problems)
    yield from _entries(reader, images, groups, labels)


def keyed_pictures(
    reader: LabelFile, document: dict[str, Any], labels: pathlib.Path, problems: Problems
) -> Iterator[Entry]:
    """The pictures of a document with `imgs` and `anns`; for `LabelFile.read_pictures`."""
    images = keyed_objects(document.get("imgs"), "imgs", labels.name, problems)
    annotations = keyed_objects(document.get("anns"), "anns", labels.name, problems)
    groups = grouped_by_picture(annotations.values(), images, "anns", labels.name, problems)
    yield from _entries(reader, images, groups, labels)


def _entries(
    reader: LabelFile,
    images: dict[str, dict[str, Any]],
    groups: dict[str, list[dict[str, Any]]],
    labels: pathlib.Path,
) -> Iterator[Entry]:
    for key, image in images.items():
        size = as_size(image.get("width"), image.get("height"))
        split = image.get("set")
        split = SPLIT_NAMES.get(split, "") if isinstance(split, str) else ""
        try:
            yield reader.entry(image.get("file_name"), groups[key], labels, size=size, split=split)
        except ValueError as error:
            yield unusable_entry(f"{labels.name}: picture {key[:40]!r}", error, split)


def _outlines(line: str) -> list[str]:
    row = parse_json(line, "the annotation")
    segmentation = row.get("segmentation", row.get("mask")) if isinstance(row, dict) else None
    try:
        if isinstance(segmentation, dict):
            rings = [outline.ravel().tolist() for outline in mask_outlines(segmentation)]
        elif isinstance(segmentation, list) and len(segmentation) > 1 and isinstance(segmentation[0], list):
            rings = segmentation
        else:
            return [line]
    except ValueError:
        return [line]  # the parser then says what is wrong
    rest = {key: value for key, value in row.items() if key not in ("segmentation", "mask")}
    return [as_line({**rest, "segmentation": [ring]}) for ring in rings]


def _polygon(row: dict[str, Any]) -> Polygon:
    segmentation = row.get("segmentation", row.get("mask"))
    if segmentation in (None, [], [[]]):
        left, top, width, height = as_box(row.get("bbox"), "bbox")
        return box_polygon(left, top, left + width, top + height)
    if isinstance(segmentation, dict):
        return max(mask_outlines(segmentation), key=len)
    rings = as_list(segmentation, "segmentation")
    # COCO-Text's `mask`, and what some tools write, is a polygon without the list around it.
    return as_flat_points(rings[0] if isinstance(rings[0], list) else rings, "segmentation")
