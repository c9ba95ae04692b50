"""ICDAR 2015 Incidental Scene Text: words in street photographs taken in passing."""

from typing import ClassVar

from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    check_commas,
    joined_lines,
    parse_numbers,
)
from input_pipeline.datasets.parsing.transcription import PLAIN


class Icdar2015(Benchmark):
    """Incidental Scene Text, challenge 4 of the ICDAR 2015 Robust Reading Competition (task 4.1, text
    localisation).

    - Release: 2015; 1000 training photos (11,886 words, 7,418 of them ignored) and 500 test photos,
      all of 1280×720 pixels.
    - Where: https://rrc.cvc.uab.es/?ch=4&com=downloads, after a free registration.
    - Layout: four folders, named as the four archives of tasks 4.1 and 4.3; see `layout`.
    - Annotation: a line a word, `x1,y1,x2,y2,x3,y3,x4,y4,transcription`, clockwise from the word's top left;
      UTF-8, often with a byte order mark; a transcription may hold commas, and a word with `###` is
      ignored. A line without a transcription is kept and listed.
    - Terms: those of the competition's portal, shown where it is downloaded; research use.
    """

    title = "ICDAR 2015 Incidental Scene Text"
    source = "https://rrc.cvc.uab.es/?ch=4&com=downloads (after a free registration)"
    layout = """\
    ch4_training_images/img_1.jpg …
    ch4_training_localization_transcription_gt/gt_img_1.txt …
    ch4_test_images/img_1.jpg …
    Challenge4_Test_Task1_GT/gt_img_1.txt …"""
    train_folders = Folders(("ch4_training_images",), ("ch4_training_localization_transcription_gt",))
    test_folders = Folders(("ch4_test_images",), ("Challenge4_Test_Task1_GT",))
    annotation_suffix = ".txt"
    annotation_patterns = ("gt_{stem}.txt",)
    counts: ClassVar[dict[str, int]] = {"train": 1000, "test": 500}

    @staticmethod
    def parse_line(line: str) -> Instance:
        fields = line.split(",", 8)
        check_commas(fields[0])
        numbers = parse_numbers(fields, 8)
        text, ignored = PLAIN.split(fields[8] if len(fields) > 8 else "")
        # Where nothing follows, the last number itself may be cut off.
        doubt = joined_lines(text) if len(fields) > 8 else "there is no transcription"
        return Instance(as_polygon(numbers[0::2], numbers[1::2]), ignored, text, doubt=doubt)
