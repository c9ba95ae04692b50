"""The page of pictures that were read: outlines over each picture, and its text."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dbnet_jax.images import drawing
from dbnet_jax.messages import plural
from dbnet_jax.pages.figure import Figure, write_figure
from dbnet_jax.pages.page import file_stem, row, write_page
from dbnet_jax.reader import Page, Word
from dbnet_jax.typing import Image

_LONG_SIDE = 1280  # pixels of a picture on the page, at most


class _PlacedWord(NamedTuple):
    points: str
    x: str
    y: str
    size: str
    text: str


class _Card(NamedTuple):
    name: str
    drawn: Figure
    words: list[_PlacedWord]
    text: str
    counts: list[tuple[str, int, str]]
    facts: list[str]


class ReadingPage:
    """`<folder>/index.html` and its pictures, written one at a time; the page needs no network and no script.

    **Arguments:** `folder`; `title`: the headline.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self._folder, self._title = folder, title
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._cards: list[_Card] = []
        self.files: list[str] = []
        """The files that are written so far, by their paths from the folder."""

    def add(self, name: str, image: Image, page: Page) -> None:
        """Writes the picture of one more page."""
        scale = min(1.0, _LONG_SIDE / max(image.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        shown = drawing.resize(image, (height, width))
        alt = f"{name} with {plural(len(page.words), 'word')}"
        figure = write_figure(self._folder, f"{file_stem(len(self._cards) + 1, name)}.jpg", shown, alt)
        placed = [_placed(word, scale) for word in page.words]
        facts = [plural(len(page.lines), "line")]
        if page.left_out:
            facts.append(f"{page.left_out:,} hardly readable, left out")
        self._cards.append(_Card(name, figure, placed, page.text, [("detected", len(placed), "words")], facts))
        self.files.append(figure.file)

    def close(self, summary: dict[str, object]) -> Path:
        """Writes the page and returns its path. **Arguments:** `summary`: the facts of its header."""
        page = write_page(
            self._folder,
            "reading.html",
            title=self._title,
            details=[row(name, value) for name, value in summary.items()],
            sections="",
            problems="",
            legend=[],
            colors={"detected": (0, 200, 255)},
            cards=self._cards,
        )
        self.files.append(page.name)
        return page


def _placed(word: Word, scale: float) -> _PlacedWord:
    points = word.polygon * scale
    x, y = points.mean(0)
    low, high = points.min(0), points.max(0)
    # As large as fits over the word, and no smaller than can be read.
    size = max(14.0, min(0.8 * float(high[1] - low[1]), 1.6 * float(high[0] - low[0]) / max(len(word.text), 1)))
    shown: Sequence[str] = [f"{a:.1f},{b:.1f}" for a, b in points.tolist()]
    return _PlacedWord(" ".join(shown), f"{x:.1f}", f"{y + 0.35 * size:.1f}", f"{size:.1f}", word.text)
