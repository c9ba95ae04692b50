"""Formats without a reader in `header.py`: rare ones, and those that are never read."""

import re

_GAP = rb"\s(?:\s|#[^\n\r]*[\n\r])*"  # with comments; a number ends at a space, as OpenCV's reader demands
_NUMBER = rb"(\d{1,9})(?!\d)"
_STARTS = {
    "netpbm": re.compile(rb"P[1-6]\s"),
    "PAM": re.compile(rb"P7\s"),
    "PFM": re.compile(rb"P[fF]\s"),
    "Radiance HDR": re.compile(rb"#\?(?:RGBE|RADIANCE)"),
    "Sun raster": re.compile(rb"\x59\xa6\x6a\x95"),
}
_OF_FLOATS = ("PFM", "Radiance HDR")
_NETPBM_SIDES = re.compile(rb"P." + _GAP + _NUMBER + _GAP + _NUMBER)
_HDR_SIDES = re.compile(rb"\n-Y\s+" + _NUMBER + rb"\s+\+X\s+" + _NUMBER)
_PAM_HEIGHT, _PAM_WIDTH = (re.compile(name + rb"\s+" + _NUMBER) for name in (b"HEIGHT", b"WIDTH"))
_HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypmif1", b"ftypmsf1")


def unread(data: bytes) -> str:
    """Why no file of this format is read, or not this file; "" for all others."""
    if data[4:12] in _HEIC_BRANDS and b"av01" not in data[:4096]:
        return "HEIC, which OpenCV does not read; save it as JPEG or PNG"
    kind = _rare_kind(data)
    if kind in _OF_FLOATS:
        return f"{kind}, whose pixels have no white; save it as JPEG or PNG"
    if kind and rare_header(data) is None:
        return f"cannot be decoded: the header of the {kind} file is damaged"
    return ""


def rare_header(data: bytes) -> tuple[str, tuple[int, int]] | None:
    """The format and the (height, width) in pixels; None if the format is none of these, or the header is damaged."""
    kind = _rare_kind(data)
    size: tuple[int, int] | None = None
    if kind == "Sun raster":
        size = int.from_bytes(data[8:12], "big"), int.from_bytes(data[4:8], "big")
    elif kind == "PAM":  # lines in any order; of several values the largest, which costs the most
        heights, widths = ([int(number) for number in side.findall(data)] for side in (_PAM_HEIGHT, _PAM_WIDTH))
        size = (max(heights), max(widths)) if heights and widths else None
    elif kind == "Radiance HDR":
        size = (int(found[1]), int(found[2])) if (found := _HDR_SIDES.search(data)) else None
    elif kind:
        size = (int(found[2]), int(found[1])) if (found := _NETPBM_SIDES.match(data)) else None
    return (kind, size) if size else None


def _rare_kind(data: bytes) -> str:
    return next((kind for kind, start in _STARTS.items() if start.match(data)), "")
