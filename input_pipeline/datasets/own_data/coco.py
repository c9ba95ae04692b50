"""COCO's JSON: pictures, and annotations with polygons or masks."""

import math
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from dbnet_jax.messages import Problems, plural
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile, as_line, grouped_by_picture, keyed_objects
from input_pipeline.datasets.parsing.annotations import Instance, as_polygon
from input_pipeline.datasets.parsing.coco_mask import mask_outlines
from input_pipeline.datasets.parsing.json_values import (
    as_box,
    as_flat_points,
    as_list,
    as_number,
    as_object,
    as_size,
    as_text,
    box_polygon,
    is_marked_ignored,
    parse_json,
)

SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_TEXT_KEYS = ("utf8_string", "text", "transcription")


class CocoText(LabelFile):
    """Text in COCO's JSON, and COCO-Text with its own.

    - COCO's: `images` (`id`, `file_name`, `width`, `height`) and `annotations` (`image_id`, `segmentation`,
      `iscrowd`, `bbox`). A segmentation is a list of polygons [x1, y1, x2, y2, …], or a mask in runs, a list
      or the compressed string; each polygon, and each connected part of a mask, is an instance. Where there
      is none, or one of fewer than three points, the box [left, top, width, height] is taken. CVAT turns a box about
      its centre by `attributes.rotation`, degrees clockwise. The transcription is in `utf8_string`, `text` or
      `transcription`, of the annotation or of its `attributes`; for ignored text see `is_marked_ignored`.
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
            "result.json",  # Label Studio
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
        # An attribute of this name may also be a box to tick.
        fields = {**{key: value for key, value in _attributes(row).items() if isinstance(value, str)}, **row}
        text = next((as_text(fields[key], key) for key in _TEXT_KEYS if key in fields), "")
        polygon, doubt = _outline(row)
        return Instance(polygon, is_marked_ignored(row), text, doubt=doubt)


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
    # The box is around all of them, and stands in for none.
    rest = {key: value for key, value in row.items() if key not in ("segmentation", "mask", "bbox")}
    return [as_line({**rest, "segmentation": [ring]}) for ring in rings]


def outline_or_box(outline: Polygon, box: Callable[[], Polygon]) -> tuple[Polygon, str]:
    """An outline, or the box beside it where the outline has fewer than three points.

    **Arguments:** `outline`; `box`: raises ValueError where there is no box.

    **Returns:** the polygon, and the doubt about it: "" where the two points are corners of the box.
    """
    if len(outline) >= 3:
        return outline, ""
    try:
        polygon = box()
    except ValueError:
        return outline, ""  # which is then refused for its own reason
    ends = [polygon.min(axis=0), polygon.max(axis=0)]
    if len(outline) == 2 and np.allclose(np.sort(outline, axis=0), ends, atol=1):
        return polygon, ""
    return polygon, f"an outline of {plural(len(outline), 'point')}, and the `bbox` beside it is used"


def _outline(row: dict[str, Any]) -> tuple[Polygon, str]:
    segmentation = row.get("segmentation", row.get("mask"))
    if segmentation in (None, [], [[]]):
        return _box(row), ""
    if isinstance(segmentation, dict):
        return max(mask_outlines(segmentation), key=len), ""
    rings = as_list(segmentation, "segmentation")
    # COCO-Text's `mask`, and what some tools write, is a polygon without the list around it.
    ring = as_flat_points(rings[0] if isinstance(rings[0], list) else rings, "segmentation")
    return outline_or_box(ring, lambda: _box(row))


def _box(row: dict[str, Any]) -> Polygon:
    """The `bbox`, turned about its centre by CVAT's `rotation`, in degrees clockwise."""
    left, top, width, height = as_box(row.get("bbox"), "bbox")
    box = box_polygon(left, top, left + width, top + height)
    degrees = as_number(_attributes(row).get("rotation") or 0, "rotation")
    if degrees % 360 == 0:
        return box
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    center = np.array([left + width / 2, top + height / 2])
    # y points down, so that this matrix turns clockwise.
    x, y = (center + (box - center) @ np.array([[cosine, sine], [-sine, cosine]])).T
    return as_polygon(x.tolist(), y.tolist())


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    attributes = row.get("attributes")
    return attributes if isinstance(attributes, dict) else {}
