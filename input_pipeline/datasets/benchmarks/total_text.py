"""Total-Text: words in any orientation, many of them along curves."""

import dataclasses
import re
import sys
from collections.abc import Sequence
from typing import ClassVar

from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.benchmarks.total_text_mat import (
    Row,
    cell_numbers,
    cell_text,
    polygon_rows,
    show_row,
)
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    is_ignored_text,
    is_number,
    parse_instances,
    parse_numbers,
    text_lines,
)
from input_pipeline.datasets.sample import Annotation

LABEL_FOLDERS = ("txt_format", "groundtruth_polygonal*", "Txts", "Groundtruth/Polygon", "Polygon", "annotations")


class TotalText(Benchmark):
    """Total-Text (Ch'ng, Chan and Liu: Total-Text: Towards Orientation Robustness in Scene Text Detection,
    IJDAR 2020).

    - Release: 2017, labels revised in 2019; 1255 training and 300 test photos.
    - Where: https://github.com/cs-chan/Total-Text-Dataset, photos as `totaltext.zip`, labels as
      `txt_format.zip` or, for MATLAB, `groundtruth_text.zip`.
    - Layout: photos are in `Images/Train` and `Images/Test`. Labels are in the folders `Train` and `Test` of
      `txt_format`, a `groundtruth_polygonal…`, `Txts`, `Groundtruth/Polygon`, `Polygon` or `annotations`. A copy of
      the training set alone may have its photos in `Images`, and its labels in `annotations` or beside the photos. The
      labels of a picture are found by name, in this order of the folders. A text file precedes a `.mat` file.
    - Annotation: polygons of mostly 4 to 14 points, in three forms:
        - `poly_gt_img11.txt`, the official form: `x: [[x1 x2 …]], y: [[y1 y2 …]], ornt: [u'c'],
          transcriptions: [u'text']`. A record may have several lines. Text of the orientation `#` is ignored.
        - `img11.jpg.txt`: `x1,y1,…,xn,yn,transcription`. The transcription `###` is ignored. A line is a problem if its
          transcription has a comma next to a number, because the comma may belong to the coordinates.
        - `poly_gt_img11.mat`, the owner's form for MATLAB: a cell array `polygt` with one row for each instance,
          `'x:' xs 'y:' ys text orientation`, with the meaning of the official form.
    - Orientation: the labels follow the stored pixels. One test photo, img651.jpg, is turned by its EXIF orientation,
      unless its polygons fit only into the stored pixels.
    - Terms: non-commercial academic research; no redistribution (DATASET_TERMS.md of the repository).
    """

    title = "Total-Text"
    source = "https://github.com/cs-chan/Total-Text-Dataset (totaltext.zip and, of the labels, txt_format.zip)"
    layout = """\
    Images/Train/img11.jpg …
    Images/Test/img1.jpg …
    txt_format/Train/poly_gt_img11.txt …
    txt_format/Test/poly_gt_img1.txt …
or, for the training set alone:
    Images/img11.jpg …
    annotations/img11.jpg.txt …"""
    train_folders = Folders(
        ("Images/Train", "Images"),
        (*(f"{folder}/Train" for folder in LABEL_FOLDERS), "annotations", "Images"),
    )
    test_folders = Folders(("Images/Test",), tuple(f"{folder}/Test" for folder in LABEL_FOLDERS))
    annotation_suffix = (".txt", ".mat")
    annotation_patterns = ("poly_gt_{stem}.txt", "{name}.txt", "poly_gt_{stem}.mat")
    turned = ("img651.jpg",)
    counts: ClassVar[dict[str, int]] = {"train": 1255, "test": 300}

    @classmethod
    def parse(cls, data: bytes, file: str) -> Annotation:
        """An instance is a line, a record of several lines, or a row of a `.mat` file; see the class.

        **Raises:** `BadPicture` if a `.mat` file is damaged.
        """
        if file.lower().endswith(".mat"):
            return parse_instances(polygon_rows(data, file), file, _parse_row, show=show_row)
        lines, problems = text_lines(data, file)
        if any(_RECORD_START.match(line) for _, line in lines):
            return parse_instances(_join_records(lines), file, _parse_record, problems)
        return parse_instances(lines, file, _parse_line, problems)


_MOST_LINES = 20  # of a record
_RECORD_START = re.compile(r"\s*x:\s*\[\[")
_RECORD = re.compile(
    r"\s*x:\s*\[\[(?P<x>[^\]]*)\]\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\],\s*"
    r"ornt:\s*(?P<orientation>\[.*?\]),\s*transcriptions:\s*(?P<text>\[.*\])\s*",
    re.DOTALL,
)

# A Python list of one string. Python itself would warn of unknown escapes.
_QUOTED = re.compile(r"""\[\s*u?(?P<quote>['"])(?P<text>(?:[^\\]|\\.)*)(?P=quote)\s*\]""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}


def _join_records(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    records: list[tuple[int, str]] = []
    joined = 1
    for number, line in lines:
        joined += 1
        whole = not records or joined > _MOST_LINES or _RECORD_START.match(line) or _RECORD.fullmatch(records[-1][1])
        if whole:
            records.append((number, line))
            joined = 1
        else:
            start, text = records.pop()
            records.append((start, f"{text} {line}"))
    return records


def _parse_record(record: str) -> Instance:
    match = _RECORD.fullmatch(record)
    if match is None:
        raise ValueError("not of the form x: [[…]], y: [[…]], ornt: […], transcriptions: […]")
    xs, ys = (match[axis].split() for axis in "xy")
    text = _quoted(match["text"])
    doubt = "the record seems to contain two records" if "transcriptions:" in text else ""
    instance = _instance(parse_numbers(xs, len(xs)), parse_numbers(ys, len(ys)), text, _quoted(match["orientation"]))
    return dataclasses.replace(instance, doubt=doubt)


def _parse_row(row: Row) -> Instance:
    if len(row) < 6:
        raise ValueError(f"{len(row)} columns where 6 are needed")
    return _instance(cell_numbers(row[1]), cell_numbers(row[3]), cell_text(row[4]), cell_text(row[5]))


def _instance(xs: Sequence[float], ys: Sequence[float], text: str, orientation: str) -> Instance:
    return Instance(as_polygon(xs, ys), orientation == "#" or text == "#" or is_ignored_text(text), text)


def _quoted(field: str) -> str:
    """The one string in a Python list such as [u'c']; otherwise the text between the brackets."""
    match = _QUOTED.fullmatch(field)
    return _ESCAPE.sub(_unescape, match["text"]) if match else field[1:-1].strip()


def _unescape(match: re.Match[str]) -> str:
    *codes, character = match.groups()
    if character is not None:
        return _ESCAPED.get(character, match[0])
    code = int(next(filter(None, codes)), 16)
    # Half of a surrogate pair is no character, and neither is a code above the last one.
    return chr(code) if code < 0xD800 or 0xDFFF < code <= sys.maxunicode else "\ufffd"


def _parse_line(line: str) -> Instance:
    fields = line.split(",")
    count = next((position for position, field in enumerate(fields) if not is_number(field)), len(fields))
    if count == len(fields):
        count -= 1  # the transcription is a number, such as a year
    rest = fields[count:]
    # A comma beside a number: either a coordinate is damaged, or the transcription contains "1,000".
    if len(rest) > 1 and any(_looks_numeric(field) for field in rest):
        raise ValueError("the coordinates cannot be told from the transcription")
    if count % 2:
        raise ValueError(f"{count} numbers before the transcription where pairs are needed")
    numbers = parse_numbers(fields, count)
    text = ",".join(rest)
    return Instance(as_polygon(numbers[0::2], numbers[1::2]), is_ignored_text(text), text)


def _looks_numeric(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
