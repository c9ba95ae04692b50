"""MSRA-TD500: lines of Chinese and English text in any orientation."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from input_pipeline.datasets.benchmarks.base import Benchmark, Folders
from input_pipeline.datasets.parsing.annotations import (
    MAX_COORDINATE,
    Instance,
    as_polygon,
    parse_numbers,
)


class MsraTd500(Benchmark):
    r"""MSRA Text Detection 500 (Yao, Bai, Liu, Ma and Tu: Detecting Texts of Arbitrary Orientations in
    Natural Images, CVPR 2012).

    - Release: 2012; 300 training photos (1,068 lines, 101 of them difficult; six photos without text) and 200
      test photos, from 1296×864 to 1920×1280 pixels.
    - Where: http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500)
    - Layout: `train/` and `test/`, each with IMG_0030.JPG, IMG_0030.gt, …
    - Annotation: a text line a line, `index difficult x y w h theta`: an upright box with top left corner (x,
      y), turned by theta radians about its centre c, so that a corner p goes to $c +
      \begin{pmatrix}\cos\theta & -\sin\theta\\ \sin\theta & \cos\theta\end{pmatrix}(p - c)$, which is
      clockwise where y points down. Difficult lines are ignored; there are no transcriptions. The
      labels follow the stored pixels: an EXIF orientation is ignored.
    - Terms: publicly released as a research benchmark; the page above is the authority.
    """

    title = "MSRA-TD500"
    source = "http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500)"
    layout = """\
    train/IMG_0030.JPG, train/IMG_0030.gt …
    test/IMG_0059.JPG, test/IMG_0059.gt …"""
    train_folders = Folders(("train",), ("train",))
    test_folders = Folders(("test",), ("test",))
    annotation_suffix = ".gt"
    annotation_patterns = ("{stem}.gt",)
    counts: ClassVar[dict[str, int]] = {"train": 300, "test": 200}

    @staticmethod
    def parse_line(line: str) -> Instance:
        fields = line.split()
        if len(fields) > 7:
            raise ValueError(f"{len(fields)} fields where 7 are needed")
        return parse_box(fields)


def parse_box(fields: Sequence[str]) -> Instance:
    """A turned box from the fields `index difficult x y w h theta`; see `MsraTd500`.

    **Raises:** `ValueError` with the reason where they make none.
    """
    _, difficult, x, y, width, height, theta = parse_numbers(fields, 7)
    if difficult not in (0, 1):
        raise ValueError(f"difficult (={fields[1]}) must be 0 or 1")
    if max(abs(x), abs(y), width, height) > MAX_COORDINATE:  # whose sums may be infinite
        raise ValueError(f"x, y, width or height (={', '.join(fields[2:6])}) lies far outside of any picture")
    if width <= 0 or height <= 0:
        raise ValueError(f"width (={fields[4]}) and height (={fields[5]}) must be positive")
    centre_x, centre_y = x + width / 2, y + height / 2
    across, down = np.array([-1, 1, 1, -1]) * width / 2, np.array([-1, -1, 1, 1]) * height / 2
    cos, sin = math.cos(theta), math.sin(theta)
    polygon = as_polygon(
        (centre_x + cos * across - sin * down).tolist(), (centre_y + sin * across + cos * down).tolist()
    )
    return Instance(polygon, difficult == 1)
