"""MMOCR's JSON for text detection, of its releases 1.x and 0.x."""

import pathlib
from collections.abc import Iterator
from typing import Any

from dbnet_jax.messages import Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.coco import CocoText, coco_pictures, outline_or_box
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.parsing.annotations import Instance
from input_pipeline.datasets.parsing.json_values import (
    as_box,
    as_flat_points,
    as_list,
    as_object,
    as_size,
    as_text,
    box_polygon,
    is_marked_ignored,
)


class MmOcr(CocoText):
    """The label files that MMOCR (https://github.com/open-mmlab/mmocr) prepares and trains from.

    - 1.x: `data_list`, for each picture `img_path`, `height`, `width` and `instances`; an instance has `polygon`
      [x1, y1, x2, y2, …], or where that is missing `bbox` [left, top, right, bottom], and `ignore`, `text`.
    - 0.x: COCO's `images` and `annotations`, in which text with `iscrowd` is ignored; see `CocoText`.
    """

    title = "MMOCR's format"
    layout = """\
    textdet_train.json   (0.x: instances_training.json; or instances_train.json, train.json)
    textdet_val.json     (0.x: instances_val.json; or validation.json, val.json; may be missing)
    textdet_test.json    (0.x: instances_test.json; or test.json; may be missing)
    …                    pictures, at the paths that these files give, from this folder or from imgs/"""
    label_names = LabelNames(
        train=("textdet_train.json", "instances_training.json", "instances_train.json", "train.json"),
        validation=("textdet_val.json", "instances_val.json", "validation.json", "val.json"),
        test=("textdet_test.json", "instances_test.json", "test.json"),
    )
    picture_folders = ("", "imgs", "images", "textdet_imgs/train", "textdet_imgs/val", "textdet_imgs/test")

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        document = as_object(document, labels.name)
        if "data_list" not in document:
            yield from coco_pictures(self, document, labels, problems)
            return
        for position, row in enumerate(as_list(document["data_list"], f"{labels.name}: data_list")):
            try:
                picture = as_object(row, "picture")
                instances = as_list(picture.get("instances"), "instances")
                size = as_size(picture.get("width"), picture.get("height"))
                yield self.entry(picture.get("img_path"), instances, labels, size=size)
            except ValueError as error:
                yield unusable_entry(f"{labels.name}: data_list[{position}]", error)

    def parse_instance(self, value: Any) -> Instance:
        row = as_object(value, "instance")
        if "image_id" in row:
            return super().parse_instance(value)
        text = as_text(row.get("text"), "text")
        polygon, doubt = _outline(row)
        return Instance(polygon, is_marked_ignored(row), text, doubt=doubt)


def _outline(row: dict[str, Any]) -> tuple[Polygon, str]:
    def box() -> Polygon:
        return box_polygon(*as_box(row.get("bbox"), "bbox"))

    if row.get("polygon") is None:
        return box(), ""
    return outline_or_box(as_flat_points(row["polygon"], "polygon"), box)
