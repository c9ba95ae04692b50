"""The formats in which detections and truths are handed about, read from bytes."""

import dataclasses
import itertools
import json
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from dbnet_jax.decode import PICTURE_SUFFIXES
from input_pipeline.datasets.annotations import (
    DONT_CARE,
    Annotation,
    Instance,
    as_polygon,
    check_polygon,
    crosses_itself,
    is_number,
    parse_instances,
    parse_numbers,
    text_lines,
)
from input_pipeline.datasets.msra_td500 import MsraTd500
from input_pipeline.datasets.total_text import TotalText

Polygon = Float32[np.ndarray, "_ 2"]
# The least numbers of a line of truth that must be a polygon: a quad's text may hold a number or two, as "1,200".
POLYGON_NUMBERS = 12


@dataclasses.dataclass(frozen=True)
class FileDetections:
    """The detections of one picture; `problems` names every line, or entry, that is left out or doubtful."""

    polygons: list[Polygon] = dataclasses.field(default_factory=list)
    scores: list[float | None] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def add(self, where: str, polygon: Polygon, score: float | None) -> None:
        """**Raises:** ValueError where the polygon has fewer than three points or no area."""
        check_polygon(polygon)
        if crosses_itself(polygon):
            self.problems.append(f"{where}: the outline crosses itself; kept, and the protocol decides")
        self.polygons.append(polygon)
        self.scores.append(score)


def parse_detections(data: bytes, file: str) -> FileDetections:
    """A line a detection, `x1,y1,…,xn,yn[,score][,text]`; two points are an upright rectangle.

    The numbers that a line begins with are coordinates; where their count is odd the last is the score, if it lies in
    [0, 1], or a text. A line whose text cannot be told from coordinates is left out and named.

    **Arguments:** `data`, the content of the file, and `file`, its name for messages.
    """
    lines, problems = text_lines(data, file)
    found = FileDetections(problems=problems)
    for number, line in lines:
        where = f"{file}:{number}"
        try:
            found.add(where, *_detection(line))
        except ValueError as error:
            found.problems.append(f"{where}: {error}: {line[:60]!r}")
    return found


def parse_truth(data: bytes, file: str) -> Annotation:
    """The true outlines of one picture, by the name of the file.

    - `….gt` is MSRA-TD500's, see `MsraTd500`.
    - `poly_gt_….txt`, and `img11.jpg.txt` with a picture's suffix, are Total-Text's, see `TotalText`.
    - any other `….txt` is ICDAR's: `x1,y1,…,x4,y4,text`, or `left,top,right,bottom,text`, where the text `###` is a
      don't-care. A line that begins with 12 numbers or more is a polygon.
    """
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
    reasons = {name: [f"{file}: {name} was skipped: {reason}"] for name, reason in skipped.items()}
    results = {name: FileDetections(problems=problems) for name, problems in reasons.items()}
    for name, picture in pictures.items():
        found = results[name] = FileDetections()
        entries = picture.get("detections") if isinstance(picture, dict) else None
        if not isinstance(entries, list):
            found.problems.append(f"{file}: {name}: has no list of detections")
            continue
        for index, entry in enumerate(entries):
            where = f"{file}: {name}: detection {index}"
            try:
                found.add(where, *_entry(entry))
            except ValueError as error:
                found.problems.append(f"{where}: {error}")
    return results


def _leading_numbers(fields: list[str]) -> int:
    return len(list(itertools.takewhile(is_number, fields)))


def _rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    return as_polygon([left, right, right, left], [top, top, bottom, bottom])


def _polygon(numbers: list[float]) -> Polygon:
    return _rectangle(*numbers) if len(numbers) == 4 else as_polygon(numbers[0::2], numbers[1::2])


def _detection(line: str) -> tuple[Polygon, float | None]:
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
    if count % 2:
        score = numbers.pop()
        return _polygon(numbers), score if 0 <= score <= 1 else None
    if count > 8 and "." in fields[count - 2] and 0 <= numbers[-2] <= 1 and "." not in fields[count - 1]:
        raise ValueError(f"whether {numbers[-2]:g} is a score or a coordinate cannot be told")
    return _polygon(numbers), None


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
    return Instance(_polygon(parse_numbers(fields, used)), text.strip('"') == DONT_CARE, text)


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
