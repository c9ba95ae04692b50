"""The size of a picture in the network."""

import math

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.messages import check_choice

RULES = ("short", "long", "height", "none", "official")
STRIDE = 32
# The side that the rule does not fix is padded to a multiple of this. So a folder of photos of all formats compiles a
# few shapes and not hundreds.
BUCKET = 128


def resized_size(
    image_size: tuple[int, int], rule: str, size: int, max_side: int, width: int | None = None
) -> tuple[int, int]:
    """The size of a picture in the network. All rules except "official" keep its ratio.

    **Arguments:**

    - `image_size`: (height, width) in pixels, at least 1×1.
    - `rule`: the side that becomes `size`: "short", "long" or "height". "none" keeps the size. "official" is the
        official code's evaluation: as "height", and the picture is stretched to multiples of 32.
    - `size`, `max_side`: in pixels. A longer side than `max_side` shrinks to it.
    - `width`: in pixels, only for "official": every picture is stretched to this width and to the height `size`.

    **Returns:** (height, width) in pixels, at least 1×1.

    **Raises:** ValueError when the rule is unknown or a size is not positive.
    """
    check_choice("resize", rule, RULES)
    if size < 1 or max_side < 1:
        raise ValueError(f"`size` (={size}) and `max_side` (={max_side}) must be positive")
    if width is not None and (rule != "official" or width < 1):
        raise ValueError(f"`width` (={width}) must be positive, and is of `resize` = 'official' alone (={rule!r})")
    rows, cols = image_size
    side = {"short": min(rows, cols), "long": max(rows, cols), "none": size}.get(rule, rows)
    scale = min(size / side, max_side / max(rows, cols))
    if rule == "official":
        # In integers: an exact product must not be rounded up.
        wide = width or -(-cols * size // rows)
        shrink = min(1.0, max_side / max(size, wide))
        return _up(math.floor(size * shrink), STRIDE), _up(math.floor(wide * shrink), STRIDE)
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def padded_size(resized: tuple[int, int], rule: str, size: int) -> tuple[int, int]:
    """The compiled shape that contains a resized picture.

    Each side is a multiple of 32. A side over 128 that the rule leaves free is a multiple of 128. "none" leaves both
    sides free; sides over 512 are multiples of 256. "official" pictures already have such a shape.
    """

    if rule == "official":
        return resized

    def pad(side: int) -> int:
        fixed = rule != "none" and side == size
        if fixed or side <= BUCKET:
            return _up(side, STRIDE)
        return _up(side, 2 * BUCKET if rule == "none" and side > 4 * BUCKET else BUCKET)

    return pad(resized[0]), pad(resized[1])


def _up(value: int, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple


def resize_and_pad(
    image: UInt8[np.ndarray, "height width 3"], resized: tuple[int, int], padded: tuple[int, int]
) -> UInt8[np.ndarray, "rows cols 3"]:
    """The picture at `resized` (height, width) in the top left corner of `padded`, black elsewhere.

    A picture of this size is returned as it is.
    """
    if image.shape[:2] != resized:
        image = cv2.resize(image, (resized[1], resized[0]), interpolation=cv2.INTER_LINEAR)
    if resized == padded:
        return image
    bottom, right = padded[0] - resized[0], padded[1] - resized[1]
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
