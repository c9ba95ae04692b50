"""Parses annotation files for all readers: a bad line is listed and left out, the others are kept."""

import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import TypeVar

import numpy as np

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from dbnet_jax.typing import Image, Polygon
from input_pipeline.datasets.parsing.encodings import decode_text
from input_pipeline.datasets.parsing.outline import NotPixels, check_count, check_polygon, valid_outline
from input_pipeline.datasets.sample import Annotation, Sample

# Far outside of any photograph, and small enough for the integers of OpenCV and pyclipper.
MAX_COORDINATE = 1e6
_IGNORED = re.compile(r"#{3,}|\*{3,}|__ignore__", re.IGNORECASE)
_QUOTES = "\"'`“”„‘’‚«»‹›「」『』《》〈〉"
_JOINED = 4  # numbers in a transcription that make it look like another line; "36,000,000" has three
_OTHER_SEPARATORS = re.compile(r"[;\s]+")
_SEPARATED = 4  # numbers that make a field a line of another format; YOLO's have five
_SHOWN = 60  # characters of a bad line in its message
_REASONS = 3  # that are listed of a file without one usable line
# One way only to match a digit: of two, a hundred thousand digits and a letter would be tried in ten thousand million.
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Instance:
    """One text instance of an annotation file.

    **Arguments:**

    - `polygon`, `ignore`, `text`: as in the lists of a `Sample`.
    - `script`: as there; None where the data set does not tell any instance's.
    - `doubt`: a reason to doubt an instance that is kept; "" without one.
    """

    polygon: Polygon
    ignore: bool
    text: str = ""
    script: str | None = None
    doubt: str = ""


def text_lines(data: bytes, file: str) -> tuple[list[tuple[int, str]], list[Problem]]:
    """The lines of an annotation file, see `split_lines`, in any encoding, see `decode_text`.

    **Arguments:**

    - `data`: the content of the file.
    - `file`: its name, for messages.

    **Returns:** the lines and the problems.
    """
    text, problems = decode_text(data, file)
    return split_lines(text), problems


def split_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a text that are not blank, each with its number, counted from 1.

    Lines end at LF, CR LF or CR and nowhere else: a transcription may hold U+2028 or U+0085.
    """
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line.lstrip("\ufeff")) for number, line in lines if line.strip("\ufeff").strip()]


def parse_instances(
    lines: Iterable[tuple[int, T]],
    file: str,
    parse: Callable[[T], Instance],
    problems: Iterable[Problem] = (),
    show: Callable[[T], str] = str,
) -> Annotation:
    """Applies a parser to every line, or to every record of a file that has no lines.

    An instance with fewer than three points or over `outline.MAX_VERTICES`, with a coordinate that is not finite or is
    absurdly large, or without area is left out. An outline that touches or crosses itself is repaired and listed, see
    `valid_outline`: otherwise some protocols would drop it.

    A file with lines, and without one usable line, is of another picture or another format. A picture without text has
    a file without lines, or with lines of ignored text alone (such as Total-Text's single points).

    **Arguments:**

    - `lines`: (number, line).
    - `file`: its name, for messages.
    - `parse`: one line to one instance; raises `ValueError` with the reason where it cannot.
    - `problems`: those found before.
    - `show`: how a line is shown in a message.

    **Returns:** the instances of the good lines, and one problem for each bad or doubtful one.

    **Raises:** `BadPicture`, with the first reasons, where there are lines and none of them can be used;
    `TooManyInstances` where there are more than any picture has.
    """
    lines = list(lines)
    check_count(file, len(lines))
    annotation = Annotation(problems=list(problems))
    unread: list[str] = []
    understood = False
    for number, line in lines:
        instance = None
        try:
            instance = parse(line)
            check_polygon(instance.polygon, ignored=instance.ignore)
            polygon, fault = valid_outline(instance.polygon)
        except ValueError as error:
            understood |= instance is not None and instance.ignore and not isinstance(error, NotPixels)
            reason = f"{error}: {_shorten(show(line))}"
            unread.append(f"{number}: {reason}")
            annotation.problems.append(Problem(f"{file}:{number}", reason))
            continue
        # A box of the one pixel at the corner stands for "no text", and shows nothing of the other lines' units.
        understood |= bool(np.abs(instance.polygon).max() > 1)
        doubt = f"{instance.doubt}; kept as it is" if instance.doubt else ""
        for said in filter(None, (fault, doubt)):
            annotation.problems.append(Problem(f"{file}:{number}", f"{said}: {_shorten(show(line))}"))
        if fault:
            annotation.repaired.append(len(annotation.polygons))
        annotation.polygons.append(polygon)
        annotation.ignore.append(instance.ignore)
        annotation.texts.append(instance.text)
        if instance.script is not None:
            annotation.scripts.append(instance.script)
    if unread and not understood:
        raise BadPicture(_unusable(file, unread))
    return annotation


def _unusable(file: str, reasons: list[str]) -> str:
    said = "its one entry cannot be used" if len(reasons) == 1 else f"none of its {len(reasons)} entries can be used"
    more = "; …" if len(reasons) > _REASONS else ""
    return f"{file}: {said}, and the picture would seem to be without text: {'; '.join(reasons[:_REASONS])}{more}"


def is_ignored_text(text: str) -> bool:
    """Whether a transcription is a mark of ignored text, for all formats and for scores.

    The marks are three or more `#` or `*`, and LabelMe's `__ignore__`. They may be full-width (＃＃＃) and may have
    quotes around them.
    """
    plain = unicodedata.normalize("NFKC", text).strip().strip(_QUOTES).strip()
    return _IGNORED.fullmatch(plain) is not None


def is_number(field: str) -> bool:
    """Whether a field is a finite decimal number; "nan", "inf" and "1_000", which `float` takes, are not."""
    return _NUMBER.fullmatch(field) is not None and math.isfinite(float(field))


def is_endless(field: str) -> bool:
    """Whether a field is a number that is not finite: "nan", "inf", "1e999"."""
    if field.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return True
    return _NUMBER.fullmatch(field) is not None and not math.isfinite(float(field))


def parse_numbers(fields: Sequence[str], count: int) -> list[float]:
    """The first `count` fields as numbers.

    **Raises:** `ValueError` if there are fewer, or one of them is not finite.
    """
    for position, field in enumerate(fields[:count]):
        if is_number(field):
            continue
        if is_endless(field):
            raise ValueError(f"{field.strip()!r} is not a finite number")
        raise ValueError(f"{position} numbers where {count} are needed")
    if len(fields) < count:
        raise ValueError(f"{len(fields)} numbers where {count} are needed")
    return [float(field) for field in fields[:count]]


def check_commas(first: str) -> None:
    """**Raises:** `ValueError` if the first field of a line is many numbers with something else than commas between."""
    if sum(map(is_number, _OTHER_SEPARATORS.split(first.strip()))) >= _SEPARATED:
        raise ValueError("commas are expected between the numbers, x1,y1,x2,y2,…, which are pixels")


def joined_lines(text: str, separator: str | None = ",") -> str:
    """The doubt about a transcription that holds the numbers of another line; "" where it does not."""
    count = sum(map(is_number, text.split(separator)))
    return f"{count} numbers in the transcription, as if two lines were one" if count >= _JOINED else ""


def as_polygon(xs: Sequence[float | int], ys: Sequence[float | int]) -> Polygon:
    """Vertices from their coordinates.

    **Raises:** `ValueError` if a coordinate is not finite or too large to be meant, or the counts differ.
    """
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x coordinates and {len(ys)} y coordinates")
    points = np.stack([np.asarray(xs, np.float64), np.asarray(ys, np.float64)], axis=-1)
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is not finite")
    # Before the cast to float32, which would make an infinity of 1e39.
    if np.abs(points).max(initial=0) > MAX_COORDINATE:
        raise ValueError(f"a coordinate of {np.abs(points).max():g} lies far outside of any picture")
    return points.astype(np.float32)


def make_sample(name: str, image: Image, annotation: Annotation) -> Sample:
    """A picture and its annotation as a sample, without the outlines that lie wholly outside of the picture.

    An outline lies outside when its axis-aligned box and the picture's pixels have nothing in common. Each
    one is named in the sample's problems; an outline that reaches in from outside stays whole.
    """
    size = np.array(image.shape[1::-1])
    problems = list(annotation.problems)
    inside = []
    for polygon, _, text in zip(annotation.polygons, annotation.ignore, annotation.texts, strict=True):
        # A pixel reaches half a pixel around its centre.
        outside = (polygon.max(axis=0) <= -0.5).any() or (polygon.min(axis=0) >= size - 0.5).any()
        inside.append(not outside)
        if outside:
            x, y = polygon[0]
            outside_of = f"lies outside of the picture, which is {size[0]} wide and {size[1]} high"
            problems.append(Problem(name, f"the outline from ({x:g}, {y:g}) {outside_of}: {_shorten(text)}"))
    return Sample(
        name,
        image,
        polygons=list(compress(annotation.polygons, inside)),
        ignore=list(compress(annotation.ignore, inside)),
        texts=list(compress(annotation.texts, inside)),
        problems=problems,
        scripts=list(compress(annotation.scripts, inside)),
    )


def _shorten(line: str) -> str:
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
