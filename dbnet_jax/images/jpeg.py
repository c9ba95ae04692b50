"""JPEG codes to pixels. Unlike OpenCV, simplejpeg returns the warnings of libjpeg, which report damage."""

import numpy as np
import simplejpeg
from jaxtyping import UInt8

_SPACES = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}  # all others become RGB
# Errors of sound files of a rare kind, and warnings that do not concern the pixels. All others are damage.
_HARMLESS = (
    *("determine subsampling", "unsupported color conversion"),
    *("adobe color transform", "bad icc marker", "jfif revision", "invalid sos parameters"),
)


def decode_jpeg(data: bytes, most: tuple[int, int] | None = None) -> UInt8[np.ndarray, "height width channels"] | None:
    """The stored pixels of a JPEG: grey (1 channel), RGB (3) or CMYK (4). RGB is as OpenCV decodes it, to the bit.

    **Arguments:** `data`; `most`: the most rows and columns, where the JPEG is a part of another file.

    **Returns:** None for a rare kind, which OpenCV may read.

    **Raises:** ValueError with the warning of libjpeg if the codes are damaged, or if there are more rows or columns.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if most is not None and (height > most[0] or width > most[1]):
            raise ValueError(f"a JPEG of {width}×{height} pixels is larger than its place in the picture")
        return np.asarray(simplejpeg.decode_jpeg(data, _SPACES.get(space, "RGB")))
    except ValueError as warning:
        harmless = any(words in str(warning).lower() for words in _HARMLESS)
        if harmless or _only_padding(data, str(warning)):
            return None
        raise


def _only_padding(data: bytes, warning: str) -> bool:
    """Whether libjpeg warns of bytes before the end marker that are all equal. Some cameras write such bytes."""
    count, found, _ = warning.partition(" extraneous bytes before marker 0xd9")
    if not found:
        return False
    end = data.find(b"\xff\xd9", data.find(b"\xff\xda"))
    return len(set(data[end - int(count.split()[-1]) : end])) <= 1
