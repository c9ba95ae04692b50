"""Text set in type: one word, a line, a column or a paragraph, with the box of every word and line."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from input_pipeline.datasets.rendered.scenes.fonts import Font

# Left, top, right, bottom, in pixels of the block. Right and bottom are the first pixels outside.
Box = tuple[float, float, float, float]
_INK = 64  # of 255; weaker pixels at the rim of a letter do not widen its box
_MARGIN = 0.05  # around the ink, in heights of the ink


@dataclasses.dataclass(frozen=True)
class _Word:
    """A written word: its letters, the box of their ink, and the width that the font gives it."""

    text: str
    letters: UInt8[np.ndarray, "_ _"]
    ink: tuple[int, int, int, int]
    advance: int

    @property
    def margin(self) -> float:
        """The margin of the box around the ink, in pixels."""
        return max(1.0, _MARGIN * (self.ink[3] - self.ink[1]))


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a block.

    **Arguments:**

    - `words`: the text of each word.
    - `boxes`: the box of each word's ink, with a little margin.
    """

    words: list[str]
    boxes: list[Box]

    @property
    def box(self) -> Box:
        """The box around all words."""
        left, top, right, bottom = zip(*self.boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    @property
    def text(self) -> str:
        """The words, with single spaces."""
        return " ".join(self.words)


@dataclasses.dataclass(frozen=True)
class Block:
    """Text in type.

    **Arguments:**

    - `letters`: the opacity of the letters, in [0, 255]. The array has the size of the block: ink and a little margin.
    - `lines`: from the top down.
    - `letter_share`: the height of the letters divided by the height of a line's box, in (0, 1]. It is less than 1 in a
        column, because its box contains all letters.
    """

    letters: UInt8[np.ndarray, "height width"]
    lines: list[Line]
    letter_share: float = 1.0

    @functools.cached_property
    def line_height(self) -> float:
        """The mean height of the lines, or of a column's letters, in pixels of the block."""
        return self.letter_share * _mean_height(self.lines)

    def grown(self, margin: float) -> "Block":
        """The same letters in boxes that are larger by `margin` pixels on each side, as far as they do not meet."""
        if not margin:
            return self
        lines = []
        for line, around in zip(self.lines, _room([line.box for line in self.lines], margin), strict=True):
            room = np.minimum(_room(line.boxes, margin), around)
            boxes = np.array(line.boxes) + np.concatenate([-room, room], axis=1)
            lines.append(Line(line.words, [(left, top, right, bottom) for left, top, right, bottom in boxes.tolist()]))
        return Block(self.letters, lines, self.line_height / _mean_height(lines))

    def padded(self, room: int) -> "Block":
        """The block with `room` more pixels without ink on each side."""
        letters = cv2.copyMakeBorder(self.letters, room, room, room, room, cv2.BORDER_CONSTANT, value=(0,))
        lines = [Line(line.words, _moved(line.boxes, room, room)) for line in self.lines]
        return Block(np.asarray(letters, np.uint8), lines, self.letter_share)


def set_lines(
    lines: Sequence[Sequence[str]],
    font: Font,
    size: int,
    *,
    align: float = 0.0,
    leading: float = 1.25,
    space: float = 0.3,
) -> Block | None:
    """Sets lines of words, each on its own baseline.

    **Arguments:**

    - `lines`: the words of each line, at least one.
    - `size`: the size of the font, in pixels.
    - `align`: the place of shorter lines: 0 left, 0.5 centred, 1 right.
    - `leading`: the distance from baseline to baseline, in font sizes.
    - `space`: the space between words, in font sizes. Twice the font's tracking is added.

    **Returns:** the block; None if it leaves no ink.
    """
    # Twice the tracking: words stay apart where letters stand far apart.
    gap = round((space + 2 * font.tracking) * size)
    written = [[word for word in (_write(text, font, size) for text in line) if word] for line in lines]
    written = [line for line in written if line]
    if not written:
        return None
    starts, tops = [_starts(line, gap) for line in written], _tops(written, round(size * leading))
    widths = [xs[-1] + line[-1].advance for xs, line in zip(starts, written, strict=True)]
    # Letters may reach beyond the width that the font gives them, by less than a font size.
    page = np.zeros((tops[-1] + 2 * size, max(widths) + 3 * size), np.uint8)
    rows = []
    for line, xs, width, y in zip(written, starts, widths, tops, strict=True):
        indent = round(align * (max(widths) - width))
        boxes = [_copy(word, page, start + indent, y) for word, start in zip(line, xs, strict=True)]
        rows.append(Line([word.text for word in line], boxes))
    return _trim(page, rows)


def set_column(text: str, font: Font, size: int, leading: float = 1.1) -> Block | None:
    """Sets letters one below the other: a word that is read downwards. **Returns:** None if they leave no ink.

    **Arguments:**

    - `leading`: the distance from letter to letter, in font sizes.
    """
    column = set_lines([[letter] for letter in text if letter.strip()], font, size, align=0.5, leading=leading)
    if column is None:
        return None
    height, width = column.letters.shape
    # The highest letter decides, as in a line.
    letter = max(line.box[3] - line.box[1] for line in column.lines)
    return Block(column.letters, [Line([text], [(0.0, 0.0, float(width), float(height))])], min(1.0, letter / height))


def join(parts: Sequence[tuple[Block, int, int]]) -> Block:
    """One block of several, each with its left and top pixel (not negative). Their boxes must be apart."""
    height = max(top + block.letters.shape[0] for block, _, top in parts)
    width = max(left + block.letters.shape[1] for block, left, _ in parts)
    page, lines = np.zeros((height, width), np.uint8), []
    for block, x, y in parts:
        target = page[y : y + block.letters.shape[0], x : x + block.letters.shape[1]]
        np.maximum(target, block.letters, out=target)
        lines += [Line(line.words, _moved(line.boxes, x, y)) for line in block.lines]
    return Block(page, lines, float(np.mean([block.letter_share for block, _, _ in parts])))


def _moved(boxes: Sequence[Box], x: int, y: int) -> list[Box]:
    return [(left + x, top + y, right + x, bottom + y) for left, top, right, bottom in boxes]


def _mean_height(lines: Sequence[Line]) -> float:
    return float(np.mean([line.box[3] - line.box[1] for line in lines]))


def _room(boxes: Sequence[Box], margin: float) -> Float[np.ndarray, "boxes 2"]:
    """By how much each box may grow, sideways and up and down: `margin`, or to the middle of the gap to another box."""
    low, high = np.split(np.array(boxes, np.float64), 2, axis=1)
    gaps = np.maximum(low[:, None] - high, low - high[:, None])
    # Two boxes stay apart if they do in the direction in which they are farthest apart.
    separate = (gaps >= 0) & (gaps == gaps.max(axis=2, keepdims=True))
    return np.minimum(margin, np.where(separate, gaps / 2, np.inf).min(axis=1))


def _starts(words: Sequence[_Word], gap: int) -> list[int]:
    """The starts of the words of a line: `gap` pixels apart, or more if their boxes would touch."""
    starts = [0]
    for before, word in pairwise(words):
        free = starts[-1] + before.ink[2] + before.margin + 1
        starts.append(max(starts[-1] + before.advance + gap, math.ceil(free + word.margin - word.ink[0])))
    return starts


def _tops(lines: Sequence[Sequence[_Word]], step: int) -> list[int]:
    """The tops of the lines: `step` pixels apart, or more if their boxes would touch."""
    tops = [0]
    for before, line in pairwise(lines):
        free = tops[-1] + max(word.ink[3] + word.margin for word in before)
        highest = min(word.ink[1] - word.margin for word in line)
        tops.append(max(tops[-1] + step, math.ceil(free - highest)))
    return tops


def _write(text: str, font: Font, size: int) -> _Word | None:
    tracking = round(font.tracking * size)
    letters = np.zeros((2 * size, round((1.5 * size + tracking) * len(text)) + 2 * size), np.uint8)
    end = size
    # Only spaced letters are written one by one: a whole word keeps its kerning and its joins.
    for part in text if tracking else [text]:
        end = font.write(letters, part, end, round(1.35 * size), size) + tracking
    left, top, width, height = cv2.boundingRect((letters >= _INK).astype(np.uint8))
    if not width:
        return None
    return _Word(text, letters[:, : left + width + 2], (left, top, left + width, top + height), end - tracking - size)


def _copy(word: _Word, page: UInt8[np.ndarray, "_ _"], x: int, y: int) -> Box:
    """Copies a word to (x, y) of a page, in place; returns its box there."""
    target = page[y : y + word.letters.shape[0], x : x + word.letters.shape[1]]
    np.maximum(target, word.letters[: target.shape[0], : target.shape[1]], out=target)
    left, top, right, bottom = word.ink
    return x + left - word.margin, y + top - word.margin, x + right + word.margin, y + bottom + word.margin


def _trim(page: UInt8[np.ndarray, "_ _"], lines: Sequence[Line]) -> Block:
    """The block of the written lines, cut to their boxes."""
    edges = np.array([line.box for line in lines])
    left, top = np.maximum(np.floor(edges[:, :2].min(0)).astype(int), 0).tolist()
    right, bottom = np.ceil(edges[:, 2:].max(0)).astype(int).tolist()
    moved = [Line(line.words, _moved(line.boxes, -left, -top)) for line in lines]
    return Block(np.ascontiguousarray(page[top:bottom, left:right]), moved)
