"""The results page: the numbers, and every picture with its polygons and its maps."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup

from dbnet_jax.evaluation.reading import ReadWord
from dbnet_jax.files import replace_files
from dbnet_jax.images import drawing
from dbnet_jax.pages.figure import Figure, color_scale, write_figure
from dbnet_jax.pages.page import LegendItem, file_stem, row, write_page
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image, Map, Polygon

Indices = Sequence[int | np.integer] | Int[np.ndarray, "_"]


class Kind(NamedTuple):
    """How polygons of one kind look: their colour, the word beside their count, their line in the legend."""

    color: drawing.Color
    word: str
    meaning: str


# Drawn in this order, the last on top.
KINDS = {
    "ignored": Kind(drawing.IGNORED, "ignored", "ignored truth"),
    "aside": Kind(drawing.SET_ASIDE, "on ignored", "detected on ignored text"),
    "truth": Kind(drawing.TRUTH, "truth", "truth"),
    "missed": Kind(drawing.MISSED, "missed", "missed"),
    "false": Kind(drawing.FALSE, "false", "false"),
    "split": Kind((178, 132, 255), "pieces", "piece of a split truth"),
    "merged": Kind((255, 120, 205), "merged", "several truths merged"),
    "found": Kind(drawing.MATCHED, "found", "found and matched"),
    "detected": Kind(drawing.DETECTED, "detected", "detected"),
}
Groups = dict[str, list[tuple[Polygon, float | None]]]  # kind → polygons and scores
NOTHING = Markup()
_TILES = ("precision", "recall", "hmean", "word_precision", "word_recall", "word_hmean")
_LONG_SIDE = (640, 1280)  # pixels of a picture on the page; a small one is enlarged so that its lines are crisp
_MAP_LONG_SIDE = 640
_MOST_SCORES = 24  # written into a picture; more would hide it
_SCORED_KINDS = ("false", "split", "merged", "detected")  # kinds whose score explains why they were kept


@dataclass(frozen=True)
class ResultPicture:
    """One picture of the page. Polygons are in its pixels, (x, y); the page leaves out a field that is None.

    - `polygons`, `scores`: the detections.
    - `truths`, `ignore`: the annotations, and a flag for each, True where it is ignored.
    - `probability_map`, `threshold_map`, `binary_map`: each covers the whole picture, at any resolution.
    - `precision`, `recall`, `hmean`: of this picture.
    - `matched_detections`, `matched_truths`: indices of the pairs that the protocol matched. Another detection is
        false, unless it is in `ignored_detections` (on ignored text). Another truth is missed, unless it is ignored.
    - `split`: truths that were found in pieces, each with the indices of these detections.
    - `merged`: detections that cover several truths, each with the indices of these truths. Split and merged polygons
        are neither missed nor false.
    - `seconds`: the time of the detection.
    - `words`: what was read, where a recogniser was scored.
    """

    name: str
    image: Image
    polygons: Sequence[Polygon]
    scores: Sequence[float] | Float[np.ndarray, "_"] | None = None
    truths: Sequence[Polygon] | None = None
    ignore: drawing.Flags | None = None
    probability_map: Map | None = None
    threshold_map: Map | None = None
    binary_map: Map | None = None
    precision: float | None = None
    recall: float | None = None
    hmean: float | None = None
    matched_detections: Indices | None = None
    matched_truths: Indices | None = None
    ignored_detections: Indices = ()
    split: Mapping[int, Sequence[int]] = field(default_factory=dict)
    merged: Mapping[int, Sequence[int]] = field(default_factory=dict)
    seconds: float | None = None
    words: Sequence[ReadWord] = ()


class _Card(NamedTuple):
    """One picture as the template shows it."""

    name: str
    drawn: Figure
    maps: list[Figure]
    counts: list[tuple[str, int, str]]
    facts: list[str]
    hmean: str | None
    words: Sequence[ReadWord]


class ResultsPage:
    """`<folder>/index.html` and its JPEG files under `<folder>/pictures/`, written one picture at a time.

    The page is written last and in one move, so an earlier page stands until then. It needs no network and no script.

    **Arguments:**

    - `folder`: made where there is none.
    - `title`: the headline.
    """

    def __init__(self, folder: str | os.PathLike[str], title: str) -> None:
        self._folder, self._title = as_path(folder), title
        (self._folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._cards: list[_Card] = []
        self._kinds: set[str] = set()
        self.files: list[str] = []
        """The files that are written so far, by their paths from the folder."""

    def add(self, picture: ResultPicture) -> None:
        """Writes the JPEG files of one more picture."""
        groups = group_polygons(picture)
        self._kinds.update(groups)
        self._cards.append(_card(self._folder, len(self._cards) + 1, picture, groups))
        self.files += [figure.file for figure in (self._cards[-1].drawn, *self._cards[-1].maps)]

    def close(self, summary: Mapping[str, object], sections: Markup = NOTHING, problems: Markup = NOTHING) -> Path:
        """Writes the page and returns its path; the arguments are those of `write_results_page`."""
        legend = [LegendItem(KINDS[kind].meaning, kind) for kind in reversed(KINDS) if kind in self._kinds]
        if any(card.maps for card in self._cards):
            legend += [color_scale("P and B", 0.0, 1.0), color_scale("T", *drawing.THRESHOLD_RANGE)]
        page = write_page(
            self._folder,
            "results.html",
            title=self._title,
            tiles=[row(name, summary[name]) for name in _TILES if name in summary],
            details=[row(name, value) for name, value in summary.items() if name not in _TILES],
            sections=sections,
            problems=problems,
            legend=legend,
            colors={kind: style.color for kind, style in KINDS.items()},
            cards=self._cards,
        )
        self.files.append(page.name)
        return page


def write_results_page(
    folder: str | os.PathLike[str],
    title: str,
    summary: Mapping[str, object],
    pictures: Iterable[ResultPicture],
    *,
    sections: Markup = NOTHING,
    problems: Markup = NOTHING,
) -> Path:
    """Writes a `ResultsPage` and removes the pictures of the page that stood there before.

    Pictures are taken one at a time, so a generator keeps a whole test set out of memory.

    **Arguments:**

    - `summary`: the numbers of the header. "precision", "recall" and "hmean" (in [0, 1]), and those of words, are shown
        large, others as `row` describes.
    - `sections`: follows the numbers, for example `score_sections`.
    - `problems`: follows the sections, for example `problem_list`.

    **Returns:** the path of the page.
    """
    page = ResultsPage(folder, title)
    for picture in pictures:
        page.add(picture)
    path = page.close(summary, sections, problems)
    replace_files(folder, {"page": page.files})
    return path


def group_polygons(picture: ResultPicture) -> Groups:
    """The polygons of each kind that applies to this picture, each with its score or None.

    **Raises:** `ValueError` if flags or scores do not fit the polygons, or an index points outside them.
    """
    if picture.scores is not None and len(picture.scores) != len(picture.polygons):
        raise ValueError(
            f"`scores` (of length {len(picture.scores)}) of {picture.name!r} must have one entry a polygon "
            f"({len(picture.polygons)})"
        )
    scores = [None] * len(picture.polygons) if picture.scores is None else [float(s) for s in picture.scores]
    detections = list(zip(picture.polygons, scores, strict=True))
    truths = list(picture.truths or [])
    kept, ignored = drawing.split_ignored(truths, picture.ignore)
    if picture.matched_detections is None or picture.matched_truths is None:
        groups = {"detected": detections}
        if picture.truths is not None:
            groups |= {"truth": [(t, None) for t in kept], "ignored": [(t, None) for t in ignored]}
        return groups
    pieces = {piece for found in picture.split.values() for piece in found}
    explained = {*picture.split, *(truth for several in picture.merged.values() for truth in several)}
    matched = _checked(picture, "matched_detections", len(detections)) - pieces - picture.merged.keys()
    aside = _checked(picture, "ignored_detections", len(detections)) - matched
    found_truths = _checked(picture, "matched_truths", len(truths))
    flags = [False] * len(truths) if picture.ignore is None else picture.ignore
    missed = [t for i, t in enumerate(truths) if not flags[i] and i not in found_truths | explained]
    judged = matched | aside | pieces | picture.merged.keys()
    groups = {
        "found": [detections[i] for i in sorted(matched)],
        "false": [d for i, d in enumerate(detections) if i not in judged],
        "missed": [(t, None) for t in missed],
        "ignored": [(t, None) for t in ignored],
        "aside": [detections[i] for i in sorted(aside)],
    }
    if explained:
        groups |= {
            "split": [detections[i] for i in sorted(pieces)],
            "merged": [detections[i] for i in sorted(picture.merged)],
            "truth": [(truths[i], None) for i in sorted(explained)],
        }
    return groups


def _checked(picture: ResultPicture, field: str, count: int) -> set[int]:
    indices = {int(index) for index in getattr(picture, field)}
    if any(not 0 <= index < count for index in indices):
        raise ValueError(f"`{field}` (={sorted(indices)}) of {picture.name!r} must be indices below {count}")
    return indices


def _card(folder: Path, index: int, picture: ResultPicture, groups: Groups) -> _Card:
    """Writes one picture's JPEG files."""
    stem = file_stem(index, picture.name)
    drawn = _drawn(picture, groups)
    counts = [(kind, len(entries), KINDS[kind].word) for kind, entries in groups.items() if entries]
    seen = ", ".join(f"{count} {word}" for _, count, word in counts) or "none"
    empty = "" if counts else "nothing here, nothing found" if picture.truths is not None else "nothing found"
    map_size = _fit(drawn.shape[0], drawn.shape[1], 1, _MAP_LONG_SIDE)
    maps = []
    for suffix, caption, values, bounds in (
        ("P", "P probability", picture.probability_map, (0.0, 1.0)),
        ("T", "T threshold", picture.threshold_map, drawing.THRESHOLD_RANGE),
        ("B", "B binary", picture.binary_map, (0.0, 1.0)),
    ):
        if values is not None:
            painted = drawing.resize(drawing.heatmap(values, *bounds), map_size)
            maps.append(
                write_figure(folder, f"{stem}-{suffix}.jpg", painted, f"{caption} map of {picture.name}", caption)
            )
    numbers = {name: getattr(picture, name) for name in ("precision", "recall")}
    facts = [f"{name} {value:.3f}" for name, value in numbers.items() if value is not None]
    return _Card(
        picture.name,
        write_figure(folder, f"{stem}.jpg", drawn, f"{picture.name} with its polygons: {seen}", empty),
        maps,
        counts,
        facts + ([f"{picture.seconds:.2f} s"] if picture.seconds is not None else []),
        None if picture.hmean is None else f"{picture.hmean:.3f}",
        picture.words,
    )


def _drawn(picture: ResultPicture, groups: Groups) -> Image:
    """The picture at the page's size with its polygons on it."""
    size = _fit(picture.image.shape[0], picture.image.shape[1], *_LONG_SIDE)
    scale = max(size) / max(picture.image.shape[:2])
    drawn = drawing.resize(picture.image, size)
    for kind, style in KINDS.items():
        entries = groups.get(kind, [])
        polygons = drawing.scale_polygons([polygon for polygon, _ in entries], scale)
        scored = kind in _SCORED_KINDS and len(entries) <= _MOST_SCORES
        labels = [f"{score:.2f}" if scored and score is not None else "" for _, score in entries]
        drawn = drawing.draw_polygons(drawn, polygons, color=style.color, labels=labels)
    return drawn


def _fit(height: int, width: int, least: int, most: int) -> tuple[int, int]:
    """The size at which the long side lies between two bounds; nothing is enlarged more than four times."""
    longest = max(height, width)
    scale = min(min(max(longest, least), most) / longest, 4.0)
    return max(1, round(height * scale)), max(1, round(width * scale))
