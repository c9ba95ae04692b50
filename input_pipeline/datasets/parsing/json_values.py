"""Checks the values of a JSON document that somebody else wrote: a wrong value is a ValueError."""

import contextlib
import gzip
import json
import math
import zlib
from collections.abc import Callable
from typing import Any

from dbnet_jax.messages import Problem
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.parsing.annotations import MAX_COORDINATE, as_polygon, is_ignored_text, split_lines
from input_pipeline.datasets.parsing.encodings import decode_text

_SHOWN = 40  # characters of a wrong value in its message
_GZIP = b"\x1f\x8b"
_YES = ("true", "t", "yes", "y", "on", "1")
_NO = ("false", "f", "no", "n", "off", "0", "none", "null", "")
_IGNORED_FLAGS = ("ignore", "ignored", "iscrowd", "difficult", "illegible")


def unpack(data: bytes, file: str) -> bytes:
    """The content of a file that may be packed with gzip. **Raises:** ValueError where the packing is damaged."""
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}: a damaged gzip file: {error}") from error


def parse_json(text: str, file: str) -> Any:
    """A document. **Raises:** ValueError, with `file` and the place, if the text is not JSON."""
    try:
        return json.loads(text, strict=False)  # some tools write the tabs in a text as they are
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from error


def read_json(data: bytes, file: str, fits: Callable[[Any], int] = lambda document: 0) -> tuple[Any, list[Problem]]:
    """The document in a file, and the problems of its encoding.

    **Arguments:**

    - `data`: the content of the file.
    - `file`: its name, for messages.
    - `fits`: how well a document fits; see `decode_text`. No text fits worse than one that is not JSON.

    **Raises:** ValueError, with `file` and the place, if it is not JSON.
    """

    def text_fits(text: str) -> int:
        try:
            return fits(parse_document(text, file))
        except ValueError:
            return -1

    text, problems = decode_text(unpack(data, file), file, text_fits)
    try:
        return parse_document(text, file), problems
    except ValueError as error:
        raise ValueError("; ".join([str(error), *(problem.what for problem in problems)])) from error


def parse_document(text: str, file: str) -> Any:
    """A document that fills a text. **Raises:** ValueError, with `file` and the place, if it is not JSON."""
    return parse_json("\n".join(line for _, line in split_lines(text)), file)


def shorten(value: Any) -> str:
    """A value as it reads in a message."""
    # Cut before it is written out: a list may be of millions.
    if isinstance(value, list | dict) and len(value) > _SHOWN:
        return f"{type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def as_object(value: Any, name: str) -> dict[str, Any]:
    """**Raises:** ValueError, which calls the value `name`, if it is no JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"`{name}` (={shorten(value)}) must be an object")
    return value


def as_list(value: Any, name: str) -> list[Any]:
    """**Raises:** ValueError if the value is no JSON array."""
    if not isinstance(value, list):
        raise ValueError(f"`{name}` (={shorten(value)}) must be a list")
    return value


def as_text(value: Any, name: str) -> str:
    """A string; a number, as which some tools write "2016", becomes its digits, 1.0 as 1, and null the empty string.

    **Raises:** ValueError if the value is anything else.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Tools that count in floats, as tables do, write the id 1 as 1.0.
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
        return shorten(int(value) if whole else value)
    raise ValueError(f"`{name}` (={shorten(value)}) must be a string")


def as_flag(value: Any, name: str) -> bool:
    """True, false, 0, 1, the words for them ("false", "No"), or null, which is false.

    **Raises:** ValueError if the value is anything else.
    """
    if value is None:
        return False
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word in (*_YES, *_NO):
        return word in _YES
    raise ValueError(f"`{name}` (={shorten(value)}) must be true or false")


def is_marked_ignored(row: dict[str, Any]) -> bool:
    """Whether an instance is ignored, by a flag or by an ignored text in any of its fields.

    The flags are `ignore`, `ignored`, `iscrowd`, `difficult` and `illegible`, of the instance itself or in its `flags`
    or `attributes`. COCO-Text's `legibility` is "illegible". For ignored text see `is_ignored_text`.

    **Raises:** ValueError if `ignore` or `iscrowd` of the instance is neither true nor false. Such a value of another
    flag is none: those may be of the user's own kinds, as `"difficult": "handwriting"`.
    """
    if any(as_flag(row.get(name), name) for name in ("ignore", "iscrowd")):
        return True
    flags, attributes = (value if isinstance(value, dict) else {} for value in map(row.get, ("flags", "attributes")))
    for fields in (row, flags, attributes):
        if fields.get("legibility") == "illegible":
            return True
        for name in _IGNORED_FLAGS:
            with contextlib.suppress(ValueError):
                if as_flag(fields.get(name), name):
                    return True
    texts = (value for fields in (row, attributes) for value in fields.values() if isinstance(value, str))
    return any(map(is_ignored_text, texts))


def as_number(value: Any, name: str) -> float:
    """**Raises:** ValueError if the value is no number, not finite or absurdly large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"`{name}` holds {shorten(value)} where a number is needed")
    if abs(value) > MAX_COORDINATE or not math.isfinite(value):
        raise ValueError(f"`{name}` holds {shorten(value)}, which is not finite or lies far outside of any picture")
    return float(value)


def as_size(width: Any, height: Any) -> tuple[int, int] | None:
    """(height, width) as a document states it; None where it states none that a picture could have."""
    sides = [int(side) for side in (height, width) if isinstance(side, int | float) and 0 < side <= MAX_COORDINATE]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def as_points(value: Any, name: str) -> Polygon:
    """Vertices from [[x, y], …]. **Raises:** ValueError if the value is not of this form."""
    points = as_list(value, name)
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(f"`{name}` holds {shorten(point)} where a point [x, y] is needed")
    return as_polygon([as_number(x, name) for x, _ in points], [as_number(y, name) for _, y in points])


def as_flat_points(value: Any, name: str) -> Polygon:
    """Vertices from [x1, y1, x2, y2, …]. **Raises:** ValueError if the value is not of this form."""
    numbers = [as_number(number, name) for number in as_list(value, name)]
    if len(numbers) % 2:
        raise ValueError(f"`{name}` holds {len(numbers)} numbers where pairs are needed")
    return as_polygon(numbers[0::2], numbers[1::2])


def as_box(value: Any, name: str) -> list[float]:
    """Four numbers. **Raises:** ValueError if the value is not a list of four numbers."""
    numbers = as_list(value, name)
    if len(numbers) != 4:
        raise ValueError(f"`{name}` holds {len(numbers)} numbers where 4 are needed")
    return [as_number(number, name) for number in numbers]


def box_polygon(left: float, top: float, right: float, bottom: float) -> Polygon:
    """The corners of an upright box, clockwise from the top left."""
    return as_polygon([left, right, right, left], [top, top, bottom, bottom])
