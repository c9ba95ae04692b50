"""Training examples of a recogniser: a word's picture of one size, and its text as classes."""

import itertools

import cv2
import numpy as np
from jaxtyping import Float

from dbnet_jax.characters import CharacterSet, composed
from dbnet_jax.images.crops import LEAST_WIDTH, cut_word, padded, word_width
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.models.recognition.encoders import STRIDE, column_counts
from dbnet_jax.typing import Polygon
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.parsing.json_values import shorten
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.examples import Example, ShuffledExamples


class WordExamples(ShuffledExamples):
    """Examples: `image` uint8 [height, width], grey; `width`, that of the word in it; `text`, its classes, int32.

    `text` has `max_length` places; those after the word are 0.

    **Arguments:**

    - `dataset`: samples whose first polygon is the word, and whose first text is what it says.
    - `seed`, `bad_samples`: see `ShuffledExamples`.
    - `characters`: of the texts.
    - `size`: (height, width) of the pictures, in pixels. A longer word is squeezed.
    - `max_length`: characters of a text.
    - `jitter`: how far outlines and brightness vary, as a share; 0: not at all.
    - `aligned`: whether each character needs feature columns of its own, as in CTC. A text with more characters than
        its picture has columns is skipped.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        bad_samples: BadSamples,
        *,
        characters: CharacterSet,
        size: tuple[int, int],
        max_length: int,
        jitter: float,
        aligned: bool = True,
    ):
        super().__init__(dataset, seed, bad_samples)
        self._characters, self._size, self._max_length, self._jitter = characters, size, max_length, jitter
        self._aligned = aligned

    def _make(self, rng: np.random.Generator, index: int, sample: Sample) -> Example:
        text, polygon = composed(sample.texts[0]), sample.polygons[0]
        if problem := self.why_unusable(sample):
            raise BadPicture(f"{sample.name}: {problem}")
        height, width = self._size
        # A varied crop keeps the columns that its text needs.
        least = max(LEAST_WIDTH, STRIDE * columns_for(text)) if self._aligned else LEAST_WIDTH
        if self._jitter:
            polygon = _moved(rng, polygon, self._jitter)
        crop = cut_word(sample.image, polygon, height, width, least)
        if self._jitter:
            if rng.random() < 0.3:
                narrow = int(np.clip(crop.shape[1] * np.exp(rng.normal(0, 0.15)), least, width))
                crop = np.asarray(cv2.resize(crop, (narrow, height), interpolation=cv2.INTER_LINEAR), np.uint8)
            gain = 1 + self._jitter * rng.uniform(-1, 1)
            shift = 127.5 * (1 - gain) + 127.5 * self._jitter * rng.uniform(-1, 1)
            crop = cv2.addWeighted(crop, gain, crop, 0, shift)
        classes = np.zeros(self._max_length, np.int32)
        classes[: len(text)] = self._characters.encode(text)
        return {
            "image": padded(crop, width),
            "width": np.array(crop.shape[1], np.int32),
            "text": classes,
            "name": sample.name,
        }

    def why_unusable(self, sample: Sample) -> str:
        """Why a word cannot be trained on; "" where it can."""
        text = composed(sample.texts[0])
        shown = shorten(text)
        if not text:
            return "the word has no text"
        if unknown := self._characters.unknown(text):
            return f"{shown} has characters that the character set lacks: {unknown!r}"
        if len(text) > self._max_length:
            return f"{shown} has {len(text)} characters, more than `config.model.max_length` (={self._max_length})"
        needed, columns = columns_for(text), self.columns(sample)
        if self._aligned and needed > columns:
            return f"{shown} needs {needed} feature columns, and its crop has {columns}: it is too narrow"
        return ""

    def width(self, sample: Sample) -> int:
        """The width of a word's crop that is not varied, in pixels."""
        return word_width(sample.polygons[0], *self._size)

    def columns(self, sample: Sample) -> int:
        """The feature columns of a word's crop that is not varied."""
        return int(column_counts(self.width(sample)))


def columns_for(text: str) -> int:
    """The feature columns that CTC needs for a text: one a character, and a blank between two that are the same."""
    return len(text) + sum(one == other for one, other in itertools.pairwise(text))


def _moved(rng: np.random.Generator, polygon: Polygon, jitter: float) -> Float[np.ndarray, "_ 2"]:
    """The polygon with every point moved by a share of its height: a detector's outline differs from the true one."""
    half = len(polygon) // 2
    high = (
        float(np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=1).mean()) if len(polygon) % 2 == 0 else 8
    )
    centre = polygon.mean(0)
    grown = centre + (polygon - centre) * (1 + rng.normal(0, 0.15 * jitter, 2))
    return (grown + rng.normal(0, 0.12 * jitter * high, polygon.shape)).astype(np.float32)
