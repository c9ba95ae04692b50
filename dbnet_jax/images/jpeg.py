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


def decode_jpeg(data: bytes) -> UInt8[np.ndarray, "height width channels"] | None:
    """The stored pixels of a JPEG: grey (1 channel), RGB (3) or CMYK (4). RGB is as OpenCV decodes it, to the bit.

    **Returns:** None for a rare kind, which OpenCV may read.

    **Raises:** ValueError with the warning of libjpeg if the codes are damaged.
    """
    try:
        space = _SPACES.get(simplejpeg.decode_jpeg_header(data)[2], "RGB")
        return np.asarray(simplejpeg.decode_jpeg(data, space))
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
