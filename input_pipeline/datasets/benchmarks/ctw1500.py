"""SCUT-CTW1500: lines of text, one curved line at least in every photo."""

import xml.parsers.expat
from typing import ClassVar

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    is_ignored_text,
    joined_lines,
    parse_instances,
    parse_numbers,
    split_lines,
)
from input_pipeline.datasets.parsing.encodings import decode_text
from input_pipeline.datasets.sample import Annotation

_TEXT_FOLLOWS = ",####"


class Ctw1500(Benchmark):
    """SCUT-CTW1500 (Liu, Jin, Zhang, Luo and Zhang: Curved scene text detection via transverse and longitudinal
    sequence connection, Pattern Recognition 2019; first arXiv 1712.02170).

    - Release: December 2017, 1000 training and 500 test photos with 10,751 lines, 3,530 of them curved; labels
      with transcriptions since 2020.
    - Where: https://github.com/Yuliang-Liu/Curve-Text-Detector, folder `data`.
    - Layout: of the first release, `train` and `test`, each with `text_image` and `text_label_curve`; of the second,
      `train_images`, `test_images`, `ctw1500_train_labels` and `gt_ctw1500`. Either's labels go with either's photos;
      where a photo has both, the second's are read.
    - Annotation: three forms, told apart by what a file holds.
      The first release's, a line of text a line, is `xmin,ymin,xmax,ymax,dx1,dy1,…,dx14,dy14`: a box and 14 points
      relative to its top left corner, without transcription.
      The second's training labels, `0001.xml`, have a `<box>` a line of text with `<segs>x1,y1,…,x14,y14</segs>` and
      `<label>text</label>`.
      Its test labels, `0001001.txt` for 1001.jpg, are `x1,y1,…,xn,yn,####text` of any number of points.
      Text with the transcription `###` is ignored.
    - Terms: non-commercial research only; any other use by its authors' leave.
    """

    title = "SCUT-CTW1500"
    source = "https://github.com/Yuliang-Liu/Curve-Text-Detector (folder data)"
    layout = """\
    train_images/0001.jpg …
    test_images/1001.jpg …
    ctw1500_train_labels/0001.xml …
    gt_ctw1500/0001001.txt …
or, of the first release:
    train/text_image/0001.jpg, train/text_label_curve/0001.txt …
    test/text_image/1001.jpg, test/text_label_curve/1001.txt …"""
    train_folders = Folders(
        ("train_images", "train/text_image"),
        ("ctw1500_train_labels", "train/text_label_curve", "train/text_label_circum"),
    )
    test_folders = Folders(
        ("test_images", "test/text_image"),
        ("gt_ctw1500", "gt_ctw_1500", "test/text_label_curve", "test/text_label_circum"),
    )
    annotation_suffix = (".xml", ".txt")
    annotation_patterns = ("{stem}.xml", "{stem:0>7}.txt", "{stem}.txt")
    counts: ClassVar[dict[str, int]] = {"train": 1000, "test": 500}

    @classmethod
    def parse(cls, data: bytes, file: str) -> Annotation:
        """One line of text a line, or a box of an XML document; see the class.

        **Raises:** `BadPicture` if it is an XML document that is damaged, of something else, or that declares a type or
        entities, or if none of its lines can be used.
        """
        text, problems = decode_text(data, file)
        document = text.lstrip("\ufeff \t\r\n")
        if document.startswith("<") or file.lower().endswith(".xml"):
            lines = _box_lines(document, file)
            if not lines:
                problems.append(Problem(file, "no <box> in it; read as a picture without text"))
            return parse_instances(lines, file, _parse_line, problems)
        return parse_instances(split_lines(text), file, _parse_line, problems)


def _parse_line(line: str) -> Instance:
    points, separator, text = line.partition(_TEXT_FOLLOWS)
    fields = points.split(",")
    if separator:
        if len(fields) % 2:
            raise ValueError(f"{len(fields)} numbers before {_TEXT_FOLLOWS[1:]} where pairs are needed")
        numbers = parse_numbers(fields, len(fields))
        polygon = as_polygon(numbers[0::2], numbers[1::2])
        return Instance(polygon, is_ignored_text(text), text, doubt=joined_lines(text))
    if not fields[-1].strip():
        fields.pop()  # the line ends in a comma
    if len(fields) > 32:
        raise ValueError(f"{len(fields)} fields where 32, or {_TEXT_FOLLOWS[1:]} and a transcription, are needed")
    left, top, _, _, *offsets = parse_numbers(fields, 32)
    return Instance(as_polygon([left + dx for dx in offsets[0::2]], [top + dy for dy in offsets[1::2]]), False)


def _box_lines(text: str, file: str) -> list[tuple[int, str]]:
    """The boxes of an XML document, each as a line of the test labels, with the number of its line.

    **Raises:** `BadPicture` if the document is damaged, of something else, or declares a type or entities.
    """
    # Entities are defined inside a document type declaration, and nowhere else: a kilobyte of them can stand for
    # gigabytes. The labels have none.
    if "<!DOCTYPE" in text:
        raise BadPicture(f"{file}: declares a document type, which labels have no need of; refused")
    reader = _BoxReader()
    try:
        # As text, so that no encoding that the document declares is believed.
        reader.parser.Parse(text, True)
    except xml.parsers.expat.ExpatError as error:
        raise BadPicture(f"{file}: damaged XML: {error}") from error
    if not reader.of_picture:
        raise BadPicture(f"{file}: no <image> and no <box> in it: the XML of something else")
    return reader.lines


class _BoxReader:
    """Collects the boxes while a document is parsed."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.of_picture = False
        self._start = 0
        self._element = ""
        self._found = {"segs": "", "label": ""}
        self.parser = xml.parsers.expat.ParserCreate()
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close
        self.parser.CharacterDataHandler = self._add

    def _open(self, name: str, _: dict[str, str]) -> None:
        self.of_picture |= name in ("image", "box")
        if name == "box":
            self._start = self.parser.CurrentLineNumber
            self._found = {"segs": "", "label": ""}
        elif self._element:
            self._add(f"<{name}>")  # which belongs into no number, and is seen there
        elif name in self._found:
            self._element = name
            # Of a second one: digits of two must not make one number.
            self._add(" " * bool(self._found[name]))

    def _add(self, text: str) -> None:
        if self._element in self._found:
            self._found[self._element] += text

    def _close(self, name: str) -> None:
        if name == self._element:
            self._element = ""
        if name == "box":
            self.lines.append((self._start, f"{self._found['segs'].strip()}{_TEXT_FOLLOWS}{self._found['label']}"))
