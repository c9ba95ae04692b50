"""The rows of text files in ICDAR's style; what they are is decided by the set, as one row may mean several things."""

import dataclasses
from collections.abc import Sequence

from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    check_commas,
    is_endless,
    is_number,
    parse_numbers,
)
from input_pipeline.datasets.parsing.json_values import box_polygon
from input_pipeline.datasets.parsing.transcription import PLAIN, TextForm, find_text_form, most_hold

_UNTOLD = "the coordinates cannot be told from the transcription"


@dataclasses.dataclass(frozen=True)
class RowForm:
    """What the rows of a set are.

    **Arguments:**

    - `box`: whether a row is `left,top,right,bottom,transcription`, or the same with blanks between, as in ICDAR
        2013; otherwise it is `x1,y1,…,xn,yn,transcription`.
    - `text`: what stands before the transcriptions.
    """

    box: bool = False
    text: TextForm = PLAIN


POLYGONS = RowForm()


def find_row_form(lines: Sequence[str]) -> RowForm:
    """What rows of a set are: boxes where more than nine tenths of them can be nothing else, otherwise polygons."""
    if most_hold(list(map(is_box, lines))):
        return RowForm(box=True)
    return RowForm(text=find_text_form(lines))


def parse_line(line: str, form: RowForm = POLYGONS) -> Instance:
    """One instance; see `IcdarFolder`. **Raises:** ValueError with the reason where it cannot."""
    if form.box:
        return parse_box(line)
    fields = line.split(",")
    check_commas(fields[0])
    count = _leading_numbers(fields)
    if count == len(fields) and count > 8:
        count -= 1  # the transcription is a number, such as a year
    elif count % 2 and fields[count - 1].strip() in form.text.column:
        count -= 1  # a number of a column before the transcription
    rest = fields[count:]
    if len(rest) > 1 and is_endless(rest[0]):
        raise ValueError(f"{rest[0].strip()!r} is not a finite number")
    if count % 2 or (_garbled(count, rest) and not form.text.hashes):
        raise ValueError(f"{_UNTOLD}: {count} numbers come first")
    numbers = parse_numbers(fields, count)
    text, ignored = form.text.split(",".join(rest))
    return Instance(as_polygon(numbers[0::2], numbers[1::2]), ignored, text)


def parse_box(line: str) -> Instance:
    """One instance of a set of boxes. **Raises:** ValueError with the reason where the row is none."""
    fields, text = _box_fields(line)
    count = _leading_numbers(fields)
    # A transcription may begin with a number and a comma: "5, High Street", "12,000".
    if count > 6 or count == 6 < len(fields):
        raise ValueError(f"{_UNTOLD}: {count} numbers come first, where the other rows are left,top,right,bottom")
    left, top, right, bottom = parse_numbers(fields, 4)
    if right <= left or bottom <= top:
        raise ValueError("right must be more than left, and bottom more than top, in left,top,right,bottom")
    text, ignored = PLAIN.split(text.strip())
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return Instance(box_polygon(left, top, right, bottom), ignored, text[1:-1] if quoted else text)


def is_box(line: str) -> bool:
    """Whether a row is surely a box: four numbers that make one, and a transcription that does not go on with more."""
    fields, text = _box_fields(line)
    count = _leading_numbers(fields)
    if "," not in line and (count != 4 or not text):
        return False  # YOLO's rows have numbers with blanks between, too
    # No polygon begins with five numbers, or is of six alone.
    if count not in (4, 5) and not count == 6 == len(fields):
        return False
    left, top, right, bottom = map(float, fields[:4])
    return left < right and top < bottom


def _box_fields(line: str) -> tuple[list[str], str]:
    """The fields of a row, which commas or blanks part, and all that follows the first four."""
    separator = "," if is_number(line.partition(",")[0]) else None
    return line.split(separator), "".join(line.split(separator, 4)[4:])


def _leading_numbers(fields: Sequence[str]) -> int:
    return next((position for position, field in enumerate(fields) if not is_number(field)), len(fields))


def _garbled(count: int, rest: list[str]) -> bool:
    """Whether what follows the numbers may hold coordinates: "…,1O,20,word"."""
    if not rest:
        return count != 8
    numeric = sum(is_number(field) for field in rest[1:])
    # A transcription with a comma before a number is nothing rare after four points: "Suite 3, 12".
    return numeric > (1 if count == 8 else 0)
