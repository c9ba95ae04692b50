"""The page of an inspection: training examples with their label maps, and histograms of the text behind them."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from dbnet_jax.images import drawing
from dbnet_jax.inspection.statistics import Statistics, gather, per_picture
from dbnet_jax.messages import Problem
from dbnet_jax.pages.figure import color_scales, write_figure
from dbnet_jax.pages.plots import HISTOGRAM_STYLE, Bins, Series, Values, even_bins, histogram, octave_bins, whole_bins
from dbnet_jax.pages.problems import problem_list
from dbnet_jax.pages.style import STYLE

Image = UInt8[np.ndarray, "height width 3"]

# Label map → what the page calls it.
_MAPS = {
    "shrink_map": "shrink map",
    "shrink_mask": "shrink mask",
    "threshold_map": "threshold map",
    "threshold_mask": "threshold mask",
}
_MASK_GREY = 210  # where the loss looks
_GREY = 150
_GREYED = 0.72  # how much of an ignored region's own colours is gone
_LEAST_LONG_SIDE = 640  # pixels; a smaller crop is enlarged so that its outlines are crisp
_LONG_ENOUGH = 1.5  # times as long as high: nearly square text has no angle


@dataclass(frozen=True)
class InspectedExample:
    """One training example, all in the crop's pixels.

    - `name`: of its picture.
    - `step`: of training that gets it first, from 1.
    - `image`: RGB, before the normalisation.
    - `polygons`, `ignored`: outlines of text, and one flag each for what does not count.
    - `labels`: the four maps of `make_labels`.
    """

    name: str
    step: int
    image: Image
    polygons: list[Float[np.ndarray, "_ 2"]]
    ignored: Bool[np.ndarray, "_"]
    labels: Mapping[str, Float32[np.ndarray, "height width"]]


def write_inspection_page(
    folder: str | os.PathLike[str],
    title: str,
    statistics: Statistics,
    examples: Iterable[InspectedExample],
    problems: Callable[[], tuple[str, Sequence[Problem]]],
    facts: Mapping[str, str],
) -> Path:
    """Writes `<folder>/index.html` and its pictures under `<folder>/pictures/`.

    Examples are taken one at a time. The page comes last and in one move, and needs no network and no script.

    **Arguments:**

    - `statistics`: what to plot.
    - `problems`: called when all examples are drawn: a headline, and what is wrong with the data.
    - `facts`: more for the header, by name; one is the "command" that was given, with every field that it set.

    **Returns:** The page's path.
    """
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    cards = [_card(folder, index, example) for index, example in enumerate(examples, start=1)]
    partial = folder / "index.html.partial"
    # A file may have a name that is no text: its odd bytes stand there as \\udce9.
    content = _page(title, statistics, cards, *problems(), facts)
    partial.write_text(content, encoding="utf-8", errors="backslashreplace")
    page = folder / "index.html"
    os.replace(partial, page)
    return page


def draw_example(example: InspectedExample) -> UInt8[np.ndarray, "_ _ 3"]:
    """The example's picture with its outlines, and grey where the loss of the shrink map does not look."""
    image = example.image.copy()
    away = example.labels["shrink_mask"] == 0
    image[away] = np.rint(_GREYED * _GREY + (1 - _GREYED) * image[away]).astype(np.uint8)
    scale = max(1.0, min(4.0, _LEAST_LONG_SIDE / max(image.shape[:2])))
    drawn = drawing.resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    kept, ignored = drawing.split_ignored(drawing.scale_polygons(example.polygons, scale), example.ignored)
    drawn = drawing.draw_polygons(drawn, ignored, color=drawing.IGNORED)
    return drawing.draw_polygons(drawn, kept, color=drawing.TRUTH)


def _card(folder: Path, index: int, example: InspectedExample) -> str:
    """Writes one example's pictures and returns its part of the page."""
    stem = f"{index:05}-{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(example.name).stem).strip('-')[:60] or 'picture'}"
    count, ignored = len(example.polygons), int(example.ignored.sum())
    seen = f"{count - ignored} text, {ignored} ignored"
    drawn = write_figure(folder, f"{stem}.jpg", draw_example(example), f"{example.name} with its outlines: {seen}", "")
    maps = "".join(
        write_figure(folder, f"{stem}-{key}.png", _painted(key, example.labels[key]), f"{name} of it", name)
        for key, name in _MAPS.items()
    )
    return f"""<article>
<header><h2 title="{escape(example.name)}">{escape(example.name)}</h2><span class="step">step {example.step}</span>
</header>
<div class="example">{drawn}<div class="labels">{maps}</div></div>
<footer><ul><li class="truth"><b>{count - ignored}</b> text</li><li class="ignored"><b>{ignored}</b> ignored</li></ul>
</footer>
</article>"""


def _painted(key: str, values: Float32[np.ndarray, "height width"]) -> Image:
    """A map in colours, a mask in grey."""
    if key.endswith("mask"):
        return cv2.cvtColor((values * _MASK_GREY).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    return drawing.heatmap(values, *(drawing.THRESHOLD_RANGE if key == "threshold_map" else (0.0, 1.0)))


def plots(statistics: Statistics) -> list[str]:
    """The histograms, each an element with its heading."""
    pictures, crops = statistics.pictures, statistics.crops
    ignored, ignored_in_crops = gather(pictures, "ignored"), gather(crops, "ignored")
    short, long = gather(pictures, "short"), gather(pictures, "long")
    short_in_crops = gather(crops, "short")
    sizes = octave_bins(np.concatenate([short, short_in_crops]))
    ratio = long / np.maximum(short, 1)
    tilted = ratio >= _LONG_ENOUGH
    vertices, angles = gather(pictures, "vertices"), gather(pictures, "angle")
    instances, ignored_instances = per_picture(pictures)
    instances_in_crops, ignored_of_crops = per_picture(crops)
    some = instances > 0
    shares = ignored_instances[some] / instances[some]
    longest = np.array([max(picture.size) for picture in pictures if picture.size], np.int64)
    return [
        _plot("Size in crops", "shorter side in pixels, as training sees it", sizes, short_in_crops, ignored_in_crops),
        _plot("Size in pictures", "shorter side in pixels of the files", sizes, short, ignored),
        _plot("Aspect ratio", "longer side over shorter side", octave_bins(ratio), ratio, ignored),
        _plot(
            "Angle",
            f"degrees, 45 climbs; text {_LONG_ENOUGH:g} times as long as high",
            even_bins(-90, 90, 36),
            angles[tilted],
            ignored[tilted],
        ),
        _plot("Vertices of an outline", "in the annotation", whole_bins(vertices), vertices, ignored),
        _plot("Text in a picture", "pictures by their instances, ignored ones too", whole_bins(instances), instances),
        _plot(
            "Text in a crop",
            "crops by their instances that count",
            whole_bins(instances_in_crops - ignored_of_crops),
            instances_in_crops - ignored_of_crops,
        ),
        _plot("Ignored share", "pictures with text by the share of it that is ignored", even_bins(0, 1, 20), shares),
        _plot("Picture size", "longer side in pixels", whole_bins(longest), longest),
    ]


def _plot(heading: str, axis: str, bins: Bins, values: Values, ignored: Bool[np.ndarray, "_"] | None = None) -> str:
    """A histogram under its heading: of text with what is ignored on top, or of pictures."""
    if ignored is None:
        series = [Series("pictures", values, drawing.DETECTED)]
    else:
        series = [
            Series("text", values[~ignored], drawing.TRUTH),
            Series("ignored", values[ignored], drawing.IGNORED),
        ]
    svg = histogram(f"Histogram: {heading}, {axis}", bins, series)
    return f'<section class="plot"><h2>{escape(heading)}</h2><p>{escape(axis)}</p>{svg}</section>'


_STYLE = f"""{STYLE}{HISTOGRAM_STYLE}
.truth {{ --dot: rgb{drawing.TRUTH}; }}
.ignored {{ --dot: rgb{drawing.IGNORED}; }}
.pictures {{ --dot: rgb{drawing.DETECTED}; }}
h1 + p, .part p {{ color: var(--soft); }}
.part {{ margin: 2.2rem 0 1rem; font-size: 1.2rem; font-weight: 600; letter-spacing: -.01em; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 20px; }}
/* Heading, words and plot of the plots in a row are of the same heights. */
.plot {{
  display: grid; grid-row: span 3; grid-template-rows: subgrid; gap: 0; align-content: start;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .8rem .95rem .5rem;
}}
.plot p {{ color: var(--soft); font-size: .8rem; margin-bottom: .5rem; }}
main {{ grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); }}
.step {{ color: var(--soft); font-size: .86rem; white-space: nowrap; }}
.example {{ display: grid; grid-template-columns: 1fr 1fr; gap: 3px; align-items: center; background: var(--paper); }}
.labels {{ display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }}
@media (max-width: 640px) {{ .example {{ grid-template-columns: 1fr; }} }}
"""


def _page(
    title: str,
    statistics: Statistics,
    cards: list[str],
    headline: str,
    problems: Sequence[Problem],
    facts: Mapping[str, str],
) -> str:
    values = {name: escape(value) for name, value in {**statistics.summary(), **facts}.items()}
    values["command"] = f"<code>{values['command']}</code>"
    details = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in values.items())
    scales = color_scales(("shrink map", 0.0, 1.0), ("threshold map", *drawing.THRESHOLD_RANGE))
    listed = problem_list(headline, problems)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(statistics.coverage)}{"" if problems else "; no problems found"}</p>
<dl class="details">{details}</dl>
<ul class="legend"><li class="truth">text that counts</li><li class="ignored">ignored: marked so in the labels and, in \
crops, too small or cut by the edge; grey in the pictures</li><li class="pictures">pictures or crops</li>{scales}\
<li>masks: bright where the loss looks</li></ul>
{listed}
</header>
<div class="part">The text</div>
<div class="plots">{"".join(plots(statistics))}</div>
<div class="part">The first examples of training</div>
<main>
{chr(10).join(cards) or "<p>No pictures.</p>"}
</main>
</body>
</html>
"""
