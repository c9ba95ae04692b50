"""Detection and recognition together: the text of a picture."""

import contextlib
import functools
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from dbnet_jax.detector import Detector, Source
from dbnet_jax.images.crops import cut_between, text_sides
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.postprocess import Detections
from dbnet_jax.recognition.lines import group_lines, reading_order
from dbnet_jax.recognition.recognizer import DEFAULT as RECOGNIZER
from dbnet_jax.recognition.recognizer import Recognition, Recognizer
from dbnet_jax.typing import Image
from dbnet_jax.weights.shipped import DEFAULT as DETECTOR

_TALL = 1.5  # of its width that a text's height has where its letters are turned


@dataclass(frozen=True)
class Word:
    """A word that was found and read.

    - `polygon`: `[vertices, 2]`, (x, y) in pixels of the picture.
    - `text`: what it says; `score`: the probability that the recogniser gives to the text, in [0, 1].
    - `detection_score`: the mean probability inside the polygon, in [0, 1].
    """

    polygon: Float[np.ndarray, "_ 2"]
    text: str
    score: float
    detection_score: float


@dataclass(frozen=True)
class Line:
    """Words in the order in which they are read.

    - `polygon`: around all of them, `[vertices, 2]`.
    """

    words: list[Word]

    @property
    def text(self) -> str:
        """The words, with single spaces."""
        return " ".join(word.text for word in self.words)

    @functools.cached_property
    def polygon(self) -> Float[np.ndarray, "_ 2"]:
        points = np.concatenate([word.polygon for word in self.words]).astype(np.float32)
        return np.asarray(cv2.convexHull(points)[:, 0], np.float32)


@dataclass(frozen=True)
class Page:
    """The text of a picture.

    - `size`: (height, width) of the picture, in pixels.
    - `notes`: what a person should know of the picture, as in `Detections`.
    - `left_out`: how many words are left out, because they are not read or hardly.
    """

    lines: list[Line]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def words(self) -> list[Word]:
        """The words of all lines, in reading order."""
        return [word for line in self.lines for word in line.words]

    @property
    def text(self) -> str:
        """The lines, each with a line end between them."""
        return "\n".join(line.text for line in self.lines)


class Reader:
    """Reads pictures: a detector finds the words, and a recogniser reads them.

    Words without text are left out, and words whose `score` is below the recogniser's `config.predict.text_threshold`.

    **Arguments:** `detector`; `recognizer`.
    """

    def __init__(self, detector: Detector, recognizer: Recognizer):
        self.detector, self.recognizer = detector, recognizer

    @classmethod
    def from_pretrained(
        cls, detector: str = DETECTOR, recognizer: str = RECOGNIZER, *, backend: str = "xla"
    ) -> "Reader":
        """The reader with shipped weights.

        **Arguments:** `backend`: the `config.predict.backend` of both networks.

        **Raises:** ValueError if a name is unknown; ImportError if a package of `backend` is missing.
        """
        return cls(
            Detector.from_pretrained(detector, backend=backend), Recognizer.from_pretrained(recognizer, backend=backend)
        )

    def read(self, image: Source) -> Page:
        """The text of a picture. **Arguments** and **Raises:** as `Detector.detect`."""
        (page,) = self.read_many([lambda: image() if callable(image) else image])  # a file's first frame
        if isinstance(page, ValueError):
            raise page
        return page

    def read_many(self, images: Iterable[Source]) -> Generator[Page | ValueError, None, None]:
        """The text of each picture, in order; of one that cannot be read its error.

        With `config.predict.frames` "all", a path of a file with several frames or pages gives a page for each of them.

        The detector works on the next pictures, and threads cut out their words, while the words of one are recognised.

        **Raises:** ValueError if `images` is one picture.
        """
        cut = self.detector.detect_each(images, lambda picture, found: self._cut(picture.image, found))
        with contextlib.closing(cut):
            for one in cut:
                yield one if isinstance(one, ValueError) else self._page(one)

    def read_words(self, image: Image, found: Detections) -> Page:
        """The page of words that a detector found in a picture."""
        return self._page(self._cut(image, found))

    def _cut(self, image: Image, found: Detections) -> "_Cut":
        """Cuts out each word, from both sides if it stands upright."""
        longest = int(self.recognizer.config.predict.widths[-1])
        crops, owners = [], []
        for index, polygon in enumerate(found.polygons):
            upper, lower = text_sides(polygon)
            crops.append(cut_between(image, upper, lower, HEIGHT, longest))
            owners.append(index)
            along = np.abs(upper[-1] - upper[0])
            if along[1] > _TALL * along[0]:
                crops.append(np.ascontiguousarray(crops[-1][::-1, ::-1]))
                owners.append(index)
        return _Cut((image.shape[0], image.shape[1]), found, crops, owners)

    def _page(self, cut: "_Cut") -> Page:
        least = self.recognizer.config.predict.text_threshold
        words = [
            Word(polygon, reading.text, reading.score, float(score))
            for polygon, score, reading in zip(cut.found.polygons, cut.found.scores, self._recognize(cut), strict=True)
            if reading.text and reading.score >= least
        ]
        lines = [Line([words[i] for i in line]) for line in group_lines([word.polygon for word in words])]
        if lines:
            boxes = np.array([np.concatenate([line.polygon.min(0), line.polygon.max(0)]) for line in lines])
            lines = [lines[i] for i in reading_order(boxes)]
        return Page(lines, cut.size, cut.found.notes, len(cut.found.polygons) - len(words))

    def _recognize(self, cut: "_Cut") -> list[Recognition]:
        """Reads each word; of one that was cut out from both sides the surer reading is taken."""
        best: dict[int, Recognition] = {}
        for index, reading in zip(cut.owners, self.recognizer.read_upright(cut.crops), strict=True):
            if index not in best or reading.score > best[index].score:
                best[index] = reading
        return [best[index] for index in range(len(cut.found.polygons))]


@dataclass(frozen=True)
class _Cut:
    """The words of a picture of `size` (height, width), to be recognised: `owners` is the word of each crop."""

    size: tuple[int, int]
    found: Detections
    crops: list[UInt8[np.ndarray, "32 _"]]
    owners: list[int]
