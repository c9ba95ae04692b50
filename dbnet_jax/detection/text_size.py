"""The size at which a picture's text is as high as the network likes it, from a first look at the picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float


def size_for_text(
    polygons: Sequence[Float[np.ndarray, "_ 2"]], size: int, scale: float, sizes: Sequence[int], text_height: float
) -> int:
    """Which of some sizes brings half of a picture's text nearest to a height.

    A network finds text of the heights that it was trained on, and photographs hold words of 10 pixels as well as of
    300: the same size for all of them is too small for the one or too large for the other.

    **Arguments:**

    - `polygons`: what a first look found, in the picture's pixels (x, y).
    - `size`, `scale`: of that look: `config.predict.size` as it would be, and pixels seen for one of the picture.
    - `sizes`: to choose from, at least one.
    - `text_height`: in pixels that the network sees.

    **Returns:** one of `sizes`; the largest where nothing was found, since it may have been too small to see.
    """
    if not polygons:
        return max(sizes)
    wanted = size * text_height / max(1.0, scale * float(np.median([height_of(polygon) for polygon in polygons])))
    return min(sizes, key=lambda one: abs(np.log(one / wanted)))


def height_of(polygon: Float[np.ndarray, "vertices 2"]) -> float:
    """The shorter side of the rectangle that has a polygon's area and perimeter: a curved word's is that of its band.

    **Arguments:** `polygon`: (x, y) in pixels. **Returns:** pixels; 0 for no area.
    """
    outline = np.asarray(polygon, np.float32)
    half = cv2.arcLength(outline, True) / 2  # length + height
    area = cv2.contourArea(outline)  # length · height
    return float(half - np.sqrt(max(0.0, half * half - 4 * area))) / 2
