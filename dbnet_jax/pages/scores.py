"""The scores on a results page: tables of recall, and the curve of precision over recall."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dbnet_jax.evaluation.breakdown import SIZES, ScoreReport
from dbnet_jax.geometry import Number
from dbnet_jax.pages.page import render, row

_WIDTH, _HEIGHT, _MARGIN = 340, 230, 34  # of the curve, in pixels


def score_sections(report: ScoreReport) -> Markup:
    """Recall by size and by shape, and precision over recall with a mark at the best box threshold, as HTML."""
    tables = [
        _table("Recall by size", _size_labels(), report.by_size),
        _table("Recall by shape", {name: name for name in report.by_shape}, report.by_shape),
    ]
    curve = _curve(report.sweep, report.best_box_threshold) if report.sweep else None
    return render("scores.html", tables=tables, curve=curve)


def shown_pictures_row(shown: int, all_pictures: int) -> dict[str, str]:
    """The header's row that says which pictures the page shows."""
    which = "all" if shown == all_pictures else f"{shown} of {all_pictures}"
    return {"shown": f"{which}, those with the most errors first"}


def matches_of(report: ScoreReport, picture: int) -> dict[str, Any]:
    """The scores, matches and errors of one picture of the report, as arguments of `ResultPicture`."""
    entry, errors = report.scores.per_image[picture], report.errors[picture]
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


def _table(title: str, labels: Mapping[str, str], recalls: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    return {
        "title": title,
        "rows": [
            {"name": labels[name], "recall": row("recall", entry["recall"]).value, "truths": entry["truths"]}
            for name, entry in recalls.items()
        ],
    }


def _curve(sweep: Sequence[Mapping[str, float]], best: float | None) -> dict[str, object]:
    """Precision over recall, one point a threshold; the axes run from 0 to 1."""
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN

    def place(recall: Number, precision: Number) -> tuple[str, str]:
        return f"{_MARGIN + recall * across:.1f}", f"{_HEIGHT - _MARGIN - precision * down:.1f}"

    right, top = place(1, 1)
    left, bottom = place(0, 0)
    mark, words = None, f"box thresholds from {sweep[0]['threshold']:g} upward"
    for point in sweep:
        if point["threshold"] == best:
            mark = place(point["recall"], point["precision"])
            words = f"best hmean {point['hmean']:.3f} at box threshold {best:g}; {words}"
    return {
        **{"width": _WIDTH, "height": _HEIGHT, "left": left, "right": right, "top": top, "bottom": bottom},
        "ticks": [(*place(tick, tick), f"{tick:g}") for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)],
        "points": [place(point["recall"], point["precision"]) for point in sweep],
        "best": mark,
        "words": words,
    }
