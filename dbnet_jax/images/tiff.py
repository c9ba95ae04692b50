"""Damage in the strips or tiles of a TIFF file, which its tags place in the file.

OpenCV goes on after an error in a compressed strip, so they are decoded once more, with care. No tag is believed: the
work and the memory are bounded by the bytes of the file and by the pixels of the picture.
"""

import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import PIL.Image

from dbnet_jax.images.header import open_with_pillow
from dbnet_jax.images.jpeg import decode_jpeg

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_PARTS = ((273, 324), (279, 325))  # the offsets and the sizes of strips or tiles
_YCBCR = 6
_DEFLATE = (8, 32946)
_JPEG, _JPEG_TABLES = 7, 347
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SPARE = 15  # rows of the last block that a strip may have below the picture
_LONGEST_TABLES = 2**16  # bytes; they are read again with each strip
_SPARE = 2**24  # bytes that a strip or a tile may hold beyond the picture, and pixels of a tile
_INFLATED_AT_ONCE = 2**20  # bytes
_PILLOW_DAMAGE = ("decoder error", "truncated", "broken data")  # Pillow's other errors are of what it cannot read


def damaged_tiff_codes(data: bytes, frame: int) -> str:
    """The damage of a page that shows when its codes are decoded; "" if there is none."""
    try:
        image = open_with_pillow(data, frame)
        tags = image.tag_v2  # type: ignore[attr-defined]
        compression = tags.get(_COMPRESSION, 1)
    except MemoryError:
        raise
    except Exception:  # a kind that only OpenCV reads: it decides
        return ""
    try:
        most = _largest_part(tags)
        if compression in _DEFLATE:
            _check_deflated(data, tags)
        elif compression == _JPEG:
            _check_jpegs(data, tags, most)
        # Pillow stops at an error in a strip. But it has a limit of pixels.
        elif compression != 1 and image.width * image.height < (PIL.Image.MAX_IMAGE_PIXELS or math.inf):
            image.load()
    except ValueError as error:
        return f"the TIFF file is damaged: {error}"
    except OSError as error:
        if any(words in str(error) for words in _PILLOW_DAMAGE):
            return f"the TIFF file is damaged: {error}"
    return ""


def _largest_part(tags: Mapping[int, Any]) -> tuple[int, int]:
    """The most rows and columns of a strip or a tile. **Raises:** ValueError if tiles are larger than a picture needs.

    Decoders make room for a whole tile, also where the picture is a corner of it.
    """
    height, width = tags[_HEIGHT], tags[_WIDTH]
    rows, columns = tags.get(_TILE_HEIGHT, 0), tags.get(_TILE_WIDTH, 0)
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise ValueError("its tiles have no size")
    if rows * columns > max(height * width, _SPARE):
        raise ValueError(f"its tiles of {columns}×{rows} pixels are larger than its picture of {width}×{height}")
    return max(height + _JPEG_SPARE, rows), max(width, columns)


def _parts(data: bytes, tags: Mapping[int, Any]) -> Iterator[tuple[bytes, int]]:
    """The bytes of each strip or tile, one at a time, and how often they occur: blank tiles may share theirs.

    **Raises:** ValueError if the parts have more bytes than the file, as where they overlap.
    """
    starts, sizes = (tags.get(strips, tags.get(tiles, ())) for strips, tiles in _PARTS)
    count = min(len(starts), len(sizes))
    try:
        pairs = np.array([starts[:count], sizes[:count]], np.uint64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("the places of its strips are no numbers") from error
    ranges, counts = np.unique(pairs, axis=1, return_counts=True)
    if ranges[1].sum(dtype=np.float64) > len(data):  # as floats, because integers would begin again at 0
        raise ValueError("its strips have more bytes than the file")
    for index, times in enumerate(counts):
        at, size = map(int, ranges[:, index])
        yield data[at : at + size], int(times)


def _check_deflated(data: bytes, tags: Mapping[int, Any]) -> None:
    pixels = tags[_HEIGHT] * tags[_WIDTH]
    least = 0 if tags.get(_PHOTOMETRIC) == _YCBCR else pixels * _bits(tags) // 8
    total = 0
    for codes, times in _parts(data, tags):
        size = _inflated(codes, least + _SPARE)
        if size is None:
            raise ValueError("wrong checksum of its compressed pixels")
        total += times * size
    if total < least:
        raise ValueError("its compressed pixels are too few")


def _check_jpegs(data: bytes, tags: Mapping[int, Any], most: tuple[int, int]) -> None:
    tables = tags.get(_JPEG_TABLES, _JPEG_START + _JPEG_END)
    if not isinstance(tables, bytes) or len(tables) > _LONGEST_TABLES:
        raise ValueError("its JPEG tables are none")
    for codes, _ in _parts(data, tags):
        decode_jpeg(tables.removesuffix(_JPEG_END) + codes.removeprefix(_JPEG_START), most)


def _bits(tags: Mapping[int, Any]) -> int:
    """The bits of a pixel, of all channels."""
    bits = tags.get(_BITS, 1)
    return sum(bits) if isinstance(bits, tuple) else int(bits)


def _inflated(codes: bytes, most: int) -> int | None:
    """The number of bytes in deflated codes; None if they are incomplete or have a wrong checksum.

    **Arguments:** `codes`; `most`: what follows so many bytes is not looked at, because no pixel is in it.
    """
    inflate, size = zlib.decompressobj(), 0
    try:
        while not inflate.eof and size <= most:
            piece = inflate.decompress(codes, _INFLATED_AT_ONCE)
            codes = inflate.unconsumed_tail
            size += len(piece)
            if not piece and not codes:
                return None
    except zlib.error:
        return None
    return size
