"""Encoded pictures to RGB arrays."""

import os
import pathlib
import zlib

import cv2
import numpy as np
from jaxtyping import Num, UInt8

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_START_OF_SCAN = 0xDA
# TEM, RST0…RST7 and SOI have no length. A length follows every other marker.
_JPEG_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}


# Files with these suffixes are pictures. HEIC, of telephones, cannot be read; it is here so that it is listed.
PICTURE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
    *(".heic", ".heif"),
}
_HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypmif1", b"ftypmsf1")


class BadPicture(ValueError):
    """A picture or its annotation cannot be used. The message states the file and the reason."""


def read_image(path: str | os.PathLike[str], *, follow_exif: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in a file; see `decode_image`. **Raises:** FileNotFoundError, BadPicture."""
    return decode_image(pathlib.Path(path).read_bytes(), os.fspath(path), follow_exif=follow_exif)


def decode_image(data: bytes, name: str, *, follow_exif: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """A picture of any kind that OpenCV reads (JPEG, PNG, BMP, WebP, GIF, TIFF, …) as 8-bit RGB.

    Grey and palette pictures become RGB; 16-bit values are scaled to 8 bits (65535 is 255). A picture with an alpha
    channel is laid over white, as viewers do. The colour of transparent pixels is often black, and black letters on it
    would vanish.

    A truncated file is refused, because its labels also describe the missing part. Bytes after the end of the picture
    are not read.

    **Arguments:**

    - `data`: the content of the file.
    - `name`: of the file, for messages.
    - `follow_exif`: turn the picture upright by its EXIF orientation. The default is False, because the labels of the
        benchmarks follow the stored pixels. Pictures with an alpha channel are never turned.

    **Returns:** values in [0, 255].

    **Raises:** BadPicture with the file and the reason, if the file is empty, truncated, damaged or no picture.
    """
    damage = _damage(data)
    if damage:
        raise BadPicture(f"{name}: {damage}")
    image = _imdecode(data, name, cv2.IMREAD_UNCHANGED)
    if follow_exif and (image.ndim == 2 or image.shape[2] == 3):
        # IMREAD_UNCHANGED is the only flag that keeps alpha, and it never turns the picture.
        image = _imdecode(data, name, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return _to_rgb(_to_8_bit(image, name), name)


def _imdecode(data: bytes, name: str, flags: int) -> Num[np.ndarray, "height width *channels"]:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise BadPicture(f"{name}: cannot be decoded: {error.err}") from error
    if image is None and data[4:12] in _HEIC_BRANDS:
        raise BadPicture(f"{name}: HEIC, which OpenCV does not read; save it as JPEG or PNG")
    if image is None or image.size == 0:
        raise BadPicture(f"{name}: cannot be decoded ({len(data)} bytes); it is damaged or not a picture")
    return image


def _to_8_bit(
    image: Num[np.ndarray, "height width *channels"], name: str
) -> UInt8[np.ndarray, "height width *channels"]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise BadPicture(f"{name}: has {image.dtype} pixels where 8 or 16 bits are needed")


def _to_rgb(image: UInt8[np.ndarray, "height width *channels"], name: str) -> UInt8[np.ndarray, "height width 3"]:
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if channels == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if channels == 4:
        alpha = image[:, :, 3:].astype(np.uint32)
        colour = cv2.cvtColor(image, cv2.COLOR_BGRA2RGB)
        return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    raise BadPicture(f"{name}: has {channels} channels where 1, 3 or 4 are needed")


def _damage(data: bytes) -> str:
    """The damage that the structure of the file shows; "" if none.

    OpenCV decodes a truncated JPEG half grey, or warns on stderr without the file's name. So the check comes first.
    """
    if not data:
        return "the file is empty"
    if data.startswith(_JPEG_SIGNATURE):
        return _jpeg_damage(data)
    if data.startswith(_PNG_SIGNATURE):
        return _png_damage(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        return "the WebP file is truncated"
    if data.startswith(b"BM") and len(data) < int.from_bytes(data[2:6], "little"):
        return "the BMP file is truncated"
    return ""


def _jpeg_damage(data: bytes) -> str:
    # The end marker counts only after the first scan, because an EXIF thumbnail before it has its own end marker.
    # Inside a scan, 0x00 or a restart marker follows each byte 0xFF, so the end marker cannot occur there by chance.
    position = len(_JPEG_SIGNATURE)
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return f"the JPEG file is damaged at byte {position}"
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
        elif marker in _JPEG_BARE_MARKERS:
            position += 2
        elif marker == _JPEG_START_OF_SCAN:
            return "" if data.find(_JPEG_END, position) >= 0 else "the JPEG file is truncated: it has no end marker"
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return "the JPEG file is truncated: it ends in its header"


def _png_damage(data: bytes) -> str:
    # length (4 bytes), type (4), content, checksum of type and content (4); the last chunk is IEND.
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            break
        kind = data[position + 4 : position + 8]
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"the PNG file is damaged: wrong checksum of its chunk {kind!r} at byte {position}"
        if kind == b"IEND":
            return ""
        position = end
    return "the PNG file is truncated: it has no end chunk"
