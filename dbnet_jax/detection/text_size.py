"""The height of text, and the looks that it needs."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

# A look counts for text between these multiples of `text_height`. Lower text is joined with its neighbours, and taller
# text comes in pieces. docs/predict.md has the scores.
LEAST, MOST = 0.7, 2.5


def sizes_for_text(
    polygons: Sequence[Float[np.ndarray, "_ 2"]], first: int, scale: float, sizes: Sequence[int], text_height: float
) -> tuple[int, ...]:
    """The entries of `sizes` at which a picture is looked at after its first look.

    A network detects text of the heights in its training data. Photographs contain words of 10 pixels and of 300
    pixels. So text that is too low in the first look needs a larger one, and text that is too tall a smaller one.

    **Arguments:**

    - `polygons`: the detections of the first look, (x, y) in pixels of the picture.
    - `first`: the size of the first look, as `config.predict.size`.
    - `scale`: of the first look: pixels of the network's input for one pixel of the picture.
    - `sizes`: the sizes to choose from.
    - `text_height`: in pixels of the network's input: the height of text that the network detects best.

    **Returns:** the sizes in rising order, without `first`: the smaller ones if text is taller than 2.5 ×
    `text_height`, and the larger ones if text is lower than 0.7 × `text_height`. All of them if nothing was found.
    """
    heights = [scale * height_of(polygon) for polygon in polygons]
    smaller = not heights or max(heights) > MOST * text_height
    larger = not heights or min(heights) < LEAST * text_height
    return tuple(size for size in sorted(set(sizes)) if (smaller and size < first) or (larger and size > first))


def height_of(polygon: Float[np.ndarray, "vertices 2"]) -> float:
    """The shorter side of the rectangle with the same area and perimeter. For a curved word this is its text height.

    **Arguments:** `polygon`: (x, y) in pixels. **Returns:** pixels; 0 for no area.
    """
    outline = np.asarray(polygon, np.float32)
    half = cv2.arcLength(outline, True) / 2  # length + height
    area = cv2.contourArea(outline)  # length · height
    return float(half - np.sqrt(max(0.0, half * half - 4 * area))) / 2
