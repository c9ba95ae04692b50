"""Words to lines, and lines in reading order."""

import numpy as np
import pytest

from dbnet_jax.recognition.lines import group_lines, reading_order


def box(left: float, top: float, width: float, height: float = 10, turn: float = 0.0) -> np.ndarray:
    corners = np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]], float)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (corners @ matrix).astype(np.float32)


@pytest.mark.parametrize("turn", [0.0, 0.3, -0.4])
def test_words_side_by_side_are_a_line(turn):
    words = [
        box(60, 0, 40, turn=turn),
        box(0, 1, 50, turn=turn),
        box(112, 0, 30, turn=turn),
        box(0, 16, 90, turn=turn),  # the next line
        box(200, 0, 30, turn=turn),  # far away
        box(95, 15, 60, 30, turn=turn),  # much higher
    ]
    assert sorted(group_lines(words)) == [[1, 0, 2], [3], [4], [5]]


def test_no_words_no_lines():
    assert group_lines([]) == []
    assert reading_order(np.zeros((0, 4))) == []


def lines_of(rows: list[tuple[float, float, float]]) -> np.ndarray:
    return np.array([[left, top, left + width, top + 10] for left, top, width in rows], float)


def test_columns_are_read_one_after_another_and_titles_before_them():
    rows = [(0, 0, 300), (0, 20, 140), (0, 35, 140), (0, 50, 130), (160, 22, 140), (160, 37, 140), (160, 52, 140)]
    shuffled = [4, 2, 0, 6, 1, 5, 3]
    order = reading_order(lines_of([rows[i] for i in shuffled]))
    assert [shuffled[i] for i in order] == list(range(7))


def test_a_receipts_prices_are_read_with_their_rows():
    rows = [(0, 0, 80), (250, 1, 30), (0, 20, 120), (250, 19, 30), (0, 40, 60), (250, 40, 30)]
    assert reading_order(lines_of(rows)) == list(range(6))


def test_columns_between_a_heading_and_a_table_are_read_down():
    heading = [(0, 0, 700, 20)]
    columns = [(x, y, x + 300, y + 20) for y in (40, 70, 100) for x in (0, 400)]
    table = [(x, y, x + 60, y + 20) for y in (140, 170) for x in (0, 320, 640)]
    order = reading_order(np.array(heading + columns + table, np.float64))
    assert order == [0, 1, 3, 5, 2, 4, 6, *range(7, 13)]
