"""The page of a recogniser's inspection: training crops with their texts, and histograms of the words in the data."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup

from dbnet_jax.files import replace_files
from dbnet_jax.images import drawing
from dbnet_jax.inspection.words import WordStatistics
from dbnet_jax.pages.figure import write_figure
from dbnet_jax.pages.inspection import Plot
from dbnet_jax.pages.page import LegendItem, file_stem, row, write_page
from dbnet_jax.pages.plots import Bins, Series, Values, histogram, octave_bins, whole_bins
from dbnet_jax.paths import as_path


@dataclass(frozen=True)
class WordExample:
    """One training example.

    - `name`: of its word; `step`: the first training step that gets it, from 1.
    - `crop`: grey, without its padding; `text`: what it says.
    """

    name: str
    step: int
    crop: UInt8[np.ndarray, "32 _"]
    text: str


def write_word_inspection_page(
    folder: str | os.PathLike[str],
    title: str,
    statistics: WordStatistics,
    examples: Iterable[WordExample],
    problems: Callable[[], Markup],
    facts: Mapping[str, str],
) -> Path:
    """Writes `<folder>/index.html` and its pictures. **Arguments** and **Returns:** as `write_inspection_page`."""
    folder = as_path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    shown = []
    for index, example in enumerate(examples, start=1):
        pixels = np.repeat(example.crop[..., None], 3, axis=2)
        figure = write_figure(folder, f"{file_stem(index, example.name)}.png", pixels, example.name)
        shown.append({"file": figure.file, "name": example.name, "text": example.text, "step": example.step})
    page = write_page(
        folder,
        "word_inspection.html",
        title=title,
        details=[row(name, value) for name, value in {**statistics.summary(), **facts}.items()],
        sections="",
        problems=problems(),
        legend=[LegendItem("words that training takes", "truth"), LegendItem("skipped", "ignored")],
        colors={"truth": drawing.TRUTH, "ignored": drawing.IGNORED},
        plots=_plots(statistics),
        examples=shown,
        cards=[],
    )
    replace_files(folder, {"page": [page.name, *(str(one["file"]) for one in shown)]})
    return page


def _plots(statistics: WordStatistics) -> list[Plot]:
    words = statistics.words
    usable = np.array([word.usable for word in words], bool)
    lengths = np.array([len(word.text) for word in words], np.int64)
    widths = np.array([word.width for word in words], np.int64)
    room = np.array([word.columns / max(word.needed, 1) for word in words], np.float64)

    def plot(heading: str, axis: str, bins: Bins, values: Values) -> Plot:
        series = [
            Series("used", values[usable], drawing.TRUTH),
            Series("skipped", values[~usable], drawing.IGNORED),
        ]
        return Plot(heading, axis, histogram(f"Histogram: {heading}, {axis}", bins, series))

    return [
        plot("Length", "characters of a text", whole_bins(lengths), lengths),
        plot("Width", "pixels of a crop of height 32, as training sees it", octave_bins(widths), widths),
        plot("Room", "feature columns of a crop over those that its text needs", octave_bins(room), room),
    ]
