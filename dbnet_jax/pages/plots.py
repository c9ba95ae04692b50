"""Histograms as SVG inside a page: no script, and the text colour of the page, in light and in dark."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num
from markupsafe import Markup

from dbnet_jax.geometry import Number
from dbnet_jax.images.drawing import Color
from dbnet_jax.pages.page import render

Values = Num[np.ndarray, "_"]

_WIDTH, _HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 24  # margins for the numbers of the axes
_GAP = 0.12  # of a bin's width, between two bars
_LEAST_BINS, _MOST_BINS = 8, 40
_MOST_TICKS = 9
_LARGEST_OCTAVE = 24


@dataclass(frozen=True)
class Series:
    """Some of the values, their name, and the colour of their bars (RGB)."""

    name: str
    values: Values
    color: Color


@dataclass(frozen=True)
class Bins:
    """The ranges of the bars. All bars have the same width on the page.

    **Arguments:**

    - `edges`: ascending; bin i counts edges[i] ≤ value < edges[i + 1]. The first bin also counts all values below it,
        the last bin all values above it.
    - `names`: one for each bin; a reader sees it when he points at the bar.
    - `ticks`: places on the axis, counted in bins from its left end, and the text at each.
    """

    edges: Float[np.ndarray, "_"]
    names: list[str]
    ticks: list[tuple[float, str]]

    def count(self, values: Values) -> Int[np.ndarray, "_"]:
        """The number of values in each bin; values that are not finite are in none."""
        inside = np.clip(values[np.isfinite(values)], self.edges[0], self.edges[-1])
        return np.histogram(inside, self.edges)[0]


def octave_bins(values: Values) -> Bins:
    """Bins of half an octave, from the power of 2 at or below the least value to the one above the largest.

    Values below 1 count as 1.
    """
    powers = np.log2(np.clip(values[np.isfinite(values)], 1, 2.0**_LARGEST_OCTAVE))
    first = math.floor(powers.min(initial=_LARGEST_OCTAVE)) if len(powers) else 0
    last = max(first + 1, math.floor(powers.max(initial=0)) + 1)
    edges = 2.0 ** (np.arange(2 * first, 2 * last + 1) / 2)
    every = next(step for step in (1, 2, 3, 4) if (last - first) // step < _MOST_TICKS)
    ticks = [(2.0 * octave, f"{2 ** (first + octave):,}") for octave in range(0, last - first + 1, every)]
    return Bins(edges, _range_names(edges), ticks)


def even_bins(low: Number, high: Number, count: int) -> Bins:
    """`count` bins of equal width from `low` to `high`."""
    edges = np.histogram_bin_edges([], count, (low, high))
    steps = [step for step in range(1, count + 1) if count % step == 0 and count // step < _MOST_TICKS]
    return Bins(edges, _range_names(edges), [(float(i), f"{edges[i]:g}") for i in range(0, count + 1, steps[0])])


def whole_bins(values: Values) -> Bins:
    """Bins for counts: one for each whole number where the range is small, wider bins where it is large.

    The last bin is open when at most a hundredth of the values lies far above the others.
    """
    finite = values[np.isfinite(values)]
    first, largest = (int(finite.min()), int(finite.max())) if len(finite) else (0, 0)
    usual = math.ceil(np.quantile(finite, 0.99)) if len(finite) else 0
    # A value more than twice as large as the others would push their bars together.
    last = largest if largest <= max(2 * usual, first + 10) else usual
    if last - first < _LEAST_BINS - 1:
        # One bar alone would fill the plot, and its place would mean nothing.
        first = max(0, first - (_LEAST_BINS - 1 - last + first) // 2)
        last = first + _LEAST_BINS - 1
    width = next(w for w in _nice_steps() if (last - first) // w < _MOST_BINS)
    first -= first % width
    count = (last - first) // width + 1
    edges = (first + width * np.arange(count + 1)).astype(float)
    starts = [int(edge) for edge in edges[:-1]]
    names = [f"{start:,}" if width == 1 else f"{start:,} to {start + width - 1:,}" for start in starts]
    every = next(step for step in _nice_steps() if (count - 1) // step < _MOST_TICKS)
    # The number of a bin for one value stands below its bar, that of a range at the left end.
    shift = 0.5 if width == 1 else 0.0
    ticks = [(i + shift, f"{starts[i]:,}") for i in range(0, count, every)]
    if largest >= edges[-1]:
        names[-1] = f"{starts[-1]:,} to {largest:,}"
        ticks = [*(tick for tick in ticks if tick[0] <= count - 1 - every / 2), (count - 0.5, f"≥ {starts[-1]:,}")]
    return Bins(edges, names, ticks)


def histogram(label: str, bins: Bins, series: Sequence[Series]) -> Markup:
    """An SVG element with a bar for each bin, in which the series stand one on another.

    **Arguments:**

    - `label`: describes the plot in words for people who cannot see it.
    - `bins`: the bars.
    - `series`: the values to count, from the axis upwards.

    **Returns:** the element, as wide as its parent.
    """
    counts = [bins.count(one.values) for one in series]
    highest = int(np.sum(counts, axis=0).max()) if counts else 0
    step = next(width for width in _nice_steps() if 4 * width >= highest)
    top = max(step, math.ceil(highest / step) * step)
    bin_width = (_WIDTH - _LEFT - _RIGHT) / len(bins.names)

    def across(place: float) -> str:
        return f"{_LEFT + place * bin_width:.1f}"

    def up(count: Number) -> float:
        return _HEIGHT - _BOTTOM - count / top * (_HEIGHT - _TOP - _BOTTOM)

    columns = []
    for i, name in enumerate(bins.names):
        here = [int(column[i]) for column in counts]
        ends = list(itertools.accumulate(here))
        bars = [
            {
                "x": across(i + _GAP / 2),
                "y": f"{up(end):.1f}",
                "width": f"{bin_width * (1 - _GAP):.1f}",
                "height": f"{up(end - count) - up(end):.1f}",
                "color": one.color,
            }
            for one, count, end in zip(series, here, ends, strict=True)
            if count
        ]
        if bars:
            said = ", ".join(f"{count:,} {one.name}" for one, count in zip(series, here, strict=True))
            columns.append({"title": f"{name}: {said}", "bars": bars})
    return render(
        "histogram.svg",
        label=label,
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        lines=[{"y": f"{up(count):.1f}", "text": f"{count:,}"} for count in range(0, top + 1, step)],
        ticks=[(across(place), text) for place, text in bins.ticks],
        columns=columns,
    )


def _nice_steps() -> list[int]:
    return [digit * 10**power for power in range(16) for digit in (1, 2, 5)]


def _range_names(edges: Float[np.ndarray, "_"]) -> list[str]:
    return [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
