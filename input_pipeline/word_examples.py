"""Training examples of a recogniser: a word's picture of one size, and its text as classes."""

import cv2
import numpy as np
from jaxtyping import Float

from dbnet_jax.characters import CharacterSet
from dbnet_jax.images.crops import cut_word, padded
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.typing import Polygon
from input_pipeline.bad_samples import BadSamples
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
    ):
        super().__init__(dataset, seed, bad_samples)
        self._characters, self._size, self._max_length, self._jitter = characters, size, max_length, jitter

    def _make(self, rng: np.random.Generator, index: int, sample: Sample) -> Example:
        text, polygon = sample.texts[0], sample.polygons[0]
        if len(text) > self._max_length:
            raise BadPicture(f"{sample.name}: {text!r} is longer than `config.model.max_length` (={self._max_length})")
        if unknown := self._characters.unknown(text):
            raise BadPicture(f"{sample.name}: {text!r} has characters that the character set lacks: {unknown!r}")
        if self._jitter:
            polygon = _moved(rng, polygon, self._jitter)
        height, width = self._size
        crop = cut_word(sample.image, polygon, height, width)
        if self._jitter:
            if rng.random() < 0.3:
                narrow = int(np.clip(crop.shape[1] * np.exp(rng.normal(0, 0.15)), 8, width))
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


def _moved(rng: np.random.Generator, polygon: Polygon, jitter: float) -> Float[np.ndarray, "_ 2"]:
    """The polygon with every point moved by a share of its height: a detector's outline differs from the true one."""
    half = len(polygon) // 2
    high = (
        float(np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=1).mean()) if len(polygon) % 2 == 0 else 8
    )
    centre = polygon.mean(0)
    grown = centre + (polygon - centre) * (1 + rng.normal(0, 0.15 * jitter, 2))
    return (grown + rng.normal(0, 0.12 * jitter * high, polygon.shape)).astype(np.float32)
