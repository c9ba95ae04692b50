"""Label Studio's JSON: tasks, and what was drawn on the picture of each."""

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from dbnet_jax.images.decode import PICTURE_SUFFIXES
from dbnet_jax.messages import Problem, Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.own_data.stored_names import stored_names
from input_pipeline.datasets.parsing.annotations import Instance
from input_pipeline.datasets.parsing.json_values import (
    as_list,
    as_number,
    as_object,
    as_points,
    as_size,
    as_text,
    box_polygon,
    is_marked_ignored,
    shorten,
)
from input_pipeline.datasets.parsing.outline import ellipse, turn

# What the value of a region has: of boxes and ellipses, of polygons, of brushes; a label of its kind.
_OF_REGIONS = ("x", "points", "rle", "labels", "rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels")
_MARKS = (*_OF_REGIONS[3:], "choices")


class LabelStudio(LabelFile):
    """The JSON that Label Studio (https://github.com/HumanSignal/label-studio) exports, a list of tasks.

    - The results of an annotation that have one `id` are one instance: a rectangle (`x`, `y`, `width`, `height`,
      `rotation` in degrees clockwise about its top left corner), a polygon (`points`) or an ellipse, in percent of the
      picture's size, and the `text` of a text area. Results without an outline are not used; brushes are reported.
    - For ignored text see `is_marked_ignored`: the text or a label of the region is `###`, a label is `ignore` …
    - Of several annotations of a task, the ground truth or else the first that is not cancelled is used. A task without
      one is reported and left out: nobody has labelled its picture.
    - The picture is found by the name of its file (see `stored_names`).
    - Its COCO export is read as `coco_text`.
    """

    title = "Label Studio's JSON format"
    layout = """\
    train.json        (or label_studio.json, project-*.json)
    validation.json   (or val.json; may be missing)
    test.json         (may be missing)
    images/ …         pictures, by the names of their files, in this folder or in images/"""
    label_names = LabelNames(
        train=("train.json", "label_studio.json", "project-*.json"),
        validation=("validation.json", "val.json"),
        test=("test.json",),
    )
    picture_folders = ("", "images", "imgs", "train", "val", "test")

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        for position, value in enumerate(as_list(document, labels.name)):
            place = f"{labels.name}: task {position + 1}"
            try:
                task = as_object(value, "task")
                picture = _picture(task)
                annotations = [one for one in _annotations(task) if not one.get("was_cancelled")]
                if not annotations:
                    problems.add(Problem(f"{place}: {picture}", "has no annotation; left out"), "tasks not labelled")
                    continue
                if len(annotations) > 1:
                    said = f"has {len(annotations)} annotations; the ground truth, or else the first, is used"
                    problems.add(Problem(f"{place}: {picture}", said), "tasks with several annotations")
                annotation = max(annotations, key=lambda one: bool(one.get("ground_truth")))
                results = [as_object(one, "result") for one in as_list(annotation.get("result"), "result")]
                sizes = [as_size(one.get("original_width"), one.get("original_height")) for one in results]
                size = next(filter(None, sizes), None)
                yield self.entry(picture, _regions(results), labels, size=size)
            except ValueError as error:
                yield unusable_entry(place, error)

    def parse_instance(self, value: Any) -> Instance:
        """One region: its outline, scaled to pixels, and its text."""
        region = as_object(value, "region")
        size = as_size(region.get("original_width"), region.get("original_height"))
        if size is None:
            raise ValueError("`original_width` and `original_height` are needed, the picture's size in pixels")
        if region.get("image_rotation"):
            raise ValueError(f"`image_rotation` (={shorten(region['image_rotation'])}) is not supported; 0 is")
        texts = [as_text(one, "text") for one in _listed(region.get("text"))]
        marks = [as_text(one, name) for name in _MARKS for one in _listed(region.get(name))]
        fields: dict[Any, Any] = {**dict(enumerate([*texts, *marks])), **{mark.lower(): True for mark in marks}}
        return Instance(_outline(region, size), is_marked_ignored({**region, **fields}), " ".join(texts))


def _picture(task: dict[str, Any]) -> str:
    """The place of a task's picture: the first of its data that has the suffix of one, or else that is stored."""
    if "data" not in task:
        raise ValueError("has no `data`: export the project as JSON; JSON-MIN is not read")
    data = as_object(task["data"], "data")
    texts = [text for text in data.values() if isinstance(text, str) and text.strip()]
    for text in texts:
        name = (*stored_names(text), text)[0]
        if pathlib.PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES:
            return text
    stored = [text for text in texts if stored_names(text)]
    if not stored:
        raise ValueError(f"`data` (={shorten(data)}) names no picture")
    return stored[0]


def _annotations(task: dict[str, Any]) -> list[dict[str, Any]]:
    # Releases before 1.0 called them completions.
    found = task.get("annotations", task.get("completions"))
    return [as_object(one, "annotation") for one in as_list(found, "annotations")]


def _regions(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results of each region in one object, whose outline is in percent of the picture's size."""
    regions: dict[Any, dict[str, Any]] = {}
    for position, result in enumerate(results):
        if result.get("type") == "relation":  # of two regions
            continue
        value = as_object(result.get("value"), "value")
        key = result.get("id")
        region = regions.setdefault(key if isinstance(key, str) else position, {})
        # A text area repeats the outline of its region.
        region.update({**result, **value})
    # The others are of the whole picture.
    yield from (region for region in regions.values() if any(name in region for name in _OF_REGIONS))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _outline(region: dict[str, Any], size: tuple[int, int]) -> Polygon:
    scale = [size[1] / 100, size[0] / 100]

    def pixels(x: str, y: str) -> tuple[float, float]:
        return as_number(region.get(x), x) * scale[0], as_number(region.get(y), y) * scale[1]

    if "points" in region:
        as_points(region["points"], "points")  # which refuses all else
        return (np.array(region["points"], np.float64).reshape(-1, 2) * scale).astype(np.float32)
    if "rle" in region:
        raise ValueError("a brush is no outline of text; export it as COCO, and read it as coco_text")
    left, top = pixels("x", "y")
    angle = math.radians(as_number(region.get("rotation") or 0, "rotation"))
    if "radiusX" in region:
        return turn(ellipse((left, top), *pixels("radiusX", "radiusY")), (left, top), angle)
    width, height = pixels("width", "height")
    return turn(box_polygon(left, top, left + width, top + height), (left, top), angle)
