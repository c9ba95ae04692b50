"""The formats in which detections and truths are handed about, read from bytes."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture
from dbnet_jax.messages import Problem
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.total_text import TotalText
from input_pipeline.datasets.own_data.icdar_rows import is_box, parse_box
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    is_number,
    parse_instances,
    parse_numbers,
    text_lines,
)
from input_pipeline.datasets.parsing.outline import TooManyInstances, check_count, check_polygon, valid_outline
from input_pipeline.datasets.parsing.transcription import TextForm, find_text_form
from input_pipeline.datasets.sample import Annotation

# The least numbers of a line of truth that must be a polygon: a quad's text may hold a number or two, as "1,200".
POLYGON_NUMBERS = 12


@dataclasses.dataclass(frozen=True)
class FileDetections:
    """The detections of one picture.

    - `polygons`, `scores`: of each; None where it has no score.
    - `problems`: one for each line, or entry, that is left out or doubtful.
    - `left_out`: the problems of lines, or entries, that are left out.
    """

    polygons: list[Polygon] = dataclasses.field(default_factory=list)
    scores: list[float | None] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    left_out: list[Problem] = dataclasses.field(default_factory=list)

    def add(self, where: str, polygon: Polygon, score: float | None, shown: str = "") -> None:
        """Adds a detection. A polygon that touches or crosses itself is repaired and listed, see `valid_outline`.

        **Raises:** ValueError where the polygon has fewer than three points or no area.
        """
        check_polygon(polygon)
        polygon, fault = valid_outline(polygon)
        if fault:
            self.problems.append(Problem(where, f"{fault}{shown}"))
        self.polygons.append(polygon)
        self.scores.append(score)

    def leave_out(self, problem: Problem) -> None:
        """Lists a line, or an entry, that is no detection."""
        self.left_out.append(problem)
        self.problems.append(problem)


def parse_detections(data: bytes, file: str) -> FileDetections:
    """A line a detection, `x1,y1,…,xn,yn[,score][,text]`; two points are an upright rectangle.

    The numbers that a line begins with are coordinates. Where their count is odd, the last one is the score. A line
    whose score is not in [0, 1], or that has a number behind its text, is left out and listed.

    **Arguments:** `data`, the content of the file, and `file`, its name for messages.

    **Raises:** `TooManyInstances` where the file has more lines than any picture has instances.
    """
    lines, problems = text_lines(data, file)
    check_count(file, len(lines))
    found = FileDetections(problems=problems)
    for number, line in lines:
        where, shown = f"{file}:{number}", f": {line[:60]!r}"
        try:
            numbers, score = _detection(line)
            found.add(where, _polygon(numbers), score, shown)
        except ValueError as error:
            found.leave_out(Problem(where, f"{error}{shown}"))
    return found


def parse_truth(data: bytes, file: str, form: TextForm | None = None) -> Annotation:
    """The true outlines of one picture, by the name of the file.

    - `….gt` is MSRA-TD500's, see `MsraTd500`.
    - `poly_gt_….txt`, and `img11.jpg.txt` with a picture's suffix, are Total-Text's, see `TotalText`.
    - any other `….txt` is ICDAR's: `x1,y1,…,x4,y4,text`, or `left,top,right,bottom,text`, where the text `###` is
      ignored; a script may stand before it, or `####`, as in training (see `TextForm`). A line that begins with 12
      numbers or more is a polygon. A box may have blanks in place of the commas, as in ICDAR 2013.

    A file of whose lines none can be used is a truth without text, and named.

    **Arguments:** `data`, `file`; `form`: what stands before the transcriptions of the set, by `find_truth_form`; None
    takes it from this file alone.

    **Raises:** `TooManyInstances` where the file has more lines than any picture has instances.
    """
    try:
        return _parse_truth(data, file, form)
    except TooManyInstances:
        raise
    except BadPicture as error:
        return Annotation(problems=[Problem.at(file, error)])


def find_truth_form(contents: Mapping[str, bytes]) -> TextForm:
    """What stands before the transcriptions of a set of truths, by the content of its files; see `find_text_form`."""
    return find_text_form(line for file, data in contents.items() for _, line in text_lines(data, file)[0])


def _parse_truth(data: bytes, file: str, form: TextForm | None) -> Annotation:
    path = PurePosixPath(file)
    if path.suffix.lower() == ".gt":
        return MsraTd500.parse(data, file)
    if path.name.startswith("poly_gt_") or PurePosixPath(path.stem).suffix.lower() in PICTURE_SUFFIXES:
        return TotalText.parse(data, file)
    lines, problems = text_lines(data, file)
    form = find_text_form(line for _, line in lines) if form is None else form
    return parse_instances(lines, file, functools.partial(_truth, form=form), problems)


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
        check_count(f"{file}: {name}", len(entries))
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
    """The coordinates of a line, and its score where the count of its numbers is odd."""
    fields = line.rstrip().removesuffix(",").split(",")
    count = _leading_numbers(fields)
    if count < 4:
        raise ValueError(f"{count} numbers where points x1,y1,x2,y2,… are needed")
    # A number behind it: it is a bad coordinate, or a text such as "Route 66, 5".
    if any(is_number(field) for field in fields[count + 1 :]):
        raise ValueError(f"{fields[count].strip()!r} stands between numbers")
    numbers = parse_numbers(fields, count)
    if count % 2 == 0:
        return numbers, None
    if not 0 <= numbers[-1] <= 1:
        percent = ": scores in percent must be divided by 100" if 1 < numbers[-1] <= 100 else ""
        raise ValueError(f"{count} numbers, and the last one (={numbers[-1]:g}) is no score in [0, 1]{percent}")
    return numbers[:-1], numbers[-1]


def _truth(line: str, form: TextForm) -> Instance:
    fields = line.split(",")
    if not is_number(fields[0]) and is_box(line):
        return parse_box(line)
    count = _leading_numbers(fields)
    if count < 8:
        # A quad with a bad number is no rectangle with a text.
        if count > 5 or any(is_number(field) for field in fields[count + 1 :]):
            raise ValueError(f"{count} numbers where 8, or 4, are needed")
        used = 4
    else:
        used = 8 if count < POLYGON_NUMBERS and not form.hashes else count - count % 2
    text, ignored = form.split(",".join(fields[used:]).strip())
    return Instance(_polygon(parse_numbers(fields, used)), ignored, text)


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
