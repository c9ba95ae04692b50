"""The places of text in real photographs, which rendered text fills."""

import os
import pathlib

import cv2

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.benchmarks.total_text import TotalText

# The upper and the lower edge of a word: as many points each, in reading order.
Band = tuple[Polygon, Polygon]


class Layouts:
    """The outlines of annotation files, with their texts.

    **Arguments:**

    - `folder`: a folder of `.txt` files, one for each picture, with lines `x1,y1,…,xn,yn,text`: Total-Text's or
        ICDAR's. Polygons with an odd number of points and polygons that touch or cross themselves are left out.
        `problems` counts them.

    **Raises:** FileNotFoundError if the folder contains no such file; ValueError if the files contain no polygon.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.problems: list[Problem] = []
        files = sorted(as_path(folder).expanduser().glob("*.txt"))
        if not files:
            raise FileNotFoundError(f"`config.data.layouts` (={os.fspath(folder)!r}) must hold annotation files, *.txt")
        self._odd: list[str] = []
        self._pictures = [words for words in map(self._read, files) if words]
        if self._odd:
            said = (
                f"{len(self._odd)} outlines of an odd number of points, or that touch or cross themselves, are left "
                f"out, the first in {self._odd[0]}"
            )
            self.problems.append(Problem("`config.data.layouts`", said, len(self._odd)))
        if not self._pictures:
            first = "; ".join(map(str, self.problems[:3]))
            raise ValueError(f"`config.data.layouts` (={os.fspath(folder)!r}) must hold outlines: {first}")

    def __len__(self) -> int:
        """The number of pictures with text."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> list[tuple[Band, str]]:
        """The words of picture `index`. The text is "" if it was not legible."""
        return self._pictures[index]

    def _read(self, file: pathlib.Path) -> list[tuple[Band, str]]:
        try:
            annotation = TotalText.parse(file.read_bytes(), file.name)
        except OSError as error:
            self.problems.append(Problem(file.name, error.strerror or str(error)))
            return []
        except BadPicture as error:  # no line can be used
            self.problems.append(Problem.at(file.name, error))
            return []
        self.problems += annotation.problems
        words = []
        instances = zip(annotation.polygons, annotation.ignore, annotation.texts, strict=True)
        for index, (polygon, ignore, text) in enumerate(instances):
            if len(polygon) < 4 or len(polygon) % 2 or index in annotation.repaired:
                self._odd.append(file.name)
                continue
            half = len(polygon) // 2
            upper, lower = polygon[:half], polygon[half:][::-1]
            # In a polygon that is clockwise on the screen, the upper side comes first.
            band = (upper, lower) if cv2.contourArea(polygon, oriented=True) > 0 else (lower, upper)
            words.append((band, "" if ignore else text))
        return words
