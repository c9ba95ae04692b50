"""Detection and reading with the options of a request."""

import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dbnet_jax.detector import Detector
from dbnet_jax.images.damage import damage
from dbnet_jax.images.decode import BadPicture, Picture, decode_picture
from dbnet_jax.images.header import read_header
from dbnet_jax.images.pdf import is_pdf
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.postprocess import UNCLIP_RATIOS, Detections
from dbnet_jax.reader import Page, Reader
from dbnet_jax.recognition import Recognizer
from dbnet_jax.serve.forms import Upload

# Formats of photographs. Others compile a shape of their own at their first picture.
_USUAL_ASPECTS = ((3, 4), (4, 3), (9, 16), (16, 9))
_USUAL_WORDS = (1, 2)  # of about one length in a photograph: a single one, or a batch
_DETECTORS = 32  # detectors with other options that are kept; they share the weights


class TooManyPixels(BadPicture):
    """A picture is over the limit of pixels."""


@dataclass(frozen=True)
class Options:
    """What a request changes in `config.predict`; None keeps the value of the weights."""

    shape: str | None = None
    box_threshold: float | None = None
    unclip_ratio: float | None = None
    size: int | None = None


class Task(NamedTuple):
    """What is done with a picture: text is found in it, and read where `read` is true."""

    read: bool
    options: Options


class Found(NamedTuple):
    """The detections in a picture, and its size (height, width) in pixels."""

    detections: Detections
    size: tuple[int, int]


class Engine:
    """A detector, and a recogniser where there is one, for tasks with options.

    **Arguments:** `detector`; `recognizer`: None for a service that only detects; `max_pixels`: of a picture.
    """

    def __init__(self, detector: Detector, recognizer: Recognizer | None, max_pixels: int):
        self.detector, self.recognizer, self._max_pixels = detector, recognizer, max_pixels
        self._with_options = functools.lru_cache(_DETECTORS)(self._make_detector)

    @property
    def sizes(self) -> list[int]:
        """The sizes that a request may ask for: others would compile new shapes without end."""
        predict = self.detector.config.predict
        return sorted({*predict.sizes, predict.first_size, *([predict.size] if predict.size else [])})

    @property
    def unclip_ratios(self) -> dict[str, float]:
        """The default of the unclip ratio for each shape."""
        return {shape: self.detector.config.predict.unclip_ratio or ratio for shape, ratio in UNCLIP_RATIOS.items()}

    def describe(self) -> dict[str, object]:
        """The defaults of the options, the sizes, and whether there is a recogniser."""
        predict = self.detector.config.predict
        return {
            "shape": predict.shape,
            "box_threshold": predict.box_threshold,
            "unclip_ratio": self.unclip_ratios[predict.shape],
            "size": predict.size,
            "sizes": self.sizes,
            "reads": self.recognizer is not None,
        }

    def check(self, options: Options) -> None:
        """**Raises:** ValueError if the detector does not take the options."""
        if options.size is not None and options.size not in self.sizes:
            raise ValueError(f"`size` (={options.size}) must be one of {', '.join(map(str, self.sizes))}")
        self._with_options(options)

    def run(self, task: Task, sources: Sequence[Upload]) -> Generator[Found | Page | ValueError, None, None]:
        """The result for each upload, in order; of a picture that cannot be read its error."""
        detector = self._with_options(task.options)
        opened = [functools.partial(self._open, upload) for upload in sources]
        if not task.read:
            yield from detector.detect_each(opened, _found)
            return
        assert self.recognizer is not None
        yield from Reader(detector, self.recognizer).read_many(opened)

    def prepare(self) -> Iterator[None]:
        """Compiles a usual shape in each step: of photographs at all sizes of the detector, and of words."""
        predict = self.detector.config.predict
        sizes = [predict.size] if predict.size else sorted(self.sizes, key=lambda size: size != predict.first_size)
        for size in sizes:
            detector = self._with_options(Options(size=size))
            for rows, cols in _USUAL_ASPECTS:
                shape = (rows * size // min(rows, cols), cols * size // min(rows, cols), 3)
                for count in {1, min(2, predict.batch_size)}:
                    detector.detect_batch([np.zeros(shape, np.uint8)] * count)
                    yield
        if self.recognizer is None:
            return
        for count in _USUAL_WORDS:
            for width in self.recognizer.config.predict.widths:
                self.recognizer.read_upright([np.zeros((HEIGHT, width), np.uint8)] * count)
                yield

    def _make_detector(self, options: Options) -> Detector:
        changed = {name: value for name, value in vars(options).items() if value is not None}
        if "size" in changed:  # one look
            changed["looks"] = "fitting"
        return self.detector.with_options(**changed) if changed else self.detector

    def _open(self, upload: Upload) -> Picture:
        """**Raises:** TooManyPixels; BadPicture."""
        if is_pdf(upload.content):  # a page of 1 kB can take hours, and nothing ends PDFium
            raise BadPicture(f"{upload.name}: a PDF file, which the service does not take; send pictures of its pages")
        header = read_header(upload.content, 0)
        if header is None:  # nothing bounds the pixels that decoding would make
            unknown = "cannot be decoded: it is damaged, no picture, or of a rare kind; send a picture as JPEG or PNG"
            raise BadPicture(f"{upload.name}: {damage(upload.content) or unknown}")
        height, width = header.size
        if height * width > self._max_pixels:
            raise TooManyPixels(
                f"{upload.name}: has {width}×{height} pixels, more than the limit of {self._max_pixels:,}; send less"
            )
        follow_exif = bool(self.detector.config.predict.follow_exif)
        return decode_picture(upload.content, upload.name, follow_exif=follow_exif, max_pixels=self._max_pixels)


def _found(picture: Picture, detections: Detections) -> Found:
    return Found(detections, (picture.image.shape[0], picture.image.shape[1]))
