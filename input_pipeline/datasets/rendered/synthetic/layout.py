"""The runs of text of a synthetic picture and their places, so far apart that no two look like one."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from dbnet_jax.typing import Polygon
from input_pipeline.datasets.rendered.synthetic.text import draw_text, pick_font
from input_pipeline.datasets.rendered.synthetic.warp import Warp, pick_warp, text_height
from input_pipeline.datasets.rendered.synthetic.words import Split, pick_text

MIN_TEXT_HEIGHT, MAX_TEXT_HEIGHT = 12, 80  # pixels of the text box, at its lowest and highest place
TEXT_FREE = 0.1  # share of pictures without text
_RUNS = 6  # the most runs of text in 256×256 pixels; in proportion for other sizes
_BORDER = 3  # pixels left free at the picture's rim
_PLACES = 16  # tried for each run
_CELL = 2  # pixels of a cell: free room is measured on a coarser grid


@dataclasses.dataclass(frozen=True)
class Run:
    """One rendered run of text: an instance.

    **Arguments:**

    - `text`: a word, or words with single spaces.
    - `mask`: see `draw_text`.
    - `warp`: maps the text box into the picture.
    - `polygon`: the outline of the box in the picture; see `Warp.outline`.
    """

    text: str
    mask: UInt8[np.ndarray, "_ _ 2"]
    warp: Warp
    polygon: Polygon

    def window(self) -> tuple[int, int, int, int]:
        """The pixels that can have ink: left, top, right, bottom. Right and bottom are the first pixels outside."""
        left, top = np.floor(self.polygon.min(0)).astype(int) - 1
        right, bottom = np.ceil(self.polygon.max(0)).astype(int) + 2
        return int(left), int(top), int(right), int(bottom)

    def opacity(self) -> UInt8[np.ndarray, "height width 2"]:
        """The opacity of the letters and of the letters with outline, in [0, 255], in the `window`."""
        left, top, right, bottom = self.window()
        return self.warp.draw(self.mask, (left, top), (bottom - top, right - left))


class TextDistances:
    """The distance from each place of a picture to the nearest text."""

    def __init__(self, size: tuple[int, int]):
        """`size`: of the picture, (height, width)."""
        shape = (size[0] // _CELL + 1, size[1] // _CELL + 1)
        self._distance = np.full(shape, np.inf, np.float32)
        self._spare = self._distance.copy()  # the distance, less the free space that each run needs around itself

    def distance(self, x: int, y: int) -> float:
        """The distance from a pixel to the nearest text, within about four pixels; infinite without text."""
        return float(self._distance[y // _CELL, x // _CELL])

    def fits(
        self, polygon: Float[np.ndarray, "vertices 2"], height: float, shifts: Float[np.ndarray, "places 2"]
    ) -> Bool[np.ndarray, " places"]:
        """Whether `polygon`, moved by each of `shifts`, is a text height from all others, the larger of two heights.

        Its edge decides: a polygon around another one would be higher than the distance inside it.
        """
        steps = np.linspace(0, 1, int(np.ptp(polygon, 0).max() / 6) + 2, dtype=np.float32)[:, None, None]
        edge = (polygon + steps * (np.roll(polygon, -1, 0) - polygon)).reshape(-1, 2)
        cell = ((edge + shifts[:, None]) / _CELL + 0.5).astype(np.intp)
        at = cell[..., 1], cell[..., 0]
        # The error of cells, drawing and the approximate distance transform is below four pixels plus 2 %.
        return (self._distance[at].min(1) >= 1.02 * height + 4) & (self._spare[at].min(1) >= 0)

    def take(self, polygon: Float[np.ndarray, "vertices 2"], height: float) -> None:
        """Marks `polygon` as the place of a run of text of this `height`."""
        free = np.ones(self._distance.shape, np.uint8)
        cv2.fillPoly(free, [np.rint(polygon / _CELL).astype(np.int32)], (0,))
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_5) * np.float32(_CELL)
        np.minimum(self._distance, distance, out=self._distance)
        np.minimum(self._spare, distance - np.float32(1.02 * height + 4), out=self._spare)


def lay_out(rng: np.random.Generator, split: Split, size: tuple[int, int]) -> tuple[list[Run], TextDistances]:
    """The runs of one picture of `size` (height, width) and the distances to them. Some pictures have no run."""
    distances = TextDistances(size)
    if rng.random() < TEXT_FREE:
        return [], distances
    most = max(1, round(_RUNS * size[0] * size[1] / 256**2))
    wanted, runs = int(rng.integers(1, most + 1)), list[Run]()
    # Runs without a place are dropped. The first run nearly always finds a place, after some tries with other words.
    for _ in range(wanted + 8):
        run = _place(rng, split, size, distances)
        if run is not None:
            runs.append(run)
        if len(runs) >= wanted:
            break
    return runs, distances


def _place(rng: np.random.Generator, split: Split, size: tuple[int, int], distances: TextDistances) -> Run | None:
    """A run at a free place; None if no place was found."""
    text, font = pick_text(rng, split), pick_font(rng)
    mask = draw_text(text, font)
    warp = pick_warp(rng, font.stretch * mask.shape[1] / mask.shape[0])
    polygon = warp.outline()  # the outline of a box one pixel high
    lowest, highest = text_height(polygon)
    space = np.array([size[1], size[0]]) - 1 - 2 * _BORDER
    # The higher end of the text and the size of the picture limit the scale.
    largest = min(MAX_TEXT_HEIGHT / highest, *(space / np.ptp(polygon, 0)))
    smallest = MIN_TEXT_HEIGHT / lowest
    if largest <= smallest:
        return None
    scale = smallest * (largest / smallest) ** (rng.random() ** 0.75)
    polygon = polygon * np.float32(scale)
    first = _BORDER - polygon.min(0)
    last = _BORDER + space - polygon.max(0)
    shifts = (first + rng.random((_PLACES, 2)) * (last - first)).astype(np.float32)
    fitting = np.flatnonzero(distances.fits(polygon, scale * highest, shifts))
    if not len(fitting):
        return None
    shift = shifts[fitting[0]]
    warp = warp.then(scale, (float(shift[0]), float(shift[1])))
    distances.take(warp.outline(), scale * highest)
    return Run(text, _reduce(mask, scale), warp, warp.outline())


def _reduce(mask: UInt8[np.ndarray, "height width 2"], scale: float) -> UInt8[np.ndarray, "_ _ 2"]:
    """Shrinks a mask that will be drawn much smaller: the warp reads only four pixels for each pixel."""
    factor = 1.2 * scale / mask.shape[0]
    if factor > 0.7:
        return mask
    height, width = (max(2, round(factor * side)) for side in mask.shape[:2])
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
