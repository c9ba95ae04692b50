"""Whether a painted word can be read in the finished picture."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from dbnet_jax.typing import Polygon
from input_pipeline.datasets.rendered.scenes.camera import Camera
from input_pipeline.datasets.rendered.scenes.painting import Inked

_SMALLEST = 6.5  # pixels of height; nobody can read lower text, nor text below `Camera.smear`
_CONTRAST = 7.0  # of 255; with a smaller difference to their surroundings, letters can only be guessed
_STEADY = 0.6  # the least share of this difference in the standard deviation of the surroundings


def is_large(polygon: Polygon, camera: Camera, letter_share: float = 1.0) -> bool:
    """Whether the word in `polygon` is high enough for `camera`.

    **Arguments:**

    - `polygon`: an outline with as many points above as below, in pixels.
    - `letter_share`: the height of the letters divided by the height of the polygon; see `Block`.
    """
    half = len(polygon) // 2
    height = float(np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=1).mean())
    return letter_share * height >= max(_SMALLEST, camera.smear)


class Contrast:
    """How far letters stand out from their surroundings.

    For each pixel, in a square of 0.6 line heights, the mean luma under the ink is compared with the mean luma of a rim
    around the ink.

    **Arguments:**

    - `luma`: the luma of the finished picture, in [0, 255].
    - `inked`: the painted text.
    """

    def __init__(self, luma: UInt8[np.ndarray, "height width"], inked: Inked):
        x, y = inked.first
        height, width = inked.letters.shape
        seen = luma[y : y + height, x : x + width].astype(np.float32)
        seen -= seen.mean()  # otherwise its square would lose small differences
        reach, side = max(1, round(0.08 * inked.line)), max(5, 2 * round(0.3 * inked.line) + 1)
        rim = cv2.dilate(inked.letters, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) - inked.letters

        self._first = np.array(inked.first, np.float32)
        self._ink = inked.letters.astype(np.float32) / np.float32(255)
        around = rim.astype(np.float32) / np.float32(255)
        ink, ground = (_blurred(where, side) + np.float32(1e-5) for where in (self._ink, around))
        beside = _blurred(seen * around, side) / ground
        self._difference = np.abs(_blurred(seen * self._ink, side) / ink - beside)
        self._deviation = np.sqrt(np.maximum(_blurred(seen * seen * around, side) / ground - beside * beside, 0))

    def is_enough(self, polygon: Polygon) -> bool:
        """Whether the word in `polygon` has enough contrast with the ground."""
        inside = np.zeros(self._ink.shape, np.uint8)
        cv2.fillPoly(inside, [np.rint(polygon - self._first).astype(np.int32)], (1,))
        weight = self._ink * inside
        total = float(weight.sum())
        if total < 1:
            return False
        difference = float((self._difference * weight).sum()) / total
        return difference >= max(_CONTRAST, _STEADY * float((self._deviation * weight).sum()) / total)


def _blurred(values: Float32[np.ndarray, "_ _"], side: int) -> Float32[np.ndarray, "_ _"]:
    return np.asarray(cv2.blur(values, (side, side)), np.float32)
