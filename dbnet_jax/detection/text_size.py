"""The size for the second of two looks, at which the text has the height that the network detects best."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float


def size_for_text(
    polygons: Sequence[Float[np.ndarray, "_ 2"]], size: int, scale: float, sizes: Sequence[int], text_height: float
) -> int:
    """The entry of `sizes` at which the median text height is closest to `text_height`.

    A network detects text of the heights in its training data. Photographs contain words of 10 pixels and of 300
    pixels. One size for all of them would be too small for some and too large for others.

    **Arguments:**

    - `polygons`: the detections of the first look, (x, y) in pixels of the picture.
    - `size`: of the first look, as `config.predict.size`.
    - `scale`: of the first look: pixels of the network's input for one pixel of the picture.
    - `sizes`: the sizes to choose from, at least one.
    - `text_height`: in pixels of the network's input.

    **Returns:** one of `sizes`; the largest if nothing was found, because the text may have been too small.
    """
    if not polygons:
        return max(sizes)
    wanted = size * text_height / max(1.0, scale * float(np.median([height_of(polygon) for polygon in polygons])))
    return min(sizes, key=lambda one: abs(np.log(one / wanted)))


def height_of(polygon: Float[np.ndarray, "vertices 2"]) -> float:
    """The shorter side of the rectangle with the same area and perimeter. For a curved word this is its text height.

    **Arguments:** `polygon`: (x, y) in pixels. **Returns:** pixels; 0 for no area.
    """
    outline = np.asarray(polygon, np.float32)
    half = cv2.arcLength(outline, True) / 2  # length + height
    area = cv2.contourArea(outline)  # length · height
    return float(half - np.sqrt(max(0.0, half * half - 4 * area))) / 2
