"""The JSON of VIA, the VGG Image Annotator."""

import pathlib
from collections.abc import Iterator
from typing import Any

from dbnet_jax.messages import Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.parsing.annotations import Instance, as_polygon
from input_pipeline.datasets.parsing.json_values import (
    as_list,
    as_number,
    as_object,
    as_text,
    box_polygon,
    is_marked_ignored,
    shorten,
)
from input_pipeline.datasets.parsing.outline import ellipse, turn

_TEXTS = ("transcription", "text", "utf8_string", "label", "word", "name")
_OPEN = "a polyline whose ends do not meet, closed"


class Via(LabelFile):
    """Annotations or a project of VIA 2.x and 1.x (https://www.robots.ox.ac.uk/~vgg/software/via/), as JSON.

    - An object by the pictures' keys, or a project with such an object in `_via_img_metadata`: `filename` and
      `regions`, whose `shape_attributes` are a `rect`, `polygon`, `polyline`, `ellipse` or `circle`. A polyline is
      closed; one whose ends do not meet is reported. Points are reported and left out.
    - The transcription is the attribute of the region (`region_attributes`) that is called `transcription`, `text`,
      `utf8_string`, `label`, `word` or `name`, or else its only attribute.
    - For ignored text see `is_marked_ignored`: an attribute `###`, or a box `ignore`, `difficult` … that is ticked.
    - A picture without regions is a picture without text.
    """

    title = "VIA's format"
    layout = """\
    train.json        (or via_region_data.json, via_export_json.json, via_project_*.json)
    validation.json   (or val.json; may be missing)
    test.json         (may be missing)
    images/ …         pictures, in this folder or in images/"""
    label_names = LabelNames(
        train=("train.json", "via_region_data.json", "via_export_json.json", "via_project*.json"),
        validation=("validation.json", "val.json"),
        test=("test.json",),
    )
    picture_folders = ("", "images", "imgs", "train", "val", "test")

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        document = as_object(document, labels.name)
        pictures = as_object(document.get("_via_img_metadata", document), f"{labels.name}: _via_img_metadata")
        for key, value in pictures.items():
            try:
                picture = as_object(value, "picture")
                regions = picture.get("regions")
                # VIA 1 numbers them: {"0": …}.
                regions = regions.values() if isinstance(regions, dict) else as_list(regions, "regions")
                yield self.entry(picture.get("filename"), regions, labels)
            except ValueError as error:
                yield unusable_entry(f"{labels.name}: picture {key[:40]!r}", error)

    def parse_instance(self, value: Any) -> Instance:
        """One region."""
        region = as_object(value, "region")
        shape = as_object(region.get("shape_attributes"), "shape_attributes")
        attributes = as_object(region.get("region_attributes") or {}, "region_attributes")
        # Boxes to tick are objects, {"yes": true}.
        named = {key.strip().lower(): value for key, value in attributes.items()}
        ticked = {key: any(value.values()) for key, value in named.items() if isinstance(value, dict)}
        texts = {key: value for key, value in named.items() if key not in ticked}
        polygon = _outline(shape)
        ends_differ = shape.get("name") == "polyline" and bool((polygon[:1] != polygon[-1:]).any())
        ignore = is_marked_ignored(region) or is_marked_ignored({"attributes": {**texts, **ticked}})
        return Instance(polygon, ignore, _transcription(texts), doubt=_OPEN if ends_differ else "")


def _transcription(texts: dict[str, Any]) -> str:
    only = list(texts) if len(texts) == 1 else []
    key = next((key for key in (*_TEXTS, *only) if key in texts), "")
    return as_text(texts[key], key) if key else ""


def _outline(shape: dict[str, Any]) -> Polygon:
    def numbers(*names: str) -> list[float]:
        return [as_number(shape.get(name), name) for name in names]

    kind = shape.get("name")
    if kind == "rect":
        left, top, width, height = numbers("x", "y", "width", "height")
        return box_polygon(left, top, left + width, top + height)
    if kind in ("polygon", "polyline"):
        axes = ("all_points_x", "all_points_y")
        return as_polygon(*([as_number(one, axis) for one in as_list(shape.get(axis), axis)] for axis in axes))
    if kind == "circle":
        x, y, radius = numbers("cx", "cy", "r")
        return ellipse((x, y), radius, radius)
    if kind == "ellipse":
        x, y, radius_x, radius_y = numbers("cx", "cy", "rx", "ry")
        angle = as_number(shape.get("theta") or 0, "theta")  # in radians
        return turn(ellipse((x, y), radius_x, radius_y), (x, y), angle)
    raise ValueError(f"a region of the shape {shorten(kind)} is no outline of text")
