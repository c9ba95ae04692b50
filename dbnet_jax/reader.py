"""Detection and recognition together: the text of a picture."""

import functools
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from dbnet_jax.detector import Detector, Source
from dbnet_jax.images.crops import cut_between, text_sides
from dbnet_jax.images.decode import Picture, reading_options
from dbnet_jax.images.sources import each_frame, is_one_picture, to_picture
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.postprocess import Detections
from dbnet_jax.recognition.lines import group_lines, reading_order
from dbnet_jax.recognition.recognizer import DEFAULT as RECOGNIZER
from dbnet_jax.recognition.recognizer import Recognition, Recognizer
from dbnet_jax.typing import Image, Polygon
from dbnet_jax.weights.shipped import DEFAULT as DETECTOR

_TALL = 1.5  # of its width that a text's height has where its letters are turned


@dataclass(frozen=True)
class Word:
    """A word that was found and read.

    - `polygon`: `[vertices, 2]`, (x, y) in pixels of the picture.
    - `text`: what it says; `score`: how sure the recogniser is, in [0, 1].
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
    """

    lines: list[Line]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()

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

    **Arguments:** `detector`; `recognizer`.
    """

    def __init__(self, detector: Detector, recognizer: Recognizer):
        self.detector, self.recognizer = detector, recognizer

    @classmethod
    def from_pretrained(cls, detector: str = DETECTOR, recognizer: str = RECOGNIZER) -> "Reader":
        """The reader with shipped weights. **Raises:** ValueError if a name is unknown."""
        return cls(Detector.from_pretrained(detector), Recognizer.from_pretrained(recognizer))

    def read(self, image: Source) -> Page:
        """The text of a picture. **Arguments** and **Raises:** as `Detector.detect`."""
        (page,) = self.read_many([lambda: image() if callable(image) else image])  # a file's first frame
        if isinstance(page, ValueError):
            raise page
        return page

    def read_many(self, images: Iterable[Source]) -> Generator[Page | ValueError, None, None]:
        """The text of each picture, in order; of one that cannot be read its error.

        With `config.predict.frames` "all", a path of a file with several frames or pages gives a page for each of them.

        The detector works on the next pictures while the words of one are recognised.

        **Raises:** ValueError if `images` is one picture.
        """
        if is_one_picture(images):
            raise ValueError(f"`images` (={images!r:.60}) must be several pictures; `read` takes one")
        kept: dict[int, Image] = {}
        predict = self.detector.config.predict
        options = reading_options(predict)

        def keep(index: int, source: Source) -> Picture:
            picture = to_picture(source() if callable(source) else source, **options)
            kept[index] = picture.image
            return picture

        each = each_frame(images, **options) if predict.frames == "all" else images
        sources = (functools.partial(keep, index, source) for index, source in enumerate(each))
        for index, found in enumerate(self.detector.detect_many(sources)):
            if isinstance(found, ValueError):
                kept.pop(index, None)
                yield found
            else:
                yield self.read_words(kept.pop(index), found)

    def read_words(self, image: Image, found: Detections) -> Page:
        """The page of words that a detector found in a picture."""
        readings = self._recognize(image, found.polygons)
        words = [
            Word(polygon, reading.text, reading.score, float(score))
            for polygon, score, reading in zip(found.polygons, found.scores, readings, strict=True)
        ]
        lines = [Line([words[i] for i in line]) for line in group_lines(found.polygons)]
        if lines:
            boxes = np.array([np.concatenate([line.polygon.min(0), line.polygon.max(0)]) for line in lines])
            lines = [lines[i] for i in reading_order(boxes)]
        return Page(lines, (image.shape[0], image.shape[1]), found.notes)

    def _recognize(self, image: Image, polygons: list[Polygon]) -> list[Recognition]:
        """Reads each word; one that stands upright is read from both sides, and the surer reading is taken."""
        longest = int(self.recognizer.config.predict.widths[-1])
        crops, owners = [], []
        for index, polygon in enumerate(polygons):
            upper, lower = text_sides(polygon)
            crops.append(cut_between(image, upper, lower, HEIGHT, longest))
            owners.append(index)
            along = np.abs(upper[-1] - upper[0])
            if along[1] > _TALL * along[0]:
                crops.append(np.ascontiguousarray(crops[-1][::-1, ::-1]))
                owners.append(index)
        best: dict[int, Recognition] = {}
        for index, reading in zip(owners, self.recognizer.read_upright(crops), strict=True):
            if index not in best or reading.score > best[index].score:
                best[index] = reading
        return [best[index] for index in range(len(polygons))]
