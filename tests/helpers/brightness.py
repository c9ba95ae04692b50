"""A detector that takes white for text: its maps are known, and so is where every box must come out; and pictures."""

import numpy as np

from dbnet_jax.detector import Detector
from tests.helpers import tiny_run as tiny

WHITE = 255


class BrightnessDetector(Detector):
    """The real detector around a network that is replaced by a threshold on brightness.

    It grows nothing, so that a white box is found as it is. `calls` holds the shape of every batch that the network
    was given, and the maps that were asked for.
    """

    def __init__(self, **predict: object):
        config = tiny.config()
        defaults = {"shape": "quad", "unclip_ratio": 1e-3, "resize": "short", "size": 160, "max_side": 1024}
        config.predict.update(defaults | predict)
        super().__init__(config, {})
        self.calls: list[tuple[tuple[int, ...], tuple[str, ...]]] = []
        self._eval_step = self._threshold

    def _threshold(self, variables: object, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        self.calls.append((images.shape, names))
        return {name: (images.mean(axis=-1) > 127).astype(np.float32) for name in names}


def white_box(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A black picture of `size` (height, width) with a white box; its last column and row are still white."""
    image = np.zeros((*size, 3), np.uint8)
    image[top : bottom + 1, left : right + 1] = WHITE
    return image


def quad(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The corners of a box, clockwise from the top left."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An RGB picture of random bytes."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def assert_same(found, expected) -> None:
    """The same polygons and scores, to the bit and in the same order."""
    assert len(found.polygons) == len(expected.polygons)
    for a, b in zip(found.polygons, expected.polygons, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.scores, expected.scores)
