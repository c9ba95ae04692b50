"""TIFF files with tags as a test wants them, which no library writes."""

import struct
from collections.abc import Mapping, Sequence

START = 8
"""Where the content of a file begins."""


def tiff_file(content: bytes, side: int, tags: Mapping[int, int | Sequence[int] | bytes]) -> bytes:
    """A grey TIFF of 8 bits and of one strip. `tags` has one number or several, or bytes, for each further tag."""
    merged = {256: side, 257: side, 258: 8, 262: 1, 277: 1, 278: side} | dict(tags)
    if 324 not in merged:
        merged = {273: START, 279: len(content)} | merged
    body, entries = content + bytes(len(content) % 2), b""
    for tag, values in sorted(merged.items()):
        numbers = (values,) if isinstance(values, int) else tuple(values)
        kind, code = (7, "B") if isinstance(values, bytes) else (4, "I")
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            packed, body = struct.pack("<I", START + len(body)), body + packed
        entries += struct.pack("<HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    header = b"II*\0" + struct.pack("<I", START + len(body))
    return header + body + struct.pack("<H", len(merged)) + entries + bytes(4)
