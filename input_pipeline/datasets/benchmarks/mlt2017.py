"""ICDAR 2017 MLT: words of nine scripts."""

from typing import ClassVar

from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    check_commas,
    is_ignored_text,
    joined_lines,
    parse_numbers,
)

SCRIPTS = ("Arabic", "Latin", "Chinese", "Japanese", "Korean", "Bangla", "Symbols", "Mixed", "None")


class Mlt2017(Benchmark):
    """Multi-lingual scene text, challenge 8 of the Robust Reading Competition (Nayef et al.: ICDAR2017 Robust Reading
    Challenge on Multi-Lingual Scene Text Detection and Script Identification — RRC-MLT, ICDAR 2017).

    - Release: 2017; 7200 training, 1800 validation and 9000 test photos. The test labels are not public: results
      come from the portal. "validation" is the official validation set, "trainval" the training set and then this
      one, on which both DBNet's paper trains.
    - Where: https://rrc.cvc.uab.es/?ch=8&com=downloads, after a free registration.
    - Layout: the folders are named as the archives; the photos of `ch8_training_images_1` to `_8` may lie together
      in `ch8_training_images`.
    - Annotation: a line a word, `x1,y1,x2,y2,x3,y3,x4,y4,script,transcription`, clockwise; UTF-8. The script is one
      of `SCRIPTS`; a word with another one, or without, is kept and listed. A transcription may hold commas, and
      a word with `###` is ignored, of whatever script.
    - Terms: those of the competition's portal, shown where it is downloaded; research use.
    """

    title = "ICDAR 2017 MLT"
    source = "https://rrc.cvc.uab.es/?ch=8&com=downloads (after a free registration)"
    layout = """\
    ch8_training_images_1/img_1.jpg … ch8_training_images_8/…
    ch8_training_localization_transcription_gt_v2/gt_img_1.txt …
    ch8_validation_images/img_1.jpg …
    ch8_validation_localization_transcription_gt_v2/gt_img_1.txt …"""
    train_folders = Folders(
        ("ch8_training_images*",),
        ("ch8_training_localization_transcription_gt_v2", "ch8_training_localization_transcription_gt"),
        together=True,
    )
    validation_folders = Folders(
        ("ch8_validation_images",),
        ("ch8_validation_localization_transcription_gt_v2", "ch8_validation_localization_transcription_gt"),
    )
    annotation_suffix = ".txt"
    annotation_patterns = ("gt_{stem}.txt",)
    counts: ClassVar[dict[str, int]] = {"train": 7200, "validation": 1800}
    absent: ClassVar[dict[str, str]] = {"test": "its labels are not public; score on 'validation' or at the portal"}

    @staticmethod
    def parse_line(line: str) -> Instance:
        fields = line.split(",", 9)
        check_commas(fields[0])
        numbers = parse_numbers(fields, 8)
        script = fields[8].strip() if len(fields) > 8 else ""
        text = fields[9] if len(fields) > 9 else ""
        doubt = (
            joined_lines(text) if script in SCRIPTS else f"the script {script[:20]!r} is none of {', '.join(SCRIPTS)}"
        )
        if len(fields) < 10:
            doubt = f"{len(fields) - 8} of the 2 fields after the numbers"
        return Instance(as_polygon(numbers[0::2], numbers[1::2]), is_ignored_text(text), text, script, doubt)
