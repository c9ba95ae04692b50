"""Pictures with text, rendered on demand, for a first run without a data set."""

from typing import get_args

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.typing import Image
from input_pipeline.datasets.rendered.arguments import check_rendered
from input_pipeline.datasets.rendered.synthetic.background import (
    fill_polygon,
    paint_background,
    paint_distractors,
    pick_color,
)
from input_pipeline.datasets.rendered.synthetic.layout import Run, lay_out
from input_pipeline.datasets.rendered.synthetic.words import Split
from input_pipeline.datasets.sample import Dataset, Sample

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CONTRAST = 75  # of 255: the least difference between the luma of text and the mean luma beneath it
_SMALLEST = 64  # pixels of a side: room for a word


class SyntheticDataset(Dataset):
    """Words and short lines, straight, turned, in perspective or along arcs, on drawn backgrounds.

    An instance is one rendered run of text: a word, or words with ordinary spaces. Two runs are at least one text
    height apart, the height of the larger one. The polygon of a run is the outline of its **text box** (`draw_text`):
    its ink with a margin of 4 % of its height, bent and turned with the text. It has 4 points if straight and 6 to 14
    if curved, clockwise in reading order from the top left of the text. Text is 12 to 80 pixels high and lies inside
    the picture. One picture in ten has no text.

    Sample i is a pure function of (`seed`, `split`, i). Any thread may ask for it. The splits share no word.
    """

    def __init__(self, count: int, *, seed: int = 0, split: Split = "train", size: tuple[int, int] = (256, 256)):
        """**Arguments:**

        - `count`: the number of pictures.
        - `seed`: in [0, 2³²).
        - `split`: "train" or "test".
        - `size`: (height, width) of the pictures, at least 64 pixels each.

        **Raises:** `ValueError` if an argument is out of range.
        """
        check_rendered(count, seed, split, size, _SMALLEST)
        self.problems = []
        self._count, self._seed, self._split, self._size = count, seed, split, size

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"synthetic_{self._split}_{self._checked(index):06}"

    def __getitem__(self, index: int) -> Sample:
        # Three words of 32 bits: each seed, split and index has random numbers of its own.
        stream = (self._seed, get_args(Split).index(self._split), self._checked(index))
        rng = np.random.default_rng(stream)
        runs, distances = lay_out(rng, self._split, self._size)
        picture = paint_background(rng, self._size)
        paint_distractors(rng, picture, distances)
        for run in runs:
            _paint_text(rng, picture, run)
        return Sample(
            name=self.name(index),
            image=_degrade(rng, picture),
            polygons=[run.polygon for run in runs],
            ignore=[False] * len(runs),
            texts=[run.text for run in runs],
        )

    def _checked(self, index: int) -> int:
        # This error ends iteration over a sequence.
        if not 0 <= index < self._count:
            raise IndexError(f"`index` (={index}) must be in [0, {self._count})")
        return index


def _paint_text(rng: np.random.Generator, picture: Image, run: Run) -> None:
    """Paints `run`, sometimes on a plate or with a shadow, in place."""
    if rng.random() < 0.2:
        fill_polygon(picture, run.warp.outline(grow=rng.uniform(0.1, 0.35)), pick_color(rng))
    left, top, right, bottom = run.window()
    opacity = run.opacity()
    letters, both = opacity[..., 0], opacity[..., 1]
    window = picture[top:bottom, left:right]
    color = _contrasting(rng, window, both)
    if rng.random() < 0.15:
        # The shadow may leave the polygon: a shadow is not text.
        height, width = both.shape
        dx, dy = rng.integers(1, 4, 2).tolist()
        shadow = np.zeros_like(both)
        shadow[dy:, dx:] = both[: height - dy, : width - dx]
        _blend(window, shadow // 2, _opposite(color))
    if not np.array_equal(letters, both):
        _blend(window, both, _opposite(color))
    _blend(window, letters, color)


def _contrasting(
    rng: np.random.Generator, window: Image, ink: UInt8[np.ndarray, "height width"]
) -> tuple[int, int, int]:
    """A colour that contrasts with the ground under `ink`. A busy ground needs more contrast."""
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY), mask=ink)
    beneath, busy = mean.item(), deviation.item()
    candidates = rng.integers(0, 256, (12, 3))
    contrast = np.abs(candidates @ _LUMA - beneath)
    good = np.flatnonzero(contrast >= _CONTRAST + busy)
    if len(good):
        red, green, blue = candidates[good[0]].tolist()
        return red, green, blue
    return (255, 255, 255) if beneath < 128 else (0, 0, 0)


def _opposite(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black for light colours, white for dark ones."""
    return (0, 0, 0) if np.dot(color, _LUMA) > 128 else (255, 255, 255)


def _blend(window: Image, opacity: UInt8[np.ndarray, "height width"], color: tuple[int, int, int]) -> None:
    """Lays `color` over `window` in place."""
    weight = opacity.astype(np.float32) * np.float32(1 / 255)
    solid = np.empty_like(window)
    solid[:] = color
    window[:] = cv2.blendLinear(window, solid, 1 - weight, weight)


def _degrade(rng: np.random.Generator, picture: Image) -> Image:
    """Mild effects of a camera and a file format: blur, noise, compression."""
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (5, 5), rng.uniform(0.4, 1.0))
    if rng.random() < 0.4:
        amount = int(rng.integers(3, 16))
        noise = rng.integers(0, 2 * amount, picture.shape, np.uint8)
        picture = cv2.addWeighted(picture, 1, noise, 1, -amount)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
        picture = np.asarray(decoded, np.uint8)
    return picture
