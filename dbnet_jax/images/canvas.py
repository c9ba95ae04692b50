"""Pictures of any size on a canvas of one size, for a device."""

import cv2
import numpy as np
from jaxtyping import UInt8


def canvas_scale(size: tuple[int, int], canvas: tuple[int, int]) -> float:
    """The scale at which a picture of `size` (height, width) fits the canvas; at most 1."""
    return min(1.0, canvas[0] / size[0], canvas[1] / size[1])


def to_canvas(image: UInt8[np.ndarray, "_ _ 3"], canvas: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in the top left corner of a black canvas, shrunk where it is larger."""
    scale = canvas_scale((image.shape[0], image.shape[1]), canvas)
    if scale < 1:
        image = cv2.warpAffine(
            image,
            np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]),
            (_shrunk(image.shape[1], scale, canvas[1]), _shrunk(image.shape[0], scale, canvas[0])),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,  # a side of less than a pixel has no pixel's centre
        )
    if image.shape[:2] == canvas:
        return image
    whole = np.zeros((*canvas, 3), np.uint8)
    whole[: image.shape[0], : image.shape[1]] = image
    return whole


def _shrunk(side: int, scale: float, most: int) -> int:
    # OpenCV takes a side of 0 for the source's.
    return min(most, max(1, round(side * scale)))
