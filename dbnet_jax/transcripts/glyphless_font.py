"""A font without shapes, for text in a PDF that is searched and copied but not seen.

All characters share one glyph. A table of the PDF maps their codes to Unicode, so that the font serves all scripts.
"""

import itertools
import struct
from collections.abc import Mapping

FONT_NAME = "Glyphless"
ADVANCE = 500
"""The width of each character, in thousandths of the font's size. Its height is 1000, on the base line."""
GLYPH = 1
"""The number of the glyph of all characters."""


def glyphless_font() -> bytes:
    """The TrueType file, with the tables that a font inside of a PDF needs (ISO 32000-1, section 9.9)."""
    box, dates = (0, 0, ADVANCE, 1000), (0, 0)
    # One contour of two points from corner to corner: it covers nothing, and readers take its box for the character's.
    glyph = struct.pack(">h4h2H2B4h", 1, *box, 1, 0, 1, 1, 0, ADVANCE, 0, 1000)
    tables = {
        # Version, revision, checksum of the file (put in below), magic, flags, units an em, …, format of `loca`.
        b"head": struct.pack(">IIIIHHqq4hHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, 1000, *dates, *box, 0, 8, 2, 0, 0),
        # Version, ascent, descent, gap, greatest advance, …, count of the advances.
        b"hhea": struct.pack(">I3hH11hH", 0x10000, 1000, 0, 0, ADVANCE, 0, 0, ADVANCE, 1, *[0] * 7, 1),
        b"maxp": struct.pack(">IH13H", 0x10000, GLYPH + 1, 2, 1, 0, 0, 2, *[0] * 8),
        b"hmtx": struct.pack(">H2h", ADVANCE, 0, 0),
        b"loca": struct.pack(">3H", 0, 0, len(glyph) // 2),  # glyph 0, of what is missing, is empty
        b"glyf": glyph,
    }
    start = struct.pack(">I4H", 0x10000, len(tables), 64, 2, 16 * len(tables) - 64)
    offset = len(start) + 16 * len(tables)
    directory, body = b"", b""
    for tag in sorted(tables):
        table = tables[tag]
        directory += tag + struct.pack(">3I", _checksum(table), offset + len(body), len(table))
        body += table + bytes(-len(table) % 4)
    font = start + directory + body
    place = offset + sum(len(tables[tag]) + -len(tables[tag]) % 4 for tag in sorted(tables) if tag < b"head") + 8
    return font[:place] + struct.pack(">I", (0xB1B0AFBA - _checksum(font)) % 2**32) + font[place + 4 :]


def _checksum(data: bytes) -> int:
    padded = data + bytes(-len(data) % 4)
    return sum(struct.unpack(f">{len(padded) // 4}I", padded)) % 2**32


def unicode_map(codes: Mapping[str, int]) -> bytes:
    """The table that gives each code of two bytes its character, as UTF-16 (ISO 32000-1, section 9.10.3)."""
    rows = [f"<{code:04x}> <{one.encode('utf-16-be', 'replace').hex()}>" for one, code in codes.items()]
    blocks = [rows[first : first + 100] for first in range(0, len(rows), 100)]  # 100 rows in a block, at most
    lines = [
        "/CIDInit /ProcSet findresource begin",
        "12 dict begin",
        "begincmap",
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
        "/CMapName /Adobe-Identity-UCS def",
        "/CMapType 2 def",
        "1 begincodespacerange",
        "<0000> <ffff>",
        "endcodespacerange",
        *itertools.chain.from_iterable([f"{len(block)} beginbfchar", *block, "endbfchar"] for block in blocks),
        "endcmap",
        "CMapName currentdict /CMap defineresource pop",
        "end",
        "end",
    ]
    return "\n".join(lines).encode("ascii")
