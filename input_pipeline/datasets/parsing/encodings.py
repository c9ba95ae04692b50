"""The text of annotation files in any encoding that labelling tools write."""

import codecs
import itertools
import json
import re
from collections.abc import Callable

from charset_normalizer import from_bytes

from dbnet_jax.messages import Problem

# Bytes 0x80 to 0xFF: Python's stand-ins for bytes that are not UTF-8, and the Latin-1 characters in their place.
_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
_LATIN_1_NAME = "cp1252"  # as the detector calls it
# The encodings of Windows in East Asia, and the bytes of their common characters. The standards put these first.
_COMMON = {
    "gb18030": rb"[\xa1\xa3\xb0-\xd7][\xa1-\xfe]",
    "big5hkscs": rb"[\xa1-\xc6][\x40-\x7e\xa1-\xfe]",
    "cp932": rb"[\x81-\x83\x88-\x97][\x40-\x7e\x80-\xfc]",
    "cp949": rb"[\xa1\xa3\xb0-\xc8][\xa1-\xfe]",
}
_NAMES = {"gb18030": "GB18030 (GBK)", "big5hkscs": "Big5", "cp932": "Shift-JIS", "cp949": "EUC-KR"}
# Other encodings. Their bytes tell them apart from none of the above; the names of pictures do.
_BY_NAMES_ALONE = {
    "euc_jp": "EUC-JP",
    **{f"cp{number}": f"Windows-{number}" for number in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874)},
    **{"koi8_r": "KOI8-R", "cp866": "CP866"},
}
_COMMON_SHARES = (0.9, 0.6)  # of common characters in a text; the second one where no encoding reaches the first
# A piece of a text with foreign characters. Their second byte is never a digit, a comma or a quote.
_PIECE = re.compile(rb"[\x80-\xff][\x40-\xff]*")
_PIECES = 2000  # that are enough to recognise an encoding
# Latin-1 has no characters in 0x80 to 0x9F, and words in it rarely have two accents side by side.
_NOT_LATIN_1 = re.compile(rb"[\x80-\x9f]|[\xa0-\xff]{2}")
_LOW_SECOND_BYTE = re.compile(rb"[\x80-\xff][\x40-\x7e]")


def decode_text(data: bytes, file: str, fits: Callable[[str], int] | None = None) -> tuple[str, list[Problem]]:
    """The text of an annotation file.

    The encoding is UTF-8, with or without a byte order mark, or UTF-16 or -32. A part that is not UTF-16 becomes
    U+FFFD. Another file is read as GB18030 (GBK), Big5, Shift-JIS or EUC-KR where it seems to be one of them. Else a
    byte that is not UTF-8 is read as Latin-1. EUC-JP and the alphabets of Windows are tried where none of these fits.
    The problems list the file in all these cases.

    **Arguments:**

    - `data`: the content of the file.
    - `file`: its name, for messages.
    - `fits`: how well a text fits, for example how many of the pictures that it lists exist. Of a file that is not
        UTF-8, the reading that fits best is returned; of several ones, the likeliest.

    **Returns:** the text and the problems.
    """
    encoding = _unicode_encoding(data)
    try:
        return data.decode(encoding), []
    except UnicodeDecodeError as error:
        start = error.start
    if not encoding.startswith("utf-8"):
        problem = f"not {encoding.upper()} (byte {start}); read as far as it is"
        return data.decode(encoding, "replace"), [Problem(file, problem)]
    readings = _readings(data)
    name = max(readings, key=lambda name: fits(readings[name])) if fits else next(iter(readings))
    if fits and fits(readings[name]) <= 0:
        others = {other: text for other in _BY_NAMES_ALONE if (text := _decoded(data, other)) is not None}
        if fitting := [other for other in others if fits(others[other]) > 0]:
            name = max(fitting, key=lambda other: fits(others[other]))
            readings[name] = others[name]
    names = _NAMES | _BY_NAMES_ALONE
    read = f"read as {names[name]}" if name in names else "such bytes are read as Latin-1"
    problem = f"not UTF-8 (byte {start}); {read}, so that texts may be wrong; save the file as UTF-8"
    return readings[name], [Problem(file, problem)]


def _unicode_encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return json.detect_encoding(data)
    # Without a mark, digits and commas in UTF-16 are half of NULs, and a text has no NUL.
    if 3 * data.count(0) <= len(data):
        return "utf-8-sig"
    found = json.detect_encoding(data)  # from the first four bytes, which need not be of digits
    if found.startswith("utf-8"):
        found = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    return found


def _readings(data: bytes) -> dict[str, str]:
    """The texts that bytes which are not UTF-8 may mean, by the encoding, the likeliest first."""
    readings = {_LATIN_1_NAME: data.decode("utf-8-sig", "surrogateescape").translate(_LATIN_1)}
    readings |= {name: text for name in _COMMON if (text := _decoded(data, name)) is not None}
    first = _likeliest(data, [name for name in _COMMON if name in readings])
    return {first: readings[first], **readings}


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _likeliest(data: bytes, names: list[str]) -> str:
    """One of the encodings, all of which can decode the data, or Latin-1."""
    text = b"\n".join(match[0] for match in itertools.islice(_PIECE.finditer(data), _PIECES))
    as_utf_8 = text.decode("utf-8", "surrogateescape")
    damaged = sum("\udc80" <= character <= "\udcff" for character in as_utf_8)
    mostly_utf_8 = 2 * damaged < sum(not character.isascii() for character in as_utf_8)
    if mostly_utf_8 or not _NOT_LATIN_1.search(text):
        return _LATIN_1_NAME
    shares = {name: _common_share(text, name) for name in names}
    all_likely = ([name for name in names if shares[name] >= least] for least in _COMMON_SHARES)
    likely = next(filter(None, all_likely), [])
    if not _LOW_SECOND_BYTE.search(text):
        # Half of the characters of Big5 and Shift-JIS have a low second byte.
        likely = [name for name in likely if name in ("gb18030", "cp949")] or likely
    found = from_bytes(text, cp_isolation=[*likely, _LATIN_1_NAME]).best() if likely else None
    return found.encoding if found is not None and found.encoding in likely else _LATIN_1_NAME


def _common_share(text: bytes, name: str) -> float:
    """The share of common ones among the foreign characters of a text in an encoding."""
    try:
        foreign = [character for character in text.decode(name) if not character.isascii()]
    except UnicodeDecodeError:
        return 0.0
    # A few pairs of bytes in Big5 are a letter and an accent, neither of which has bytes of its own.
    written = [character.encode(name, "ignore") for character in foreign]
    common = sum(re.fullmatch(_COMMON[name], one) is not None for one in written)
    return common / max(1, len(foreign))
