"""HierText: words, in lines, in paragraphs, of photos and documents."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from dbnet_jax.messages import Problems, check_choice
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.parsing.annotations import Instance, split_lines
from input_pipeline.datasets.parsing.json_values import (
    as_flag,
    as_list,
    as_object,
    as_points,
    as_size,
    as_text,
    is_marked_ignored,
    parse_document,
    parse_json,
)
from input_pipeline.datasets.sample import GRANULARITIES

_MISSING = "\0 is missing"  # a key of regions whose parts nobody outlined: which parts
_KEYS = ("vertices", "legible", "text", _MISSING)
_ENDINGS = ("jsonl", "jsonl.gz", "json", "json.gz")


def _file_names(*names: str) -> tuple[str, ...]:
    return tuple(f"{folder}{name}.{ending}" for folder in ("gt/", "") for name in names for ending in _ENDINGS)


class HierText(LabelFile):
    """HierText (Long et al.: Towards End-to-End Unified Scene Text Detection and Layout Analysis, CVPR 2022).

    - Release: 2022; 8,281 training, 1,724 validation and 1,634 test pictures of Open Images.
    - Where: https://github.com/google-research-datasets/hiertext
    - Layout: see `layout`; the label files may stay packed (.gz). One document with `annotations`, or a line of
      JSON for each picture: `image_id`, `image_width`, `image_height` and `paragraphs`, whose `lines` have
      `words`; each of them has `vertices` [[x, y], …] and `legible`, lines and words `text`.
    - Text that is not legible, or that is `###`, is ignored. A line without words, or a paragraph without lines, is
      one ignored region: it contains text that nobody outlined. A legible one is listed.
    - Terms: CC BY-SA 4.0.

    **Arguments:**

    - `granularity`: what an instance is, "word" or "line".
    - `options`: see `LabelledPictures`.
    """

    title = "HierText"
    layout = """\
    gt/train.jsonl         (or train.jsonl, train.json; .gz as well)
    gt/validation.jsonl    (or gt/val.jsonl, validation.jsonl …)
    gt/test.jsonl          (or test.jsonl …)
    train/, validation/, test/   pictures, IMAGE_ID.jpg"""
    label_names = LabelNames(
        train=_file_names("train"),
        validation=_file_names("validation", "val"),
        test=_file_names("test"),
    )
    picture_folders = ("train", "validation", "val", "test", "images", "")

    def __init__(
        self,
        folder: str | os.PathLike[str],
        split: str = "train",
        *,
        granularity: str = "word",
        **options: Any,
    ):
        check_choice("granularity", granularity, GRANULARITIES)
        self.granularity = granularity
        super().__init__(folder, split, **options)

    def read_text(self, text: str, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        """The pictures of one document, or of a line for each picture."""
        lines = split_lines(text)
        try:
            document = as_object(parse_document(text, labels.name), labels.name)
        except ValueError:
            if len(lines) < 2:
                raise
            yield from self._read_lines(lines, labels)
            return
        rows = (
            as_list(document["annotations"], f"{labels.name}: annotations") if "annotations" in document else [document]
        )
        for position, row in enumerate(rows):
            yield from self._picture(row, f"{labels.name}: annotations[{position}]", labels)

    def _read_lines(self, lines: list[tuple[int, str]], labels: pathlib.Path) -> Iterator[Entry]:
        for number, line in lines:
            place = f"{labels.name}:{number}"
            try:
                row = parse_json(line, "the line")
            except ValueError as error:
                yield unusable_entry(place, error)
            else:
                yield from self._picture(row, place, labels)

    def _picture(self, row: Any, place: str, labels: pathlib.Path) -> Iterator[Entry]:
        try:
            picture = as_object(row, "picture")
            size = as_size(picture.get("image_width"), picture.get("image_height"))
            paragraphs = as_list(picture.get("paragraphs"), "paragraphs")
            image_id = picture.get("image_id")
            name = f"{image_id}.jpg" if isinstance(image_id, str) and image_id.strip() else image_id
            yield self.entry(name, self._instances(paragraphs), labels, size=size)
        except ValueError as error:
            yield unusable_entry(place, error)

    def _instances(self, paragraphs: list[Any]) -> Iterator[Any]:
        for paragraph in paragraphs:
            for line in _inner(paragraph, "lines"):
                yield from [_alone(line)] if self.granularity == "line" else _inner(line, "words")

    def parse_instance(self, value: Any) -> Instance:
        """One word or line, or a region whose words nobody outlined."""
        row = as_object(value, self.granularity)
        text = as_text(row.get("text"), "text")
        missing = row.get(_MISSING, "")
        legible = as_flag(row.get("legible", True), "legible")
        ignore = bool(missing) or not legible or is_marked_ignored(row)
        doubt = f"legible text without {missing}, ignored" if missing and legible else ""
        return Instance(as_points(row.get("vertices"), "vertices"), ignore, text, doubt=doubt)


def _inner(outer: Any, name: str) -> list[Any]:
    """The parts of a paragraph or line; where it has none, itself as an ignored region.

    A value of a wrong type is returned as a part, which is then listed as a bad one.
    """
    if not isinstance(outer, dict):
        return [outer]
    parts = outer.get(name)
    if parts is None or parts == []:
        return [{**_alone(outer), _MISSING: name}]
    return parts if isinstance(parts, list) else [parts]


def _alone(outer: Any) -> Any:
    """A line without its words."""
    return {key: outer[key] for key in _KEYS if key in outer} if isinstance(outer, dict) else outer
