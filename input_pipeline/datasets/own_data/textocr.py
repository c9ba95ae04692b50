"""TextOCR: words in photos of Open Images, many to a picture."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

from dbnet_jax.messages import Problems
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.coco import keyed_pictures
from input_pipeline.datasets.own_data.entries import Entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.parsing.annotations import Instance
from input_pipeline.datasets.parsing.json_values import as_flat_points, as_object, as_text, is_marked_ignored

ILLEGIBLE = "."


class TextOcr(LabelFile):
    """TextOCR (Singh et al.: TextOCR: Towards large-scale end-to-end reasoning for arbitrary-shaped scene text, CVPR
    2021).

    - Release: v0.1, 2021; 21,778 training and 3,124 validation photos; the labels of the test photos are not public.
    - Where: https://textvqa.org/textocr/dataset/
    - Layout: see `layout`. `imgs` and `anns` by their ids; an annotation has `points` [x1, y1, x2, y2, …],
      clockwise from the word's top left, and `utf8_string`, in which "." is a word that is illegible or in
      another script than the Latin one; it is ignored.
    - Terms: CC BY 4.0.
    """

    title = "TextOCR"
    layout = """\
    TextOCR_0.1_train.json   (or train.json)
    TextOCR_0.1_val.json     (or validation.json, val.json)
    train_images/a4ea732cd3d5948a.jpg …   (or train/, images/)"""
    label_names = LabelNames(
        train=("TextOCR_0.1_train.json", "train.json"),
        validation=("TextOCR_0.1_val.json", "validation.json", "val.json"),
        test=("TextOCR_0.1_test.json", "test.json"),
    )
    # The files say train/….jpg; the archive's folder is train_images.
    picture_folders = ("", "train_images", "train_val_images", "train_val_images/train_images", "train", "images")

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        for entry in keyed_pictures(self, as_object(document, labels.name), labels, problems):
            # Ids of Open Images name a picture wherever it lies.
            bare = [self.folder / folder / pathlib.PurePosixPath(entry.name).name for folder in self.picture_folders]
            yield dataclasses.replace(entry, pictures=(*entry.pictures, *bare))

    def parse_instance(self, value: Any) -> Instance:
        row = as_object(value, "annotation")
        text = as_text(row.get("utf8_string"), "utf8_string")
        ignore = text.strip() == ILLEGIBLE or is_marked_ignored(row)
        return Instance(as_flat_points(row.get("points"), "points"), ignore, text)
