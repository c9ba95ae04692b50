"""Histograms: every number is in one bar, and bars say what they hold."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.pages.plots import Series, even_bins, histogram, octave_bins, whole_bins

NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.integers(0, 60).map(float), max_size=30)


@settings(max_examples=30)
@given(NUMBERS)
def test_every_finite_number_is_in_one_bar_and_bars_are_as_high_as_their_counts(numbers):
    values = np.array(numbers, np.float64)
    finite = values[np.isfinite(values)]
    whole = np.abs(np.round(np.clip(finite, -1e9, 1e9)))
    for bins, counted in ((octave_bins(values), values), (even_bins(-3, 9, 12), values), (whole_bins(whole), whole)):
        counts = bins.count(counted)
        assert counts.sum() == len(finite)
        assert len(counts) == len(bins.names) == len(bins.edges) - 1 <= 60
        assert (np.diff(bins.edges) > 0).all()
        assert all(0 <= place <= len(counts) for place, _ in bins.ticks)
        assert len(bins.ticks) <= 10
        svg = ElementTree.fromstring(histogram("a & b", bins, [Series("<text>", counted, (1, 2, 3))]))
        heights = [float(bar.get("height")) for bar in svg.iter("rect")]
        present = counts[counts > 0]
        assert len(heights) == len(present)
        highest, most = max(heights, default=0), present.max(initial=0)
        np.testing.assert_allclose(np.array(heights) * most, present * highest, rtol=0.06, atol=0.2 * len(finite))


def test_series_stand_on_each_other_and_bars_say_their_numbers():
    series = [Series("text", np.array([1.0, 1.5, 5.0]), (1, 1, 1)), Series("ignored", np.array([1.2]), (2, 2, 2))]
    svg = ElementTree.fromstring(histogram("sizes", even_bins(0, 8, 4), series))
    assert [title.text for title in svg.iter("title")] == ["0 to 2: 2 text, 1 ignored", "4 to 6: 1 text, 0 ignored"]
    lower, upper, other = svg.iter("rect")
    assert float(upper.get("y")) + float(upper.get("height")) == pytest.approx(float(lower.get("y")), abs=0.11)
    assert lower.get("fill") == other.get("fill") == "rgb(1, 1, 1)"
    assert float(lower.get("height")) == pytest.approx(2 * float(other.get("height")), abs=0.21)


def test_bins_know_their_values():
    assert octave_bins(np.array([3.0, 8.0])).edges.tolist() == pytest.approx(
        [2, 2 * 2**0.5, 4, 4 * 2**0.5, 8, 8 * 2**0.5, 16]
    )
    few = whole_bins(np.array([4, 4, 14]))
    assert few.edges.tolist() == list(range(4, 16))
    assert few.ticks[0] == (0.5, "4")
    # One picture of hundreds does not push the others together.
    many = whole_bins(np.array([*range(20)] * 10 + [900]))
    assert many.names[0] == "0"
    assert many.ticks[-1][1] == f"≥ {int(many.edges[-2])}"
    assert many.count(np.array([900.0]))[-1] == 1
