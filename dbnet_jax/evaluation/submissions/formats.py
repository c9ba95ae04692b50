"""The formats in which detections and truths are handed about, read from bytes."""

import dataclasses
import itertools
import json
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.total_text import TotalText
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    is_dont_care,
    is_number,
    parse_instances,
    parse_numbers,
    text_lines,
)
from input_pipeline.datasets.parsing.outline import check_polygon, crosses_itself
from input_pipeline.datasets.sample import Annotation

Polygon = Float32[np.ndarray, "_ 2"]
# The least numbers of a line of truth that must be a polygon: a quad's text may hold a number or two, as "1,200".
POLYGON_NUMBERS = 12
QUAD_NUMBERS = 8
NOT_FINITE = ("nan", "inf", "infinity")


@dataclasses.dataclass(frozen=True)
class FileDetections:
    """The detections of one picture.

    - `polygons`, `scores`: of each; None where it has no score.
    - `problems`: names every line, or entry, that is left out or doubtful.
    - `left_out`: those of them that are of lines, or entries, left out.
    - `no_scores`: (where, number) of each line that ends with a number where its score may be, outside of [0, 1].
    """

    polygons: list[Polygon] = dataclasses.field(default_factory=list)
    scores: list[float | None] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    left_out: list[Problem] = dataclasses.field(default_factory=list)
    no_scores: list[tuple[str, float]] = dataclasses.field(default_factory=list)

    def add(self, where: str, polygon: Polygon, score: float | None, shown: str = "") -> None:
        """**Raises:** ValueError where the polygon has fewer than three points or no area."""
        check_polygon(polygon)
        if crosses_itself(polygon):
            said = f"the outline crosses itself; kept, and the protocol decides{shown}"
            self.problems.append(Problem(where, said))
        self.polygons.append(polygon)
        self.scores.append(score)

    def leave_out(self, problem: Problem) -> None:
        """Lists a line, or an entry, that is no detection."""
        self.left_out.append(problem)
        self.problems.append(problem)


def parse_detections(data: bytes, file: str) -> FileDetections:
    """A line a detection, `x1,y1,…,xn,yn[,score][,text]`; two points are an upright rectangle.

    The numbers that a line begins with are coordinates; where their count is odd the last is the score, if it lies in
    [0, 1], or a text. A line whose text, or score, cannot be told from coordinates is left out and named.

    **Arguments:** `data`, the content of the file, and `file`, its name for messages.
    """
    lines, problems = text_lines(data, file)
    found = FileDetections(problems=problems)
    for number, line in lines:
        where, shown = f"{file}:{number}", f": {line[:60]!r}"
        try:
            numbers, last = _detection(line)
            score = last if last is not None and 0 <= last <= 1 else None
            found.add(where, _polygon(numbers), score, shown)
        except ValueError as error:
            found.leave_out(Problem(where, f"{error}{shown}"))
            continue
        if last is not None and score is None:
            found.no_scores.append((where, last))
    return found


def parse_truth(data: bytes, file: str) -> Annotation:
    """The true outlines of one picture, by the name of the file.

    - `….gt` is MSRA-TD500's, see `MsraTd500`.
    - `poly_gt_….txt`, and `img11.jpg.txt` with a picture's suffix, are Total-Text's, see `TotalText`.
    - any other `….txt` is ICDAR's: `x1,y1,…,x4,y4,text`, or `left,top,right,bottom,text`, where the text `###` is a
      don't-care. A line that begins with 12 numbers or more is a polygon.

    A file of whose lines none can be used is a truth without text, and named.
    """
    try:
        return _parse_truth(data, file)
    except BadPicture as error:
        return Annotation(problems=[Problem.at(file, error)])


def _parse_truth(data: bytes, file: str) -> Annotation:
    path = PurePosixPath(file)
    if path.suffix.lower() == ".gt":
        return MsraTd500.parse(data, file)
    if path.name.startswith("poly_gt_") or PurePosixPath(path.stem).suffix.lower() in PICTURE_SUFFIXES:
        return TotalText.parse(data, file)
    lines, problems = text_lines(data, file)
    return parse_instances(lines, file, _truth, problems)


def parse_detections_json(data: bytes, file: str) -> dict[str, FileDetections]:
    """What `--mode=predict` writes: {"pictures": {name: {"detections": [{"polygon", "score"}]}}, "skipped": {…}}.

    **Returns:** the detections by the pictures' names; those skipped are without any.

    **Raises:** ValueError where the file is not of this form; an entry that is not is a problem.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from error
    pictures = content.get("pictures") if isinstance(content, dict) else None
    skipped = content.get("skipped", {}) if isinstance(content, dict) else None
    if not isinstance(pictures, dict) or not isinstance(skipped, dict):
        raise ValueError(f'{file}: not of the form {{"pictures": {{name: {{"detections": […]}}}}, "skipped": {{…}}}}')
    reasons = {name: [Problem(file, f"{name} was skipped: {reason}")] for name, reason in skipped.items()}
    results = {name: FileDetections(problems=problems) for name, problems in reasons.items()}
    for name, picture in pictures.items():
        found = results[name] = FileDetections()
        entries = picture.get("detections") if isinstance(picture, dict) else None
        if not isinstance(entries, list):
            found.leave_out(Problem(f"{file}: {name}", "has no list of detections"))
            continue
        for index, entry in enumerate(entries):
            where = f"{file}: {name}: detection {index}"
            try:
                found.add(where, *_entry(entry))
            except ValueError as error:
                found.leave_out(Problem(where, str(error)))
    return results


def _leading_numbers(fields: list[str]) -> int:
    return len(list(itertools.takewhile(is_number, fields)))


def _rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    return as_polygon([left, right, right, left], [top, top, bottom, bottom])


def _polygon(numbers: list[float]) -> Polygon:
    return _rectangle(*numbers) if len(numbers) == 4 else as_polygon(numbers[0::2], numbers[1::2])


def _detection(line: str) -> tuple[list[float], float | None]:
    """The coordinates of a line, and the number behind them: its score, or a text that is a number."""
    fields = line.split(",")
    if not fields[-1].strip():
        fields.pop()  # of a comma at the end
    count = _leading_numbers(fields)
    if count < 4:
        raise ValueError(f"{count} numbers where points x1,y1,x2,y2,… are needed")
    # A number behind what is none: a garbled coordinate, or a text such as "Route 66, 5".
    if any(is_number(field) for field in fields[count + 1 :]):
        raise ValueError(f"whether {fields[count].strip()!r} is a text or a bad coordinate cannot be told")
    numbers = parse_numbers(fields, count)
    if all(abs(number) <= 1 for number in numbers[: count - count % 2]):
        raise ValueError("all coordinates lie in [-1, 1]: they must be in pixels")
    if count % 2 == 0:
        _check_even(fields, numbers)
        return numbers, None
    _check_odd(fields, numbers)
    return numbers[:-1], numbers[-1]


def _check_odd(fields: list[str], numbers: list[float]) -> None:
    """**Raises:** ValueError where the last of an odd count of numbers may be a coordinate, whose other one is lost."""
    count = len(numbers)
    behind = fields[count].strip() if len(fields) > count else ""
    scored = 0 <= numbers[-1] <= 1
    if behind and (count == QUAD_NUMBERS - 1 or (_may_be_garbled(behind) and not _may_be_score(fields[count - 1]))):
        raise ValueError(f"{count} numbers, and whether {behind!r} is a text or a bad coordinate cannot be told")
    if scored:
        return
    if count == QUAD_NUMBERS - 1:
        raise ValueError(f"{count} numbers: a quad has {QUAD_NUMBERS}, and {numbers[-1]:g} is no score in [0, 1]")
    if _may_be_score(fields[0]):
        raise ValueError(f"{numbers[0]:g} may be a score: it belongs behind the coordinates")


def _check_even(fields: list[str], numbers: list[float]) -> None:
    """**Raises:** ValueError where one of an even count of numbers may be a score, or the text a coordinate."""
    count = len(numbers)
    whole = ["." not in field for field in fields[:count]]
    if count < QUAD_NUMBERS and len(fields) > count and _may_be_garbled(fields[count]):
        raise ValueError(f"whether {fields[count].strip()!r} is a text or a bad coordinate cannot be told")
    # A score among pixels: before a text that is a number, or behind coordinates of which one is missing.
    for place, others in ((-2, [whole[-1]]), (-1, whole[:-1])):
        if (count > QUAD_NUMBERS or place == -1) and all(others) and _may_be_score(fields[count + place]):
            raise ValueError(f"whether {numbers[place]:g} is a score or a coordinate cannot be told")


def _may_be_score(field: str) -> bool:
    return "." in field and 0 <= float(field) <= 1


def _may_be_garbled(field: str) -> bool:
    """Whether what is no number may have been a coordinate: "2O", "nan"."""
    return any(character.isdigit() for character in field) or field.strip().lower().lstrip("+-") in NOT_FINITE


def _truth(line: str) -> Instance:
    fields = line.split(",")
    count = _leading_numbers(fields)
    if count < 8:
        # A quad with a bad number is no rectangle with a text.
        if count > 5 or any(is_number(field) for field in fields[count + 1 :]):
            raise ValueError(f"{count} numbers where 8, or 4, are needed")
        used = 4
    else:
        used = 8 if count < POLYGON_NUMBERS else count - count % 2
    text = ",".join(fields[used:]).strip()
    return Instance(_polygon(parse_numbers(fields, used)), is_dont_care(text), text)


def _entry(entry: Any) -> tuple[Polygon, float | None]:
    polygon, score = (entry.get(key) for key in ("polygon", "score")) if isinstance(entry, dict) else (None, None)
    try:
        points = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("`polygon` must be a list of points [x, y]")
    if score is not None and not (type(score) in (int, float) and 0 <= score <= 1):
        raise ValueError(f"`score` (={score!r}) must be in [0, 1]")
    return as_polygon(points[:, 0].tolist(), points[:, 1].tolist()), score
