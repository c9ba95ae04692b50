"""Damage that the structure of a picture file shows.

Decoders fill damaged parts with grey or noise, and report it on stderr at most. The labels of a picture also describe
these parts. So the checks come first. Where a format has no checksum, a wrong pixel value cannot be found.
"""

import zlib

import cv2
import numpy as np

from dbnet_jax.images.header import kind_of
from dbnet_jax.images.rare import unread
from dbnet_jax.images.tiff import damaged_tiff_codes

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEFLATE_MOST = 1032  # bytes that one compressed byte can hold
_JPEG_SIGNATURE = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_START_OF_SCAN = 0xDA
# TEM, RST0…RST7 and SOI have no length. A length follows every other marker.
_JPEG_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_JPEG_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
_JPEG_MOST = 512  # pixels that one byte can hold: a block of 8×8 pixels has at least one bit
_GIF_MOST = 4096  # pixels that one byte can hold: a code of 12 bits stands for at most so many
_WEBP_CODED = (b"VP8 ", b"VP8L", b"ALPH")
_WEBP_CUT = 4  # bytes; an encoder writes at most three that a decoder does not need
_WEBP_LEAST = 16  # bytes of a chunk: OpenCV reports shorter files on stderr
_BMP_UNCOMPRESSED = (0, 3)


def damage(data: bytes) -> str:
    """The damage that shows without decoding, or that the format is not read; "" if there is neither.

    Its cost does not depend on the pixels.
    """
    if not data:
        return "the file is empty"
    if reason := unread(data):
        return reason
    checks = {"JPEG": _jpeg_damage, "PNG": _png_damage, "WebP": _webp_damage, "GIF": _gif_damage, "BMP": _bmp_damage}
    check = checks.get(kind_of(data))
    return check(data) if check else ""


def damaged_codes(data: bytes, frame: int = 0) -> str:
    """The damage of a WebP or TIFF file that shows when it is decoded with care, once more; "" if there is none."""
    if kind_of(data) == "WebP":
        return _damaged_webp_codes(data)
    return damaged_tiff_codes(data, frame) if kind_of(data) == "TIFF" else ""


def _too_small(kind: str, height: int, width: int, data: bytes) -> str:
    return f"the {kind} file is damaged: its {len(data)} bytes cannot hold the {width}×{height} pixels that it states"


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
            if marker in _JPEG_HUFFMAN_FRAMES:
                height, width = (int.from_bytes(data[position + at : position + at + 2], "big") for at in (5, 7))
                if height * width > _JPEG_MOST * len(data):
                    return _too_small("JPEG", height, width, data)
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
        if kind == b"IHDR":
            width, height = (int.from_bytes(data[position + at : position + at + 4], "big") for at in (8, 12))
            bits = data[position + 16] * _PNG_CHANNELS.get(data[position + 17], 1)
            if height * (width * bits // 8) > _DEFLATE_MOST * len(data):
                return _too_small("PNG", height, width, data)
        if kind == b"IEND":
            return ""
        position = end
    return "the PNG file is truncated: it has no end chunk"


def _gif_damage(data: bytes) -> str:
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    return _too_small("GIF", height, width, data) if height * width > _GIF_MOST * len(data) else ""


def _webp_damage(data: bytes) -> str:
    return "the WebP file is truncated" if len(data) < 8 + int.from_bytes(data[4:8], "little") else ""


def _damaged_webp_codes(data: bytes) -> str:
    """WebP has no checksum. But damaged codes nearly always take another number of bytes.

    The decoder refuses a file if codes need more bytes than there are. If they need fewer, the picture still decodes
    when the last bytes of the codes are missing, and that of a sound file does not.
    """
    position = 12
    while position + 8 <= len(data):
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + size + size % 2
        if kind in _WEBP_CODED and size >= _WEBP_LEAST:
            if _webp_decodes(data, position, size - _WEBP_CUT):
                return "the WebP file is damaged: its codes end before its data"
            # The decoder of the colours takes the chunks behind them for more codes.
            if kind != b"ALPH" and end < len(data) and not _webp_decodes(data, position, size):
                return "the WebP file is damaged: its codes are longer than its data"
        position = end
    return ""


def _webp_decodes(data: bytes, position: int, size: int) -> bool:
    """Whether a file decodes with the first `size` bytes of the chunk at `position`, and without what follows them.

    The colours follow the alpha channel, so they are kept.
    """
    kind, old_size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
    inner = data[8:position] + kind + size.to_bytes(4, "little") + data[position + 8 : position + 8 + size + size % 2]
    if kind == b"ALPH":
        inner += data[position + 8 + old_size + old_size % 2 :]
    encoded = np.frombuffer(b"RIFF" + len(inner).to_bytes(4, "little") + inner, np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) is not None


def _bmp_damage(data: bytes) -> str:
    rows_at, width, height = (int.from_bytes(data[at : at + 4], "little", signed=at > 10) for at in (10, 18, 22))
    bits, compression = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    needed = int.from_bytes(data[2:6], "little")
    if int.from_bytes(data[14:18], "little") >= 40 and compression in _BMP_UNCOMPRESSED:
        needed = rows_at + abs(height) * ((width * bits + 31) // 32 * 4)
    return "the BMP file is truncated" if len(data) < needed else ""
