"""Histograms as SVG to stand inside of a page: no script, and the page's own ink, in light and in dark."""

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
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 24  # margins, which hold the axes' numbers
_GAP = 0.12  # of a bin's width, between two bars
_LEAST_BINS, _MOST_BINS = 8, 40
_MOST_TICKS = 9
_LARGEST_OCTAVE = 24


@dataclass(frozen=True)
class Series:
    """Some of the values: what they are called, and the colour of their bars (RGB)."""

    name: str
    values: Values
    color: Color


@dataclass(frozen=True)
class Bins:
    """The bars' ranges, which are of equal width on the page.

    **Arguments:**

    - `edges`: ascending; bin i holds edges[i] ≤ value < edges[i + 1]. What lies below the first or from the last edge
        on is counted in the first and the last bin.
    - `names`: of each bin, for who points at its bar.
    - `ticks`: places on the axis, counted in bins from its left end, and what is written there.
    """

    edges: Float[np.ndarray, "_"]
    names: list[str]
    ticks: list[tuple[float, str]]

    def count(self, values: Values) -> Int[np.ndarray, "_"]:
        """How many of the values lie in each bin; those that are not finite lie in none."""
        finite = values[np.isfinite(values)]
        places = np.searchsorted(self.edges, finite, side="right") - 1
        return np.bincount(np.clip(places, 0, len(self.names) - 1), minlength=len(self.names))


def octave_bins(values: Values) -> Bins:
    """Half an octave each, from 1 or the power of 2 below the least value to that above the largest."""
    powers = np.log2(np.clip(values[np.isfinite(values)], 1, 2.0**_LARGEST_OCTAVE))
    first = math.floor(powers.min(initial=_LARGEST_OCTAVE)) if len(powers) else 0
    last = max(first + 1, math.floor(powers.max(initial=0)) + 1)
    edges = 2.0 ** (np.arange(2 * first, 2 * last + 1) / 2)
    every = next(step for step in (1, 2, 3, 4) if (last - first) // step < _MOST_TICKS)
    ticks = [(2.0 * octave, f"{2 ** (first + octave):,}") for octave in range(0, last - first + 1, every)]
    return Bins(edges, _range_names(edges), ticks)


def even_bins(low: Number, high: Number, count: int) -> Bins:
    """`count` bins from `low` to `high`, with a number at every second to tenth edge.

    **Raises:** ValueError when `low` is not below `high`, or there is no bin.
    """
    if not low < high or count < 1:
        raise ValueError(f"`low` (={low}) must be below `high` (={high}), and `count` (={count}) positive")
    edges = np.linspace(low, high, count + 1)
    steps = [step for step in range(1, count + 1) if count % step == 0 and count // step < _MOST_TICKS]
    return Bins(edges, _range_names(edges), [(float(i), f"{edges[i]:g}") for i in range(0, count + 1, steps[0])])


def whole_bins(values: Values) -> Bins:
    """For numbers that are whole and not negative: a bin each where they are few, wider ones where they are not.

    The last bin is open where a hundredth of the values or less lies far beyond the others.
    """
    finite = values[np.isfinite(values)]
    first, largest = (int(finite.min()), int(finite.max())) if len(finite) else (0, 0)
    usual = math.ceil(np.quantile(finite, 0.99)) if len(finite) else 0
    # A little beyond is shown; what is twice as far as the others would push them together.
    last = largest if largest <= max(2 * usual, first + 10) else usual
    if last - first < _LEAST_BINS - 1:
        # One bar alone would fill the plot and say nothing of its place.
        first = max(0, first - (_LEAST_BINS - 1 - last + first) // 2)
        last = first + _LEAST_BINS - 1
    width = next(w for w in _nice_steps() if (last - first) // w < _MOST_BINS)
    first -= first % width
    count = (last - first) // width + 1
    edges = (first + width * np.arange(count + 1)).astype(float)
    starts = [int(edge) for edge in edges[:-1]]
    names = [f"{start:,}" if width == 1 else f"{start:,} to {start + width - 1:,}" for start in starts]
    every = next(step for step in _nice_steps() if (count - 1) // step < _MOST_TICKS)
    # One number stands below its bar, the first of many at its left end.
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
