"""What a row of a text file has around its transcription: four hashes, or a script before it; decided by the set."""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import takewhile

from input_pipeline.datasets.parsing.annotations import is_ignored_text, is_number

# The words of ICDAR 2017 and 2019 MLT, and more names of scripts and languages that stand in such a column.
_SCRIPTS = {
    *("arabic", "latin", "chinese", "japanese", "korean", "bangla", "hindi", "symbols", "mixed", "none"),
    *("bengali", "cyrillic", "devanagari", "english", "greek", "gujarati", "gurmukhi", "hangul", "hebrew", "kanji"),
    *("kannada", "malayalam", "oriya", "punjabi", "russian", "tamil", "telugu", "thai", "urdu", "vietnamese"),
}
_HASHES = "####"
_MOST = 0.9  # more of the rows than this have what a set has: some row may be damaged
_SHOWN = 4  # words of a column in its message


@dataclasses.dataclass(frozen=True)
class TextForm:
    """What stands before the transcriptions of a set.

    **Arguments:**

    - `hashes`: whether `####` does, as in the test labels of SCUT-CTW1500: `####word`, and `#######` is ignored.
    - `column`: the words of a column that does, as of the script in MLT's labels: `Latin,word`; () without one.
    """

    hashes: bool = False
    column: tuple[str, ...] = ()

    @property
    def is_script(self) -> bool:
        """Whether the column has names of scripts alone; of another one it is not known what it is."""
        return bool(self.column) and all(map(_is_script, self.column))

    def doubt(self) -> str:
        """What a person should know about the column; "" without one."""
        if not self.column:
            return ""
        words = ", ".join(map(repr, self.column[:_SHOWN])) + ", …" * (len(self.column) > _SHOWN)
        if self.is_script:
            return f"a script ({words}) stands before the transcription of each row, and is no part of it"
        return (
            f"nearly all transcriptions begin with one of a few words and a comma ({words}), as if that were a column "
            "of its own; kept as a part of them, and `###` behind it is ignored"
        )

    def split(self, text: str) -> tuple[str, bool]:
        """The transcription in what follows the numbers of a row, and whether it is ignored text."""
        if self.hashes:
            text = text.strip().removeprefix(_HASHES)
            return text, is_ignored_text(text)
        word, comma, rest = text.partition(",")
        ignored = is_ignored_text(text) or _is_mark_beside_script(text) or (bool(self.column) and is_ignored_text(rest))
        return (rest if comma and self.is_script and _is_script(word) else text), ignored


PLAIN = TextForm()


def find_text_form(lines: Iterable[str]) -> TextForm:
    """What stands before the transcriptions of a set, by its rows.

    More than nine tenths of the rows that have a transcription must have it. A column has names of scripts, or in many
    rows few words or numbers, such as a class or a flag.

    **Arguments:** `lines`: rows of a set, `x1,y1,…,xn,yn,transcription`; some are enough.
    """
    texts = [text for line in lines if (text := _behind_points(line))]
    if most_hold([text.startswith(_HASHES) for text in texts]) and any(text.strip("#") for text in texts):
        return TextForm(hashes=True)
    words = [text.partition(",")[0].strip() for text in texts if "," in text]
    if len(words) <= _MOST * len(texts):
        return PLAIN
    distinct = tuple(dict.fromkeys(words))
    scripts = tuple(filter(_is_script, distinct))
    if most_hold(list(map(_is_script, words))):
        return TextForm(column=scripts)
    return TextForm(column=distinct if 2 * len(distinct) <= len(words) else ())


def most_hold(flags: Sequence[bool]) -> bool:
    """Whether there are flags, and more than nine tenths of them are set."""
    return sum(flags) > _MOST * len(flags)


def _behind_points(line: str) -> str:
    """What follows the points of a row: of an odd count of numbers, the last is no coordinate."""
    fields = line.split(",")
    count = len(list(takewhile(is_number, fields)))
    return ",".join(fields[count - count % 2 :]).strip()


def _is_script(word: str) -> bool:
    return word.strip().strip('"').lower() in _SCRIPTS


def _is_mark_beside_script(text: str) -> bool:
    """Whether a text is a mark of ignored text and names of scripts; no transcription reads so, in any set."""
    fields = [field for field in text.split(",") if field.strip()]
    marks = sum(map(is_ignored_text, fields))
    return marks == 1 and sum(map(_is_script, fields)) == len(fields) - 1
