"""HUST-TR400: more lines of text in any orientation, to train on together with MSRA-TD500."""

from typing import ClassVar

from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.benchmarks.msra_td500 import parse_box
from input_pipeline.datasets.parsing.annotations import Instance, joined_lines

_FOLDERS = (".", "HUST-TR400")


class HustTr400(Benchmark):
    """HUST-TR400 (Yao, Bai and Liu: A Unified Framework for Multi-Oriented Text Detection and Recognition, IEEE
    Transactions on Image Processing, 2014).

    - Release: 2014; 400 photos, all of them to train on: "train" and "trainval" are the same 400. Results on
      MSRA-TD500 are usually those of training on its training set and these.
    - Where: http://mclab.eic.hust.edu.cn/UpLoadFiles/dataset/HUST-TR400.zip
    - Layout: one folder of photos, each with an annotation file of its name that ends in `.gt`.
    - Annotation: MSRA-TD500's, `index difficult x y w h theta` (see there). Whatever follows on a line is kept as
      its transcription.
    - Terms: its authors are the authority; published as research data.
    """

    title = "HUST-TR400"
    source = "http://mclab.eic.hust.edu.cn/UpLoadFiles/dataset/HUST-TR400.zip"
    layout = """\
    a photo and its labels, of one name: ….jpg, ….gt
or the same in a folder HUST-TR400"""
    train_folders = Folders(_FOLDERS, _FOLDERS)
    annotation_suffix = ".gt"
    annotation_patterns = ("{stem}.gt",)
    counts: ClassVar[dict[str, int]] = {"train": 400}
    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        ("validation", "test"), "all of its photos are to train on (split 'train'); score on MSRA-TD500"
    )

    @staticmethod
    def parse_line(line: str) -> Instance:
        fields = line.split(maxsplit=7)
        instance = parse_box(fields)
        text = fields[7].strip() if len(fields) > 7 else ""
        return Instance(instance.polygon, instance.ignore, text, doubt=joined_lines(text, None))
