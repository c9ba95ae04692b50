"""The part of the results page that says where a detector is good: tables of recall and a curve, as HTML and SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dbnet_jax.evaluation.breakdown import SIZES, ScoreReport
from dbnet_jax.geometry import Number

_WIDTH, _HEIGHT, _MARGIN = 340, 230, 34  # of the curve, in pixels


def score_sections(report: ScoreReport) -> str:
    """Recall by size and by shape, and precision over recall with the best box threshold marked."""
    by_size = _table("Recall by size", _size_labels(), report.by_size)
    by_shape = _table("Recall by shape", {name: name for name in report.by_shape}, report.by_shape)
    curve = _curve(report.sweep, report.best_box_threshold) if report.sweep else ""
    return f'<div class="scores"><div class="tables">{by_size}{by_shape}</div>{curve}</div>'


def shown_note(shown: int, all_pictures: int) -> dict[str, str]:
    """What a page's header says of the pictures below."""
    which = "all" if shown == all_pictures else f"{shown} of {all_pictures}"
    return {"shown": f"{which}, those with the most errors first"}


def judgement(report: ScoreReport, row: int) -> dict[str, Any]:
    """What a `ResultPicture` shows of the scores of picture `row`."""
    entry, errors = report.scores.per_image[row], report.errors[row]
    return {
        **{key: entry[key] for key in ("precision", "recall", "hmean", "ignored_detections")},
        "matched_truths": [truth for truth, _ in entry["pairs"]],
        "matched_detections": [detection for _, detection in entry["pairs"]],
        "split": errors.split,
        "merged": errors.merged,
    }


def _size_labels() -> dict[str, str]:
    """For example "medium, 16 to 32 px"."""
    labels, low = {}, 0.0
    for name, bound in SIZES.items():
        span = f"under {bound:g}" if not low else f"{low:g} and more" if math.isinf(bound) else f"{low:g} to {bound:g}"
        labels[name], low = f"{name}, {span} px", bound
    return labels


def _table(title: str, labels: Mapping[str, str], recalls: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><th>{escape(labels[name])}</th><td>{'–' if row['recall'] is None else format(row['recall'], '.3f')}</td>"
        f"<td>{row['truths']}</td></tr>"
        for name, row in recalls.items()
    )
    head = "<tr><th></th><th>recall</th><th>truths</th></tr>"
    return f"<table><caption>{escape(title)}</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _curve(sweep: Sequence[Mapping[str, float]], best: float | None) -> str:
    """Precision over recall, one point a threshold; the axes run from 0 to 1."""
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN

    def place(recall: Number, precision: Number) -> tuple[str, str]:
        return f"{_MARGIN + recall * across:.1f}", f"{_HEIGHT - _MARGIN - precision * down:.1f}"

    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    right, top = place(1, 1)
    left, bottom = place(0, 0)
    grid = "".join(f"M{place(tick, 0)[0]} {bottom}V{top}M{left} {place(0, tick)[1]}H{right}" for tick in ticks)
    texts = "".join(
        f'<text x="{place(tick, 0)[0]}" y="{_HEIGHT - _MARGIN + 14}" text-anchor="middle">{tick:g}</text>'
        f'<text x="{_MARGIN - 6}" y="{place(0, tick)[1]}" dy="3" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    )
    line = "L".join(" ".join(place(point["recall"], point["precision"])) for point in sweep)
    marks, words = "", f"box thresholds from {sweep[0]['threshold']:g} upward"
    for point in sweep:
        if point["threshold"] == best:
            x, y = place(point["recall"], point["precision"])
            marks = f'<circle cx="{x}" cy="{y}" r="4"/>'
            words = f"best hmean {point['hmean']:.3f} at box threshold {best:g}; {words}"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="precision over recall, {escape(words)}">'
        f'<path class="grid" d="{grid}"/>{texts}<path class="curve" d="M{line}"/>{marks}'
        f'<text x="{_WIDTH / 2:g}" y="{_HEIGHT - 4}" text-anchor="middle">recall</text>'
        f'<text x="{_MARGIN - 24}" y="{_MARGIN - 14}">precision</text></svg>'
        f"<p>{escape(words)}</p></figure>"
    )
