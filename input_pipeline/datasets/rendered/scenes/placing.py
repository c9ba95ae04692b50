"""Finds room for a block of text in a picture, on calm ground first."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from dbnet_jax.typing import Image, Polygon

_CELL = 2  # pixels of the picture in the side of a cell of the map
_PLACES = 20  # tried for each block
_BORDER = 2  # pixels left free at the picture's rim


class OccupancyMap:
    """The occupied places of a picture, and how busy the free places are."""

    def __init__(self, picture: Image):
        """`picture`: the background."""
        self._size = picture.shape[:2]
        cells = (self._size[1] // _CELL + 1, self._size[0] // _CELL + 1)
        self._taken = np.zeros(cells[::-1], np.uint8)
        grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cells, interpolation=cv2.INTER_AREA)
        edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F, ksize=3))
        self._busy = cv2.integral(edges)

    def find(self, rng: np.random.Generator, polygon: Polygon, calm: bool) -> Float[np.ndarray, "2"] | None:
        """A shift that moves `polygon` to a free place inside the picture; None if no place was found.

        **Arguments:**

        - `calm`: whether to take the least busy of the places that fit, or any of them.
        """
        low = _BORDER - polygon.min(0)
        high = np.array(self._size[::-1]) - 1 - _BORDER - polygon.max(0)
        if (high < low).any():
            return None
        shape, corner = self._rasterize(polygon)
        best, least = None, np.inf
        for shift in rng.uniform(low, high, (_PLACES, 2)):
            x, y = np.rint(shift / _CELL).astype(int) + corner
            x, y = max(0, int(x)), max(0, int(y))
            under = self._taken[y : y + shape.shape[0], x : x + shape.shape[1]]
            if cv2.countNonZero(cv2.bitwise_and(under, shape[: under.shape[0], : under.shape[1]])):
                continue
            if not calm:
                return shift
            busy = self._mean_busyness(x, y, under.shape)
            if busy < least:
                best, least = shift, busy
        return best

    def fits(self, polygon: Polygon) -> bool:
        """Whether `polygon` lies inside the picture and covers no occupied place."""
        inside = (polygon >= 0).all() and (polygon <= np.array(self._size[::-1]) - 1).all()
        shape, (x, y) = self._rasterize(polygon)
        if not inside:
            return False
        under = self._taken[y : y + shape.shape[0], x : x + shape.shape[1]]
        return not cv2.countNonZero(cv2.bitwise_and(under, shape[: under.shape[0], : under.shape[1]]))

    def take(self, polygon: Polygon) -> None:
        """Marks the place of `polygon` as occupied."""
        cv2.fillPoly(self._taken, [np.rint(polygon / _CELL).astype(np.int32)], (1,))

    def _rasterize(self, polygon: Polygon) -> tuple[UInt8[np.ndarray, "_ _"], tuple[int, int]]:
        """The cells of a polygon, and the position (x, y) of the first cell."""
        cells = np.rint(polygon / _CELL).astype(np.int32)
        corner = cells.min(0)
        width, height = (cells.max(0) - corner + 1).tolist()
        shape = np.zeros((height, width), np.uint8)
        cv2.fillPoly(shape, [cells - corner], (1,))
        return shape, (int(corner[0]), int(corner[1]))

    def _mean_busyness(self, x: int, y: int, shape: tuple[int, ...]) -> float:
        height, width = shape
        sums = self._busy
        total = sums[y + height, x + width] - sums[y, x + width] - sums[y + height, x] + sums[y, x]
        return float(total) / max(1, height * width)
