"""Sheets of small print: pages, tables such as receipts, and screens."""

import math

import numpy as np

from input_pipeline.datasets.rendered.scenes.block import Block, join, set_lines
from input_pipeline.datasets.rendered.scenes.fonts import Font
from input_pipeline.datasets.rendered.scenes.ink import Color, Ink
from input_pipeline.datasets.rendered.scenes.vocabulary import UNSPACED, pick_words

_NARROWEST, _FEWEST = 12, 5  # font sizes and lines of a sheet


def pick_sheet_ink(rng: np.random.Generator) -> Ink:
    """Print on white or tinted paper, or on a screen, which may be dark."""
    dark = rng.random() < 0.25
    level, tint = rng.integers(0, 50) if dark else rng.integers(185, 250), rng.integers(-6, 7, 3)
    red, green, blue = np.clip(level + tint, 0, 255).tolist()
    color: Color = (red, green, blue)
    return Ink(
        contrast=float(rng.choice([45, 90, 140])),
        plate=float(rng.uniform(0.6, 2.5)),
        plate_color=color,
        border=bool(rng.random() < 0.2),
    )


def set_sheet(rng: np.random.Generator, script: str, font: Font, size: int, rows: int, width: int) -> Block | None:
    """Sets a page of paragraphs, in one or two columns, or a table, as of a receipt.

    **Arguments:**

    - `size`: the size of the font, in pixels.
    - `rows`, `width`: the most lines, and the greatest width in font sizes. The sheet takes half of them or more.

    **Returns:** the sheet; None if so few lines or so narrow ones are no sheet.
    """
    if rows < _FEWEST or width < _NARROWEST:
        return None
    lines, ems = (
        int(rng.integers(max(least, math.ceil(most / 2)), most + 1))
        for least, most in ((_FEWEST, rows), (_NARROWEST, width))
    )
    leading = float(rng.uniform(1.3, 1.6))
    title = set_lines([pick_words(rng, script, int(rng.integers(1, 4)))], font, round(size * rng.uniform(1.0, 1.8)))
    if rng.random() < 0.5:
        body = _set_table(rng, script, font, size, lines, min(ems, 30), leading)
    elif ems > 2 * _NARROWEST and rng.random() < 0.4:
        body = _beside([_set_text(rng, script, font, size, lines, ems // 2 - 1, leading) for _ in range(2)], 2 * size)
    else:
        body = _set_text(rng, script, font, size, lines, ems, leading)
    if title is None or body is None:
        return body
    spare = max(0, body.letters.shape[1] - title.letters.shape[1])
    top = title.letters.shape[0] + round(size * rng.uniform(0.5, 1.5))
    return join([(title, round(spare * rng.choice([0, 0.5])), 0), (body, 0, top)])


def _set_text(
    rng: np.random.Generator, script: str, font: Font, size: int, rows: int, width: int, leading: float
) -> Block | None:
    """Paragraphs: full lines, of which some end early."""
    letters = round(width / (1.0 if script in (*UNSPACED, "Korean") else 0.55))
    lines = []
    for _ in range(rows):
        length = letters if rng.random() < 0.8 else int(rng.integers(letters // 4, letters))
        lines.append(_fill_line(rng, script, length))
    return set_lines(lines, font, size, leading=leading)


def _fill_line(rng: np.random.Generator, script: str, letters: int) -> list[str]:
    """Words of about this many letters together. A script without spaces gives one word."""
    words: list[str] = []
    free = letters
    while free > 0:
        for word in pick_words(rng, script, 4):
            words.append(word[:free])
            free -= len(word) + 1
            if free <= 0:
                break
    return ["".join(words)[:letters]] if script in UNSPACED else words


def _set_table(
    rng: np.random.Generator, script: str, font: Font, size: int, rows: int, width: int, leading: float
) -> Block | None:
    """Names on the left, and one to three columns of numbers on the right: each of them is a line."""
    columns = int(rng.integers(1, 1 + min(3, width // 10)))
    names = [pick_words(rng, script, int(rng.integers(1, 3))) for _ in range(rows)]
    numbers = [
        [[f"{rng.integers(10 ** int(rng.integers(1, 4)))}.{rng.integers(100):02}"] for _ in range(rows)]
        for _ in range(columns)
    ]
    left = set_lines(names, font, size, leading=leading)
    right = [set_lines(column, font, size, align=1.0, leading=leading) for column in numbers]
    gap = round(size * rng.uniform(1.5, 3.0))
    amounts = _beside(right, gap)
    if left is None or amounts is None:
        return left or amounts
    wide = left.letters.shape[1] + gap + amounts.letters.shape[1]
    return join([(left, 0, 0), (amounts, max(wide, width * size) - amounts.letters.shape[1], 0)])


def _beside(blocks: list[Block | None], gap: int) -> Block | None:
    """Blocks from the left to the right, `gap` pixels apart."""
    parts, left = [], 0
    for block in blocks:
        if block is not None:
            parts.append((block, left, 0))
            left += block.letters.shape[1] + gap
    return join(parts) if parts else None
