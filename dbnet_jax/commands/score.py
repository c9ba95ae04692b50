"""Scores detections that lie in files, whoever made them, against truths that do."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from absl.app import UsageError
from jaxtyping import Float32

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.summary import in_one_line
from dbnet_jax.evaluation import PROTOCOLS
from dbnet_jax.evaluation.breakdown import ScoreReport, make_score_report
from dbnet_jax.evaluation.errors import worst_first
from dbnet_jax.evaluation.submissions.archive import PREFIXES, by_picture, read_source
from dbnet_jax.evaluation.submissions.formats import (
    FileDetections,
    find_truth_form,
    parse_detections,
    parse_detections_json,
    parse_truth,
)
from dbnet_jax.files import check_files, replace_files, write_atomically, write_json
from dbnet_jax.images.drawing import scale_polygons
from dbnet_jax.messages import Problem, check_choice, count_problems, first_lines, plural
from dbnet_jax.pages.page import PAGE, problem_list
from dbnet_jax.pages.results import ResultPicture, write_results_page
from dbnet_jax.pages.scores import matches_of, score_sections, shown_pictures_row
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.parsing.folders import enumerate_names
from input_pipeline.datasets.sample import Annotation

PREDICTED = "detections.json"  # what `--mode=predict` writes beside its text files, which have no scores
PROBLEMS = "problems.txt"
_FILES = ("evaluation.json", PROBLEMS)
PAGE_PICTURES = 40
_NOT_ONE = "not one line could be read (are the fields separated by commas?)"
_LONG_SIDE = 1280  # pixels of a picture on the page
_ASPECT, _LEAST_WIDTH, _MARGIN = 1.5, 480.0, 1.06  # of the part of it that is shown
_GROUND = 34  # grey, of pictures that are not at hand; that of the page's cards too


@dataclass(frozen=True)
class FileScores:
    """What the files gave.

    - `summary`: "precision", "recall", "hmean", "protocol", "images", "without_detections" (how many pictures have no
        detection file), "problems" (how many), and those of `ScoreReport.summary`.
    - `problems`: one for each line that is left out or doubtful, and for missing files.
    - `page`: where a page was asked for.
    """

    summary: dict[str, Any]
    problems: list[Problem]
    page: Path | None = None


def score_files(
    detections: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    protocol: str = "iou",
    output: str | os.PathLike[str] | None = None,
) -> FileScores:
    """Scores a folder, or a zip archive, of detections against one of truths, matched by the pictures' names.

    Pictures that have a truth and no file of detections count as without any, and are named. Files are named
    res_img_1.txt, gt_img_1.txt, poly_gt_img1.txt, IMG_0059.gt or img_1.txt; `parse_detections` and `parse_truth` say
    what they hold. Where there is a detections.json, which `--mode=predict` writes, it is read instead of the text
    files.

    **Arguments:**

    - `detections`, `truth`: a folder, or a zip archive as the competitions take them.
    - `protocol`: see `evaluate_detections`.
    - `output`: a folder for `evaluation.json`, `problems.txt` and `index.html`; nothing is written without it.

    **Raises:** FileNotFoundError where a source holds no such file; ValueError where one cannot be read, holds too
    much or not one line that can be read, or detections are of a picture without a truth, which it names;
    FileExistsError where `output` contains one of the three files, and no run wrote it.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    if output is not None:
        check_files(output, {"page": [PAGE], "scores": _FILES})
    found = _read_detections(detections)
    truths, files = _read_truth(truth)
    problems = [problem for annotation in truths.values() for problem in annotation.problems]
    problems += [problem for one in found.values() for problem in one.problems]
    for picture in [name for name in truths if _tells_nothing(files[name], truths[name], found.get(name))]:
        problems.append(Problem(picture, f"left out: nothing in {os.fspath(truth)} says that there is such a picture"))
        del truths[picture]
        found.pop(picture, None)
    names = list(truths)
    problems += _unpaired(found, names, os.fspath(detections), os.fspath(truth))
    if truths and not any(False in annotation.ignore for annotation in truths.values()):
        problems.append(Problem("", "all text of the truth is ignored, or there is none: the scores mean nothing"))
    rows = [found.get(picture, FileDetections()) for picture in names]
    report = make_score_report(
        [row.polygons for row in rows],
        _confidences(rows, problems),
        [annotation.polygons for annotation in truths.values()],
        [annotation.ignore for annotation in truths.values()],
        protocol=protocol,
    )
    summary = {key: getattr(report.scores, key) for key in ("precision", "recall", "hmean")}
    summary |= {"protocol": protocol, "images": len(names), "without_detections": len(truths.keys() - found.keys())}
    summary["problems"] = count_problems(problems)
    page = None
    if output is not None:
        title = f"{Path(detections).name} against {Path(truth).name}"
        page = _write(as_path(output), title, summary, report, problems, truths, rows)
    return FileScores(summary | report.summary(), problems, page)


def _read_truth(source: str | os.PathLike[str]) -> tuple[dict[str, Annotation], dict[str, str]]:
    """The truths and their files by the pictures' names. **Raises:** ValueError where no line can be read."""
    contents = read_source(source, (".txt", ".gt"))
    files = by_picture(contents)
    form = find_truth_form(contents)
    truths = {picture: parse_truth(contents[file], file, form) for picture, file in files.items()}
    bad = [problem for annotation in truths.values() for problem in annotation.problems]
    if bad and not any(annotation.polygons for annotation in truths.values()):
        raise ValueError(f"{source}: {_NOT_ONE}:\n" + "\n".join(first_lines(bad)))
    return truths, files


def _tells_nothing(file: str, truth: Annotation, found: FileDetections | None) -> bool:
    """Whether a file is none of truths, such as a readme.txt: of no picture as far as anybody can tell."""
    if truth.polygons or not truth.problems or PurePosixPath(file).name.startswith(PREFIXES):
        return False
    return found is None or (bool(found.left_out) and not found.polygons)


def _read_detections(source: str | os.PathLike[str]) -> dict[str, FileDetections]:
    """The detections by the pictures' names. **Raises:** ValueError where there are some, and not one can be read."""
    found = _parse_detections(source)
    bad = [problem for one in found.values() for problem in one.left_out]
    if bad and not any(one.polygons for one in found.values()):
        raise ValueError(f"{source}: {_NOT_ONE}:\n" + "\n".join(first_lines(bad)))
    return found


def _parse_detections(source: str | os.PathLike[str]) -> dict[str, FileDetections]:
    files = read_source(source, (".txt", ".json"))
    predicted = [file for file in files if PurePosixPath(file).name == PREDICTED or files.keys() == {file}]
    predicted = [file for file in predicted if PurePosixPath(file).suffix.lower() == ".json"]
    if len(predicted) > 1:
        raise ValueError(f"{source}: holds more than one {PREDICTED}: {enumerate_names(predicted)}")
    if predicted:
        entries = parse_detections_json(files[predicted[0]], predicted[0])
        return {picture: entries[name] for picture, name in by_picture(entries).items()}
    texts = [file for file in files if PurePosixPath(file).suffix.lower() == ".txt"]
    return {picture: parse_detections(files[file], file) for picture, file in by_picture(texts).items()}


def _unpaired(found: Mapping[str, FileDetections], names: Sequence[str], detections: str, truth: str) -> list[Problem]:
    """Problems: pictures of which there is nothing in `detections`, and what is of no picture and holds no detection.

    **Raises:** ValueError where something of no picture, which `names` are, does hold detections.
    """
    strangers = sorted(found.keys() - set(names))
    if lost := [picture for picture in strangers if found[picture].polygons]:
        raise ValueError(
            f"{detections}: detections of pictures that {truth} has no truth of: {enumerate_names(lost)}; "
            f"it has, for example, {enumerate_names(names[:3])}"
        )
    problems = [Problem(picture, f"left out: no detections, and no such picture in {truth}") for picture in strangers]
    if missing := [picture for picture in names if picture not in found]:
        without = f"nothing of {len(missing)} of {len(names)} pictures, which count as without detections"
        problems.append(Problem(detections, f"{without}: {', '.join(missing)}"))
    return problems


def _confidences(rows: Sequence[FileDetections], problems: list[Problem]) -> list[np.ndarray] | None:
    """The scores of all detections; None, and a problem where only some are without, if there are none."""
    given = [score for row in rows for score in row.scores]
    without = given.count(None)
    if without:
        if without < len(given):
            said = f"{without} of {len(given)} detections have no score: there is no sweep over thresholds"
            problems.append(Problem("", said))
        return None
    return [np.array(row.scores, np.float64) for row in rows]


def _write(
    folder: Path,
    title: str,
    summary: dict[str, Any],
    report: ScoreReport,
    problems: Sequence[Problem],
    truths: Mapping[str, Annotation],
    rows: Sequence[FileDetections],
) -> Path:
    shown = worst_first(report.errors)[:PAGE_PICTURES]
    header = summary | shown_pictures_row(len(shown), len(rows))
    pictures = _pictures(report, truths, rows, shown)
    listed = problem_list(plural(count_problems(problems), "problem"), problems, PROBLEMS)
    page = write_results_page(folder, title, header, pictures, sections=score_sections(report), problems=listed)
    replace_files(folder, {"scores": _FILES})
    write_atomically(folder / PROBLEMS, "".join(f"{problem}\n" for problem in problems))
    write_json(folder / "evaluation.json", summary | report.summary())
    return page


def _pictures(
    report: ScoreReport, truths: Mapping[str, Annotation], rows: Sequence[FileDetections], shown: Sequence[int]
) -> Iterator[ResultPicture]:
    """The outlines on an even ground: the pictures themselves are not at hand."""
    names, annotations = list(truths), list(truths.values())
    for row in shown:
        found, annotation = rows[row], annotations[row]
        corner, (height, width) = _frame([*found.polygons, *annotation.polygons])
        scale = min(1.0, _LONG_SIDE / max(width, height))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        scores = None if None in found.scores else [float(score) for score in found.scores if score is not None]
        yield ResultPicture(
            names[row],
            np.full((*size, 3), _GROUND, np.uint8),
            scale_polygons([polygon - corner for polygon in found.polygons], scale),
            scores,
            scale_polygons([polygon - corner for polygon in annotation.polygons], scale),
            annotation.ignore,
            **matches_of(report, row),
        )


def _frame(polygons: Sequence[Polygon]) -> tuple[Float32[np.ndarray, "2"], tuple[float, float]]:
    """The upper left corner and the size, in pixels, of a part of a picture that holds all outlines, and a margin."""
    points = np.concatenate([np.zeros((0, 2), np.float32), *polygons])
    low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else np.zeros((2, 2), np.float32)
    width, height = (high - low).tolist()
    width = max(_LEAST_WIDTH, _MARGIN * width, _MARGIN * height * _ASPECT)  # one shape: the cards make even rows
    height = width / _ASPECT
    middle = (low + high) / 2
    return middle - np.array([width / 2, height / 2], np.float32), (height, width)


def run(options: Options) -> None:
    """The command `score`."""
    if options.detections is None or options.truth is None:
        missing = "--detections" if options.detections is None else "--truth"
        raise UsageError(f"{missing} is missing: a folder or a zip archive of text files")
    found = score_files(options.detections, options.truth, protocol=options.protocol, output=options.output)
    everything = f"in {options.output}/{PROBLEMS}" if options.output else "(--output=DIR writes them all)"
    for line in first_lines(found.problems, everything):
        print(line)
    print(in_one_line(found.summary))
    if found.page is not None:
        print(f"results: {found.page}")
