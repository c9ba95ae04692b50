"""Pixels of any kind to 8-bit RGB: grey, 16 bits, transparency."""

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

# 65535 becomes 255; the nearest value for all others.
_OF_16_BITS = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
# The grounds for transparent pictures, the first where several are as good: viewers show white.
_GROUNDS = (255, 0, 128)
_AS_GOOD = 0.95  # of the best contrast
_FULL_CONTRAST = 96  # grey levels; a larger difference does not help
_EDGE = 15  # pixels; ink so close to transparent pixels needs a ground


def to_rgb(image: Shaped[np.ndarray, "height width *channels"]) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels as 8-bit RGB. Transparent pixels get a ground, see `ground_for`.

    **Arguments:** `image`: grey [height, width], or 1 to 4 channels: grey, grey and alpha, RGB, RGBA. Bool, uint8, or
    uint16 of which 65535 is full brightness.

    **Raises:** ValueError for other types and other numbers of channels.
    """
    image = _to_8_bit(image)
    if image.ndim == 2:
        image = image[:, :, None]
    channels = image.shape[2] if image.ndim == 3 else 0
    if channels == 3:
        return image
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if channels == 2:
        return _over_ground(np.repeat(image[:, :, :1], 3, axis=2), np.ascontiguousarray(image[:, :, 1]))
    if channels == 4:
        return _over_ground(np.ascontiguousarray(image[:, :, :3]), np.ascontiguousarray(image[:, :, 3]))
    raise ValueError(f"has {channels} channels where 1, 3 or 4 are needed")


def ground_for(colour: UInt8[np.ndarray, "height width 3"], alpha: UInt8[np.ndarray, "height width"]) -> int:
    """The grey level that a transparent picture is laid over: white, black or the grey between them.

    The ink is the visible pixels near transparent ones, weighted by their alpha. The ground has the largest mean
    difference to the grey level of the ink, differences over 96 counted as 96. White is taken where it is nearly as
    good. So dark ink gets white, light ink gets black, and dark and light ink together get grey.
    """
    opacity = alpha.astype(np.float32) / 255
    ink: Float[np.ndarray, "height width"] = opacity * (1 - cv2.blur(opacity, (_EDGE, _EDGE)))
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrasts = [float((ink * np.minimum(np.abs(grey - level), _FULL_CONTRAST)).sum()) for level in _GROUNDS]
    good = _AS_GOOD * max(contrasts)
    return next(level for level, contrast in zip(_GROUNDS, contrasts, strict=True) if contrast >= good)


def _over_ground(
    colour: UInt8[np.ndarray, "height width 3"], alpha: UInt8[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    if alpha.min() == 255:
        return colour
    ground, alpha = ground_for(colour, alpha), alpha[:, :, None]
    # At most 255 · 255 + 127, which 16 bits hold.
    blended = colour * alpha.astype(np.uint16) + np.uint16(ground) * (255 - alpha).astype(np.uint16)
    return ((blended + 127) // 255).astype(np.uint8)


def _to_8_bit(image: Shaped[np.ndarray, "height width *channels"]) -> UInt8[np.ndarray, "height width *channels"]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype == np.uint16:
        return _OF_16_BITS[image]
    raise ValueError(f"has {image.dtype} pixels where 8 or 16 bits are needed")
