"""A page of results to look at: every picture with its polygons, its maps beside, and the numbers above."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from dbnet_jax.images import drawing
from dbnet_jax.messages import duration
from dbnet_jax.pages.earlier_results import pictures_of_page, remove
from dbnet_jax.pages.figure import color_scales, write_figure
from dbnet_jax.pages.style import STYLE

Indices = Sequence[int | np.integer] | Int[np.ndarray, "_"]

# Kind → (colour, the word beside a count, what the legend says); drawn in this order, the last on top.
KINDS: dict[str, tuple[drawing.Color, str, str]] = {
    "ignored": (drawing.IGNORED, "ignored", "ignored truth"),
    "aside": (drawing.SET_ASIDE, "on ignored", "detected on ignored text"),
    "truth": (drawing.TRUTH, "truth", "truth"),
    "missed": (drawing.MISSED, "missed", "missed"),
    "false": (drawing.FALSE, "false", "false"),
    "split": ((178, 132, 255), "pieces", "piece of a split truth"),
    "merged": ((255, 120, 205), "merged", "several truths merged"),
    "found": (drawing.MATCHED, "found", "found and matched"),
    "detected": (drawing.DETECTED, "detected", "detected"),
}
Groups = dict[str, list[tuple[np.ndarray, float | None]]]  # kind → polygons and scores
_LABELS = {"seconds": "time", "images": "pictures"}  # names of `summary` that read better otherwise
_LONG_SIDE = (
    640,
    1280,
)  # pixels of a picture on the page; a small one is enlarged so that its lines are crisp
_MAP_LONG_SIDE = 640
_MOST_SCORES = 24  # written into a picture; more would hide it
_SCORED_KINDS = ("false", "split", "merged", "detected")  # where the score tells something: why was this kept?


@dataclass(frozen=True)
class ResultPicture:
    """One picture of the page. Polygons are in its pixels, (x, y); what is None is not shown.

    - `polygons`, `scores`: what was detected.
    - `truths`, `ignore`: the annotations, and one flag each for those that do not count.
    - `probability_map`, `threshold_map`, `binary_map`: each covers the whole picture, at any resolution.
    - `precision`, `recall`, `hmean`: of this picture.
    - `matched_detections`, `matched_truths`: indices, as the protocol matched them. Other detections are
      false, unless in `ignored_detections` (on ignored text); other truths are missed, unless ignored.
    - `split`: truths found in pieces, each with those detections. `merged`: detections of several truths, each
      with those. None of them is missed or false.
    - `seconds`: that the detection took.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    polygons: Sequence[Float[np.ndarray, "_ 2"]]
    scores: Sequence[float] | Float[np.ndarray, "_"] | None = None
    truths: Sequence[Float[np.ndarray, "_ 2"]] | None = None
    ignore: drawing.Flags | None = None
    probability_map: Float[np.ndarray, "_ _"] | None = None
    threshold_map: Float[np.ndarray, "_ _"] | None = None
    binary_map: Float[np.ndarray, "_ _"] | None = None
    precision: float | None = None
    recall: float | None = None
    hmean: float | None = None
    matched_detections: Indices | None = None
    matched_truths: Indices | None = None
    ignored_detections: Indices = ()
    split: Mapping[int, Sequence[int]] = field(default_factory=dict)
    merged: Mapping[int, Sequence[int]] = field(default_factory=dict)
    seconds: float | None = None


def write_results_page(
    folder: str | os.PathLike[str],
    title: str,
    summary: Mapping[str, object],
    pictures: Iterable[ResultPicture],
    *,
    sections: str = "",
    problems: str = "",
) -> Path:
    """Writes `<folder>/index.html` and its JPEG files under `<folder>/pictures/`.

    Pictures are taken one at a time, so a generator keeps a whole test set out of memory. The page comes last
    and in one move: while it is being made, an earlier page stands, and its pictures go when the new one does. It needs
    no network and no script.

    **Arguments:**

    - `summary`: the numbers of the header. "precision", "recall" and "hmean" (in [0, 1]) stand large,
      "seconds" reads as a duration, "command" as code, and anything else as it is; None shows as a dash.
    - `sections`: HTML that follows the numbers, such as `score_sections` makes.
    - `problems`: HTML that follows them, such as `problem_list` makes.

    **Returns:** The page's path.
    """
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    cards: list[str] = []
    kinds: Counter[str] = Counter()
    for index, picture in enumerate(pictures, start=1):
        groups = group_polygons(picture)
        kinds.update({kind: len(entries) for kind, entries in groups.items()})
        cards.append(_card(folder, index, picture, groups))
    partial = folder / "index.html.partial"
    # A file may have a name that is no text: its odd bytes stand there as \\udce9.
    content = _page(title, summary, sections + problems, kinds, cards)
    partial.write_text(content, encoding="utf-8", errors="backslashreplace")
    page = folder / "index.html"
    earlier = pictures_of_page(page)
    os.replace(partial, page)
    remove(earlier - pictures_of_page(page), folder / "pictures")
    return page


def group_polygons(picture: ResultPicture) -> Groups:
    """Polygons by kind (those keys of `KINDS` that apply to this picture), each with its score or None.

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


def _card(folder: Path, index: int, picture: ResultPicture, groups: Groups) -> str:
    """Writes one picture's JPEG files and returns its part of the page."""
    stem = f"{index:05}-{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(picture.name).stem).strip('-')[:60] or 'picture'}"
    drawn = _drawn(picture, groups)
    counts = [(kind, len(entries), KINDS[kind][1]) for kind, entries in groups.items() if entries]
    seen = ", ".join(f"{count} {word}" for _, count, word in counts) or "none"
    empty = "" if counts else "nothing here, nothing found" if picture.truths is not None else "nothing found"
    figures = [write_figure(folder, f"{stem}.jpg", drawn, f"{picture.name} with its polygons: {seen}", empty)]
    map_size = _fit(drawn.shape[0], drawn.shape[1], 1, _MAP_LONG_SIDE)
    for suffix, caption, values, bounds in (
        ("P", "P probability", picture.probability_map, (0.0, 1.0)),
        ("T", "T threshold", picture.threshold_map, drawing.THRESHOLD_RANGE),
        ("B", "B binary", picture.binary_map, (0.0, 1.0)),
    ):
        if values is not None:
            painted = drawing.resize(drawing.heatmap(values, *bounds), map_size)
            alt = f"{caption} map of {picture.name}"
            figures.append(write_figure(folder, f"{stem}-{suffix}.jpg", painted, alt, caption))
    dots = "".join(f'<li class="{kind}"><b>{count}</b> {word}</li>' for kind, count, word in counts)
    facts = [
        f"{name} {value:.3f}"
        for name, value in (("precision", picture.precision), ("recall", picture.recall))
        if value is not None
    ]
    facts += [f"{picture.seconds:.2f} s"] if picture.seconds is not None else []
    hmean = "" if picture.hmean is None else f'<span class="hmean">hmean <b>{picture.hmean:.3f}</b></span>'
    maps = f'<div class="maps">{"".join(figures[1:])}</div>' if len(figures) > 1 else ""
    return f"""<article>
<header><h2 title="{escape(picture.name)}">{escape(picture.name)}</h2>{hmean}</header>
<div class="views">{figures[0]}{maps}</div>
<footer><ul>{dots or "<li>no text</li>"}</ul><span>{" · ".join(facts)}</span></footer>
</article>"""


def _drawn(picture: ResultPicture, groups: Groups) -> UInt8[np.ndarray, "_ _ 3"]:
    """The picture at the page's size with its polygons on it."""
    size = _fit(picture.image.shape[0], picture.image.shape[1], *_LONG_SIDE)
    scale = max(size) / max(picture.image.shape[:2])
    drawn = drawing.resize(picture.image, size)
    for kind, (color, _, _) in KINDS.items():
        entries = groups.get(kind, [])
        polygons = drawing.scale_polygons([polygon for polygon, _ in entries], scale)
        scored = kind in _SCORED_KINDS and len(entries) <= _MOST_SCORES
        labels = [f"{score:.2f}" if scored and score is not None else "" for _, score in entries]
        drawn = drawing.draw_polygons(drawn, polygons, color=color, labels=labels)
    return drawn


def _fit(height: int, width: int, least: int, most: int) -> tuple[int, int]:
    """The size at which the long side lies between two bounds; nothing is enlarged more than four times."""
    longest = max(height, width)
    scale = min(min(max(longest, least), most) / longest, 4.0)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _page(title: str, summary: Mapping[str, object], sections: str, kinds: Counter[str], cards: Sequence[str]) -> str:
    headline = [name for name in ("precision", "recall", "hmean") if name in summary]
    tiles = "".join(f"<div><dt>{name}</dt><dd>{_value(name, summary[name])}</dd></div>" for name in headline)
    details = "".join(
        f"<div><dt>{escape(_LABELS.get(name, name.replace('_', ' ')))}</dt><dd>{_value(name, value)}</dd></div>"
        for name, value in summary.items()
        if name not in headline
    )
    legend = "".join(
        f'<li class="{kind}">{meaning}</li>' for kind, (_, _, meaning) in reversed(KINDS.items()) if kind in kinds
    )
    has_maps = any('class="maps"' in card for card in cards)
    colors = "".join(f".{kind} {{ --dot: rgb{color}; }}\n" for kind, (color, _, _) in KINDS.items())
    scale = color_scales(("P and B", 0.0, 1.0), ("T", *drawing.THRESHOLD_RANGE)) if has_maps else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{STYLE}{colors}</style>
</head>
<body>
<header class="head">
<h1>{escape(title)}</h1>
<dl class="tiles">{tiles}</dl>
<dl class="details">{details}</dl>
{sections}
<ul class="legend">{legend}{scale}</ul>
</header>
<main>
{chr(10).join(cards) or "<p>No pictures.</p>"}
</main>
</body>
</html>
"""


def _value(name: str, value: object) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    if name == "command":
        return f"<code>{escape(str(value))}</code>"
    if name == "seconds" and isinstance(value, int | float):
        return duration(float(value))
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))
