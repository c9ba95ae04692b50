"""The characters that a recogniser can write: sets by name, or a person's own file."""

import importlib.resources
import itertools
import os
import pathlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

from dbnet_jax.paths import as_path

_FOLDER = pathlib.Path(str(importlib.resources.files("dbnet_jax"))) / "characters"
BLANK = 0
"""The class that stands for no character."""
LITERAL = "characters:"
"""The start of a value of `config.model.characters` that consists of the characters themselves."""


def composed(text: str) -> str:
    """The text in Unicode's composed form (NFC): é is one character, and not e with an accent behind it."""
    return unicodedata.normalize("NFC", text)


def picture_order(text: str) -> str:
    """The characters of a word from left to right, as they stand in a picture.

    Letters that are written from right to left are turned around, numbers in them are not. A text without such letters
    stays as it is. Of a text in picture order the result is the text in reading order.
    """
    directions = [unicodedata.bidirectional(one) for one in text]
    if not {"R", "AL"} & set(directions):
        return text
    runs = itertools.groupby(zip(text, directions, strict=True), key=lambda pair: pair[1] in ("L", "EN", "AN"))
    parts = [(forwards, "".join(one for one, _ in run)) for forwards, run in runs]
    return "".join(part if forwards else part[::-1] for forwards, part in reversed(parts))


class CharacterSet:
    """Characters and their classes: the first is class 1.

    Texts count in their composed form. Their classes are in picture order.

    **Arguments:** `characters`: each a single character, none twice.

    **Raises:** ValueError if there is none, or one is there twice.
    """

    def __init__(self, characters: Sequence[str]):
        self.characters = "".join(characters)
        self._classes = {character: place for place, character in enumerate(self.characters, start=1)}
        if not self.characters or len(self._classes) != len(self.characters):
            twice = sorted({one for one in self.characters if self.characters.count(one) > 1})
            wrong = f"{twice} are there twice" if twice else "it is empty"
            raise ValueError(f"`characters` (={self.characters[:80]!r}) must hold different characters: {wrong}")

    @property
    def classes(self) -> int:
        """How many classes there are, with `BLANK`."""
        return len(self.characters) + 1

    def unknown(self, text: str) -> str:
        """The characters of a text that are not in the set, sorted."""
        return "".join(sorted(set(composed(text)) - self._classes.keys()))

    def encode(self, text: str) -> Int[np.ndarray, "length"]:
        """The class of each character, in picture order. **Raises:** ValueError where one is not in the set."""
        if unknown := self.unknown(text):
            raise ValueError(f"`text` (={text!r}) has characters that the character set lacks: {unknown!r}")
        return np.array([self._classes[character] for character in picture_order(composed(text))], np.int32)

    def decode(self, classes: Iterable[int] | Int[np.ndarray, "_"]) -> str:
        """The text of classes; `BLANK` is left out."""
        return composed(picture_order("".join(self.characters[one - 1] for one in classes if one != BLANK)))


def character_sets() -> list[str]:
    """The names of the sets that come with the project."""
    return sorted(file.stem for file in _FOLDER.glob("*.txt"))


def load_characters(name_or_file: str | os.PathLike[str]) -> CharacterSet:
    """A character set.

    **Arguments:** `name_or_file`: "digits", "alphanumeric" (digits and small letters), "latin" (94 printable ASCII
    characters), "latin_extended", a UTF-8 text file of characters, whose line ends do not count, or "characters:abc…".

    **Raises:** ValueError if the name is unknown, the file is no UTF-8 text, or it holds a character twice or none.
    """
    name = os.fspath(name_or_file)
    if name.startswith(LITERAL):
        return CharacterSet(composed(name.removeprefix(LITERAL)))
    file = _FOLDER / f"{name}.txt" if name in character_sets() else as_path(name).expanduser()
    if not file.is_file():
        raise ValueError(f"`config.model.characters` (={name!r}) must be one of {character_sets()}, or a text file")
    try:
        text = file.read_text(encoding="utf-8-sig").replace("\r", "").replace("\n", "")
        return CharacterSet(composed(text))
    except ValueError as error:
        raise ValueError(f"`config.model.characters` (={name!r}) cannot be used: {error}") from error


def without_file(name_or_file: str) -> str:
    """A value of `config.model.characters` for the same set that needs no file. **Raises:** as `load_characters`."""
    return name_or_file if name_or_file in character_sets() else LITERAL + load_characters(name_or_file).characters
