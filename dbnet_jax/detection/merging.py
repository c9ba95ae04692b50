"""One set of polygons from several looks at a picture, in which no text is found twice."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import shapely
from jaxtyping import Bool

from dbnet_jax.detection.text_size import LEAST, MOST, height_of
from dbnet_jax.geometry import Polygon
from dbnet_jax.geometry.overlap import shared_areas
from dbnet_jax.geometry.validity import as_shapes
from dbnet_jax.postprocess import Detections

# Polygons of two looks are the same text if they share more than this part of the smaller one.
SAME_TEXT = 0.5
# Pieces that cover less of a polygon never displace it.
_COVERED = 1 / 3
# A text that fills less of the rectangle around it is curved.
_STRAIGHT = 0.6
# Pieces of one row are at least as tall as this part of the row, and as thick as that: a letter is narrow.
_ROW_EXTENT, _ROW_HEIGHT = 0.6, 0.4


class FoundAt(NamedTuple):
    """The text that one look found. `scale`: pixels of the network's input for one pixel of the picture."""

    detections: Detections
    scale: float


def merge_looks(looks: Sequence[FoundAt], text_height: float) -> Detections:
    """The text that several looks found.

    A look counts for text whose height in it is between 0.7 and 2.5 × `text_height`. The look at the smallest size also
    counts for taller text, and the one at the largest size for lower text. If looks are so far apart that a height
    would be in none, the larger look counts for it.

    Polygons of two looks are the same text if they share more than half of the smaller one. Only one look's polygons
    are kept of it.

    - Two polygons that are alike (IoU over 0.5): the one is kept whose height in its look fits `text_height` better.
    - A polygon and its pieces: the polygon is kept, as a line is kept and not its words. The pieces are kept instead if
        they cover a third of it and lie in several rows: a small size makes one blob of a page.
    - Several polygons and several: those are kept whose heights fit better.

    **Arguments:**

    - `looks`: one or more. The polygons are in pixels of the picture.
    - `text_height`: in pixels of the network's input: the height of text that the network detects best.

    **Returns:** the polygons that are kept, with their scores; the polygons of a single look as they are. The notes of
    all looks; `left_out` of the look with the most.
    """
    if len(looks) == 1:
        return looks[0].detections
    looks = sorted(looks, key=lambda look: look.scale)
    counted = map(_texts, looks, _heights([look.scale for look in looks], text_height))
    texts = functools.reduce(functools.partial(_merge, text_height=text_height), counted)
    found = [look.detections for look in looks]
    most = max(found, key=lambda one: one.left_out)
    # The last note is on the regions that are left out.
    notes = [note for one in found for note in (one.notes[:-1] if one.left_out else one.notes)]
    left_out = most.notes[-1:] if most.left_out else ()
    scores = np.array([text.score for text in texts], np.float32)
    return Detections([text.polygon for text in texts], scores, (*dict.fromkeys(notes), *left_out), most.left_out)


def _heights(scales: Sequence[float], text_height: float) -> list[tuple[float, float]]:
    """The heights of text, in pixels of the network's input, for which each look counts. `scales` are rising."""
    least, most = LEAST * text_height, MOST * text_height
    tallest = [np.inf, *(max(most, least * scale / below) for below, scale in itertools.pairwise(scales))]
    return [(least if one < scales[-1] else 0.0, highest) for one, highest in zip(scales, tallest, strict=True)]


class _Text(NamedTuple):
    """A polygon, with the height that its text has in its look, in pixels of the network's input."""

    polygon: Polygon
    score: float
    height: float
    area: float
    shape: Any  # of shapely


def _texts(look: FoundAt, heights: tuple[float, float]) -> list[_Text]:
    """The polygons of a look whose height is between these `heights`."""
    (found, scale), (least, most) = look, heights
    all_heights = [max(1.0, float(scale) * height_of(polygon)) for polygon in found.polygons]
    shapes = as_shapes(found.polygons)
    texts = map(_Text, found.polygons, found.scores.tolist(), all_heights, shapely.area(shapes).tolist(), shapes)
    return [text for text in texts if least <= text.height <= most]


def _merge(texts: list[_Text], others: list[_Text], text_height: float) -> list[_Text]:
    """The texts of both, without those that the other ones displace."""
    shared = shared_areas(*(np.array([text.shape for text in some], object) for some in (texts, others)))
    smaller = np.minimum(*np.ix_(*([text.area for text in some] for some in (texts, others))))
    displaced: set[int] = set()
    for rows, columns in _groups(shared > SAME_TEXT * smaller):
        ones, twos = [texts[row] for row in rows], [others[column] for column in columns]
        stays = _prefers(ones, twos, float(shared[np.ix_(rows, columns)].sum()), text_height)
        displaced |= {id(text) for text in (twos if stays else ones)}
    return [text for text in (*texts, *others) if id(text) not in displaced]


def _prefers(ones: Sequence[_Text], others: Sequence[_Text], shared: float, text_height: float) -> bool:
    """Whether `ones` are kept and not `others`, which are the same text.

    **Arguments:** `shared`: the area of their intersections in square pixels.
    """
    area, other_area = sum(text.area for text in ones), sum(text.area for text in others)
    alike = len(ones) == len(others) == 1 and shared > (area + other_area - shared) / 2
    if alike or min(len(ones), len(others)) > 1:
        return _misfit(ones, text_height) <= _misfit(others, text_height)
    whole_first = len(others) > 1 or (len(ones) == 1 and area > other_area)
    (whole,), pieces = (ones, others) if whole_first else (others, ones)
    in_rows = len(pieces) > 1 and not _in_one_row(whole, pieces)
    displaced = in_rows and shared >= _COVERED * whole.area
    return displaced != whole_first


def _misfit(texts: Sequence[_Text], text_height: float) -> float:
    """How far the heights are from `text_height`: the mean of |log ratio|, weighted by area."""
    ratios = [abs(np.log(text.height / text_height)) for text in texts]
    return float(np.average(ratios, weights=[text.area for text in texts]))


def _in_one_row(whole: _Text, pieces: Sequence[_Text]) -> bool:
    """Whether a text is one row of its pieces, as a line is of its words; False for a blob of several rows."""
    (_, sides, degrees) = cv2.minAreaRect(np.asarray(whole.polygon, np.float32))
    angle = np.deg2rad(degrees + 90 * (sides[0] > sides[1]))
    across = np.array([np.cos(angle), np.sin(angle)])  # along the shorter side
    straight = whole.area > _STRAIGHT * sides[0] * sides[1]
    height = min(sides) if straight else height_of(whole.polygon)
    extents = [np.ptp(piece.polygon @ across) for piece in pieces]
    heights = [height_of(piece.polygon) for piece in pieces]
    return bool(np.median(extents) >= _ROW_EXTENT * height and np.median(heights) >= _ROW_HEIGHT * height)


def _groups(same: Bool[np.ndarray, "texts others"]) -> list[tuple[list[int], list[int]]]:
    """The texts (rows) and others (columns) that are the same text, directly or through others."""
    rows, columns = np.nonzero(same)
    group, other_group = np.arange(same.shape[0]), np.full(same.shape[1], -1)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        joined = other_group[column]
        if joined >= 0:
            group[group == joined] = group[row]
            other_group[other_group == joined] = group[row]
        other_group[column] = group[row]
    return [
        (np.flatnonzero(group == one).tolist(), np.flatnonzero(other_group == one).tolist())
        for one in np.unique(other_group[other_group >= 0])
    ]
