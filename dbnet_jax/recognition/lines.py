"""From words to lines, and to the order in which they are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dbnet_jax.images.crops import text_sides
from dbnet_jax.typing import Polygon

_GAP = 1.6  # heights between two words of a line, at most
_OFF = 0.5  # heights that the next word may lie above or below
_RATIO = 1.8  # of the heights of two words of a line
_TURN = np.radians(25)  # between the directions of two words of a line
_COLUMN_GAP = 1.0  # heights between two columns, at least
_COLUMN_WIDTH = 5.0  # heights of a column's lines, at least: narrower ones are a table's
_AT_ONCE = 256  # words whose distances to all others are computed together


@dataclass(frozen=True)
class _Place:
    """Where a word stands: its ends, its direction and its height, in pixels."""

    start: Float[np.ndarray, "2"]
    end: Float[np.ndarray, "2"]
    direction: Float[np.ndarray, "2"]
    height: float


@dataclass(frozen=True)
class _Column:
    """Lines above each other: from where to where they reach, in pixels, how many they are, and how many are long."""

    left: float
    right: float
    lines: int
    long: int

    @property
    def is_read_down(self) -> bool:
        """Whether they are text, which is read line by line, and not the cells of a table."""
        return self.lines > 1 and 2 * self.long >= self.lines


def _place(polygon: Polygon) -> _Place:
    upper, lower = text_sides(polygon)
    middle = (upper + lower) / 2
    direction = middle[-1] - middle[0]
    length = max(float(np.linalg.norm(direction)), 1e-6)
    height = float(np.linalg.norm(upper - lower, axis=1).mean())
    return _Place(middle[0], middle[-1], direction / length, max(height, 1.0))


def group_lines(polygons: Sequence[Polygon]) -> list[list[int]]:
    """The words of each line, from its beginning on.

    A word's follower is the nearest one behind its end of about the same height and direction, at the same height.
    """
    places = [_place(polygon) for polygon in polygons]
    follower: dict[int, int] = {}
    leader: dict[int, int] = {}
    for i, j in _neighbours(places):
        if i not in follower and j not in leader and not _leads_to(follower, j, i):
            follower[i], leader[j] = j, i
    lines = []
    for start in range(len(places)):
        if start in leader:
            continue
        line = [start]
        while line[-1] in follower:
            line.append(follower[line[-1]])
        lines.append(line)
    return lines


def _neighbours(places: Sequence[_Place]) -> list[tuple[int, int]]:
    """Pairs of words that may follow each other on a line, the closest first: a word, and one behind its end."""
    if not places:
        return []
    starts, ends, directions = (
        np.array([getattr(place, name) for place in places]) for name in ("start", "end", "direction")
    )
    heights = np.array([place.height for place in places])
    pairs: list[tuple[float, int, int]] = []
    # All words against all of a page of 10,000 would need gigabytes.
    for begin in range(0, len(places), _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        low, high = np.minimum.outer(heights[some], heights), np.maximum.outer(heights[some], heights)
        # From the end of word i to the beginning of word j, in heights.
        steps = (starts[None] - ends[some, None]) / ((low + high) / 2)[..., None]
        along = (steps * directions[some, None]).sum(-1)
        across = steps[..., 1] * directions[some, None, 0] - steps[..., 0] * directions[some, None, 1]
        alike = (high <= _RATIO * low) & (directions[some] @ directions.T >= np.cos(_TURN))
        near = (along > -0.7) & (along < _GAP) & (np.abs(across) < _OFF)
        first, second = np.nonzero(alike & near)
        gaps = np.abs(along[first, second])
        pairs += zip(gaps.tolist(), (first + begin).tolist(), second.tolist(), strict=True)
    return [(i, j) for _, i, j in sorted(pairs) if i != j]


def _leads_to(follower: dict[int, int], start: int, goal: int) -> bool:
    while start in follower:
        start = follower[start]
        if start == goal:
            return True
    return start == goal


def reading_order(boxes: Float[np.ndarray, "lines 4"]) -> list[int]:
    """The order in which lines are read: rows from the top down, and one column after another.

    A gap from top to bottom parts columns where the lines on both sides are long; short ones, as the prices of a
    receipt, are read row by row.

    **Arguments:** `boxes`: left, top, right, bottom of each line, in pixels.
    """
    return _order(boxes, list(range(len(boxes))))


def _order(boxes: Float[np.ndarray, "lines 4"], mine: list[int]) -> list[int]:
    if len(mine) < 2:
        return mine
    height = float(np.median(boxes[mine, 3] - boxes[mine, 1]))
    columns = _parts(boxes, mine, 0, _COLUMN_GAP * height)
    if len(columns) > 1 and all(_column(boxes, column).is_read_down for column in columns):
        return [one for column in columns for one in _order(boxes, column)]
    rows = _parts(boxes, mine, 1, 0.0)
    if len(rows) > 1:
        return _order_rows(boxes, rows)
    return sorted(mine, key=lambda i: (round(float(boxes[i, 1] + boxes[i, 3]) / 2 / height), float(boxes[i, 0])))


def _order_rows(boxes: Float[np.ndarray, "lines 4"], rows: list[list[int]]) -> list[int]:
    """Rows in turn; neighbouring rows that together fall into columns are read column by column."""
    every = [one for row in rows for one in row]
    gap = _COLUMN_GAP * float(np.median(boxes[every, 3] - boxes[every, 1]))
    lines = {one: _column(boxes, [one]) for one in every}
    order: list[int] = []
    start = 0
    while start < len(rows):
        end = _end_of_columns(lines, rows, start, gap)
        if end > start:
            run = [one for row in rows[start:end] for one in row]
            order += [one for column in _parts(boxes, run, 0, gap) for one in _order(boxes, column)]
            start = end
        else:
            order += sorted(rows[start], key=lambda i: float(boxes[i, 0]))
            start += 1
    return order


def _end_of_columns(lines: dict[int, _Column], rows: list[list[int]], start: int, gap: float) -> int:
    """The end of the longest run of two and more rows, from `start` on, that has columns; `start` if none has."""
    whole = _joined([lines[i] for row in rows[start:] for i in row])
    columns: list[_Column] = []
    end = start
    # The columns grow row by row: to find them anew for each run takes the third power of the rows of a table.
    for at in range(start, len(rows)):
        for i in rows[at]:
            columns = _with_line(columns, lines[i], gap)
        if len(columns) == 1 and columns[0].left - whole.left <= gap and whole.right - columns[0].right <= gap:
            break  # No row that follows can part it.
        if at > start and len(columns) > 1 and all(column.is_read_down for column in columns):
            end = at + 1
    return end


def _with_line(columns: list[_Column], line: _Column, gap: float) -> list[_Column]:
    """The columns and one more line: it joins those that lie within `gap` of it."""
    apart = [column for column in columns if column.left - line.right > gap or line.left - column.right > gap]
    near = [column for column in columns if column not in apart]
    return [*apart, _joined([*near, line])]


def _column(boxes: Float[np.ndarray, "lines 4"], lines: Sequence[int]) -> _Column:
    left, top, right, bottom = boxes[lines].T
    long = (right - left) >= _COLUMN_WIDTH * np.maximum(bottom - top, 1)
    return _Column(float(left.min()), float(right.max()), len(lines), int(long.sum()))


def _joined(columns: Sequence[_Column]) -> _Column:
    return _Column(
        min(column.left for column in columns),
        max(column.right for column in columns),
        sum(column.lines for column in columns),
        sum(column.long for column in columns),
    )


def _parts(boxes: Float[np.ndarray, "lines 4"], mine: list[int], axis: int, least: float) -> list[list[int]]:
    """The lines in groups that gaps of more than `least` pixels part, across the whole of `mine`."""
    order = sorted(mine, key=lambda i: float(boxes[i, axis]))
    parts, reach = [[order[0]]], float(boxes[order[0], axis + 2])
    for i in order[1:]:
        if float(boxes[i, axis]) - reach > least:
            parts.append([])
        parts[-1].append(i)
        reach = max(reach, float(boxes[i, axis + 2]))
    return parts
