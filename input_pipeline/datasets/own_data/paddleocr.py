"""Label files as PaddleOCR trains from."""

import pathlib
from collections.abc import Iterator
from typing import Any

from dbnet_jax.messages import Problems
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.parsing.annotations import Instance, split_lines
from input_pipeline.datasets.parsing.json_values import (
    as_list,
    as_object,
    as_points,
    as_text,
    is_marked_ignored,
    parse_json,
    shorten,
)


class PaddleOcr(LabelFile):
    """A text file with a line a picture: its path, a tab, and its instances as JSON,
    `[{"transcription": "…", "points": [[x, y], …]}, …]`; text with `###` or `*`, or with the flag `difficult` that
    PPOCRLabel writes, is ignored.

    PaddleOCR (https://github.com/PaddlePaddle/PaddleOCR) trains detectors from such files, and PPOCRLabel writes
    them, with paths from the folder above the pictures.
    """

    title = "PaddleOCR's format"
    layout = """\
    train.txt        (or train_label.txt, train_icdar2015_label.txt, Label.txt)
    validation.txt   (or val.txt, val_label.txt; may be missing)
    test.txt         (or test_label.txt, test_icdar2015_label.txt; may be missing)
    …                pictures, at the paths that these files give"""
    label_names = LabelNames(
        train=("train.txt", "train_label.txt", "train_icdar2015_label.txt", "Label.txt", "label.txt"),
        validation=("validation.txt", "val.txt", "validation_label.txt", "val_label.txt"),
        test=("test.txt", "test_label.txt", "test_icdar2015_label.txt"),
    )
    picture_folders = ("", "images", "imgs", "..")

    def read_text(self, text: str, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        for number, line in split_lines(text):
            place = f"{labels.name}:{number}"
            try:
                picture, tab, instances = line.partition("\t")
                if not tab:
                    raise ValueError("no tab between the picture's path and its instances")
                document = as_list(parse_json(instances, "the instances"), "instances")
                yield self.entry(picture, document, labels)
            except ValueError as error:
                yield unusable_entry(place, f"{error}: {shorten(line)}")

    def parse_instance(self, value: Any) -> Instance:
        row = as_object(value, "instance")
        text = as_text(row.get("transcription"), "transcription")
        ignore = text.strip() == "*" or is_marked_ignored(row)
        return Instance(as_points(row.get("points"), "points"), ignore, text)
