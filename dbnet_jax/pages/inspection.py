"""The page of an inspection: training examples with their label maps, and histograms of the text in the data."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool
from markupsafe import Markup
from ml_collections import ConfigDict

from dbnet_jax.files import replace_files
from dbnet_jax.images import drawing
from dbnet_jax.inspection.statistics import Statistics, gather, per_picture
from dbnet_jax.inspection.words import WordStatistics
from dbnet_jax.messages import Problem, first_lines
from dbnet_jax.pages.figure import Figure, color_scale, write_figure
from dbnet_jax.pages.page import MOST_LISTED, LegendItem, file_stem, row, write_page
from dbnet_jax.pages.plots import Bins, Series, Values, even_bins, histogram, octave_bins, whole_bins
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image, Map, Polygon

# Label map → what the page calls it.
_MAPS = {
    "shrink_map": "shrink map",
    "shrink_mask": "shrink mask",
    "threshold_map": "threshold map",
    "threshold_mask": "threshold mask",
}
_LEGEND = (
    LegendItem("text that counts", "truth"),
    LegendItem(
        "ignored: marked so in the labels and, in crops, too small or cut by the edge; grey in the pictures", "ignored"
    ),
    LegendItem("pictures or crops", "pictures"),
)
_MASK_GREY = 210  # where the loss looks
_GREY = 150
_GREYED = 0.72  # the share of grey in an ignored region
_LEAST_LONG_SIDE = 640  # pixels; a smaller crop is enlarged so that its outlines are crisp
_LONG_ENOUGH = 1.5  # times as long as high: nearly square text has no angle


@dataclass(frozen=True)
class InspectedExample:
    """One training example, all in the crop's pixels.

    - `name`: of its picture.
    - `step`: the first training step that gets it, from 1.
    - `image`: RGB, before the normalization.
    - `polygons`, `ignored`: outlines of text, and a flag for each, True where it is ignored.
    - `labels`: the four maps of `make_labels`.
    """

    name: str
    step: int
    image: Image
    polygons: list[Polygon]
    ignored: Bool[np.ndarray, "_"]
    labels: Mapping[str, Map]


@dataclass(frozen=True)
class Inspection:
    """What an inspection found: its page, the statistics on it, and what is wrong with the data.

    `headline` counts the `problems`. `stops` is the message with which training would end because of the data; "" where
    it would not end.
    """

    page: Path
    statistics: Statistics | WordStatistics
    headline: str
    problems: list[Problem]
    stops: str = ""

    def report(self) -> str:
        """The statistics in a few words, and the first problems."""
        lines = [f"{name}: {value}" for name, value in self.statistics.summary().items()]
        more = f"on {self.page}" if len(self.problems) <= MOST_LISTED else ""
        lines.append(f"{self.headline}:" if self.problems else "no problems found")
        return "\n".join([*lines, *(f"  {line}" for line in first_lines(self.problems, more))])


class Plot(NamedTuple):
    """A histogram as SVG, under its heading and the words for its axis."""

    heading: str
    axis: str
    svg: Markup


class _Card(NamedTuple):
    """One example as the template shows it."""

    name: str
    drawn: Figure
    maps: list[Figure]
    counts: list[tuple[str, int, str]]
    step: int
    facts: tuple[str, ...] = ()


def write_inspection_page(
    folder: str | os.PathLike[str],
    title: str,
    statistics: Statistics,
    examples: Iterable[InspectedExample],
    problems: Callable[[], Markup],
    facts: Mapping[str, str],
) -> Path:
    """Writes `<folder>/index.html` and its pictures under `<folder>/pictures/`; those of an earlier page go.

    Examples are taken one at a time. The page is written last and in one move, and needs no network and no script.

    **Arguments:**

    - `statistics`: the numbers to plot.
    - `problems`: called after all examples are drawn; gives the `problem_list` of the data.
    - `facts`: more rows of the header by name; "command" is shown as code.

    **Returns:** the path of the page.
    """
    folder = as_path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    cards = [_card(folder, index, example) for index, example in enumerate(examples, start=1)]
    listed = problems()
    page = write_page(
        folder,
        "inspection.html",
        title=title,
        details=[row(name, value) for name, value in {**statistics.summary(), **facts}.items()],
        sections="",
        problems=listed,
        legend=[
            *_LEGEND,
            color_scale("shrink map", 0.0, 1.0),
            color_scale("threshold map", *drawing.THRESHOLD_RANGE),
            LegendItem("masks: bright where the loss looks"),
        ],
        colors={"truth": drawing.TRUTH, "ignored": drawing.IGNORED, "pictures": drawing.DETECTED},
        plots=plots(statistics),
        cards=cards,
    )
    pictures = [figure.file for card in cards for figure in (card.drawn, *card.maps)]
    replace_files(folder, {"page": [page.name, *pictures]})
    return page


def draw_example(example: InspectedExample) -> Image:
    """The example's picture with its outlines; regions that the shrink mask leaves out are grey."""
    image = example.image.copy()
    away = example.labels["shrink_mask"] == 0
    image[away] = np.rint(_GREYED * _GREY + (1 - _GREYED) * image[away]).astype(np.uint8)
    scale = max(1.0, min(4.0, _LEAST_LONG_SIDE / max(image.shape[:2])))
    drawn = drawing.resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    kept, ignored = drawing.split_ignored(drawing.scale_polygons(example.polygons, scale), example.ignored)
    drawn = drawing.draw_polygons(drawn, ignored, color=drawing.IGNORED)
    return drawing.draw_polygons(drawn, kept, color=drawing.TRUTH)


def _card(folder: Path, index: int, example: InspectedExample) -> _Card:
    """Writes one example's pictures."""
    stem = file_stem(index, example.name)
    ignored = int(example.ignored.sum())
    text = len(example.polygons) - ignored
    alt = f"{example.name} with its outlines: {text} text, {ignored} ignored"
    return _Card(
        example.name,
        write_figure(folder, f"{stem}.jpg", draw_example(example), alt),
        [
            write_figure(folder, f"{stem}-{key}.png", _painted(key, example.labels[key]), f"{name} of it", name)
            for key, name in _MAPS.items()
        ],
        [("truth", text, "text"), ("ignored", ignored, "ignored")],
        example.step,
    )


def _painted(key: str, values: Map) -> Image:
    """A map in colours, a mask in grey."""
    if key.endswith("mask"):
        return cv2.cvtColor((values * _MASK_GREY).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    return drawing.heatmap(values, *(drawing.THRESHOLD_RANGE if key == "threshold_map" else (0.0, 1.0)))


def plots(statistics: Statistics) -> list[Plot]:
    """The histograms of the page."""
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


def _plot(heading: str, axis: str, bins: Bins, values: Values, ignored: Bool[np.ndarray, "_"] | None = None) -> Plot:
    """A histogram of text, with ignored text on top, or of pictures where no flags are given."""
    if ignored is None:
        series = [Series("pictures", values, drawing.DETECTED)]
    else:
        series = [
            Series("text", values[~ignored], drawing.TRUTH),
            Series("ignored", values[ignored], drawing.IGNORED),
        ]
    return Plot(heading, axis, histogram(f"Histogram: {heading}, {axis}", bins, series))


def title_of(config: ConfigDict) -> str:
    """What is shown: the data set, what is mixed into it, and the split."""
    mix = f" with {config.data.mix}" if config.data.mix else ""
    return f"{config.data.name}{mix}: {config.data.train_split}, as training sees it"


def held_out(config: ConfigDict) -> str:
    """Which pictures are scored and not trained on, and how to see those."""
    split = config.data.eval_split
    if split == config.data.train_split:
        return "nothing: the split that is trained on is scored"
    return f"{split}, which is scored; data.train_split={split} shows it"
