"""Masks as COCO writes them, in runs of pixels, and their outlines."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.typing import Polygon
from input_pipeline.datasets.parsing.json_values import as_list, as_object, shorten

MAX_PIXELS = 2**26
# A mask's outline steps from pixel to pixel: a polygon this near to it has the corners that matter.
_TOLERANCE = 1.0  # pixels


def mask_outlines(value: Any) -> list[Polygon]:
    """The outer outline of each connected part of a mask, through the centres of its outermost pixels.

    A part that is one pixel wide has one or two points.

    **Arguments:**

    - `value`: {"size": [height, width], "counts": …}; the counts are a list or COCO's compressed string.

    **Raises:** ValueError if it is not of this form, or holds no part with an area.
    """
    # Transposed, as the runs have it: turning millions of pixels takes longer than turning the points.
    contours, _ = cv2.findContours(decode_mask(value).T, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [cv2.approxPolyDP(contour, _TOLERANCE, True)[:, 0, ::-1].astype(np.float32) for contour in contours]
    if not any(len(outline) >= 3 for outline in outlines):
        raise ValueError("the mask has no area")
    return outlines


def decode_mask(value: Any) -> UInt8[np.ndarray, "height width"]:
    """A mask of zeros and ones; see `mask_outlines`.

    Runs of 0 and of 1 alternate, 0 first, down the columns from left to right.

    **Raises:** ValueError if it is not of this form, or the runs do not fill the mask.
    """
    mask = as_object(value, "segmentation")
    size = as_list(mask.get("size"), "size")
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ValueError(f"`size` (={shorten(size)}) must be [height, width]")
    height, width = size
    if height * width > MAX_PIXELS:
        raise ValueError(f"`size` (={shorten(size)}) is of more than {MAX_PIXELS} pixels")
    counts = mask.get("counts")
    counts = decompress_counts(counts) if isinstance(counts, str) else as_list(counts, "counts")
    if not all(type(count) is int and 0 <= count <= MAX_PIXELS for count in counts):
        raise ValueError(f"`counts` (={shorten(counts)}) must be numbers of pixels")
    if sum(counts) != height * width:
        raise ValueError(f"`counts` fill {sum(counts)} of the mask's {height * width} pixels")
    ones = np.arange(len(counts), dtype=np.uint8) % 2
    return np.repeat(ones, counts).reshape(width, height).T


def decompress_counts(text: str) -> list[int]:
    """The runs of COCO's compressed string.

    A character holds, above 48, five bits of a number, the lowest first, and a sixth bit that says whether
    more follow; the topmost of the last five is the sign. From the fourth run on, a number is the difference
    to the run two before.

    **Raises:** ValueError if the text is no such string.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError(f"`counts` (={shorten(text)}) is no compressed mask")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError(f"`counts` (={shorten(text)}) ends within a number")
    return counts
