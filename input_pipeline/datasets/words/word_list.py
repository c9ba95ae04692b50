"""Lists of word crops with their texts."""

import pathlib
import re
from collections.abc import Iterator

import numpy as np

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problems
from input_pipeline.datasets.own_data.base import LabelNames
from input_pipeline.datasets.own_data.entries import Entry, Size, unusable_entry
from input_pipeline.datasets.own_data.label_file import LabelFile
from input_pipeline.datasets.parsing.annotations import split_lines
from input_pipeline.datasets.parsing.json_values import parse_json, shorten
from input_pipeline.datasets.sample import Annotation, Sample, whole_picture

_UNKNOWN = np.zeros((4, 2), np.float32)
_ICDAR = re.compile(r'(?P<name>[^,"\t]+),\s*"(?P<text>.*)"\s*')


class WordList(LabelFile):
    """A text file with a line a crop: its path, a tab and its text; or, as ICDAR has it, its name, a comma and its text
    in quotation marks, with `\\"` for a quotation mark.

    The word is the whole picture.
    """

    title = "a list of words"
    layout = """\
    train.txt        (or labels.txt, rec_gt_train.txt, gt.txt)
    validation.txt   (or val.txt, rec_gt_val.txt; may be missing)
    test.txt         (or rec_gt_test.txt; may be missing)
    …                pictures of words, at the paths that these files give, or below images/"""
    label_names = LabelNames(
        train=("train.txt", "labels.txt", "rec_gt_train.txt", "train_label.txt", "gt.txt"),
        validation=("validation.txt", "val.txt", "rec_gt_val.txt", "rec_gt_eval.txt", "val_label.txt"),
        test=("test.txt", "rec_gt_test.txt", "test_label.txt"),
    )
    picture_folders = ("", "images", "imgs", "..")

    def read_text(self, text: str, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        for number, line in split_lines(text):
            try:
                yield self.entry(*_split(line), labels)
            except ValueError as error:
                yield unusable_entry(f"{labels.name}:{number}", f"{error}: {shorten(line)}")

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        if not entry.lines:
            raise BadPicture(f"{entry.place}: no text")
        # The size of the picture is not known here; `__getitem__` puts the outline in.
        return Annotation([_UNKNOWN], [False], [str(parse_json(entry.lines[0][1], "the text"))]), None

    def __getitem__(self, index: int) -> Sample:
        image, annotation = self.read(index)
        return Sample(self.name(index), image, [whole_picture(image)], [False], annotation.texts)


def _split(line: str) -> tuple[str, list[str]]:
    """The name of a picture, and its text alone in a list."""
    name, tab, text = line.partition("\t")
    if tab:
        return name, [text]
    if found := _ICDAR.fullmatch(line):
        return found["name"].strip(), [found["text"].replace('\\"', '"').replace("\\\\", "\\")]
    raise ValueError("neither a tab nor `, \"` between the picture's name and its text")
