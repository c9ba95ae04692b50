"""How long the texts of words are, and how much room their crops have for them: what an inspection counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LENGTHS = ((1, 3), (4, 6), (7, 10), (11, 15), (16, 25))
_NAMED = 40  # characters


@dataclass(frozen=True)
class InspectedWord:
    """A word that was read from its data set.

    - `text`: in composed form; `width`: of its crop, in pixels.
    - `needed`, `columns`: the feature columns that the text needs, and those that the crop has.
    - `usable`: whether training takes it.
    """

    text: str
    width: int
    needed: int
    columns: int
    usable: bool


@dataclass(frozen=True)
class WordStatistics:
    """The words of a data set.

    - `total`: words in the data set; of a mix with those that it repeats.
    - `tried`: how many of them were read, or could not be. `bad`: how many could not be.
    - `words`: the others.
    - `longest`: characters of a text that training takes.
    - `characters`: those that the recogniser writes.
    """

    total: int
    tried: int
    bad: int
    words: Sequence[InspectedWord]
    longest: int
    characters: str

    def summary(self) -> dict[str, str]:
        """The headline numbers, by name."""
        seen = Counter(character for word in self.words for character in word.text)
        unseen = "".join(one for one in self.characters if one not in seen)
        unknown = {one: count for one, count in seen.most_common() if one not in self.characters}
        named = f": {unseen[:_NAMED]}{'…' * (len(unseen) > _NAMED)}" if unseen else ""
        return {
            "words": f"{self.total:,}",
            "words that were read": f"{self.tried - self.bad:,}"
            + ", the first of training" * (self.tried < self.total),
            "unreadable words": f"{self.bad:,}",
            "words that training skips": f"{sum(not word.usable for word in self.words):,}",
            "texts by their characters": ", ".join(f"{name}: {count:,}" for name, count in self.by_length().items()),
            f"texts of more than {self.longest} characters": f"{sum(len(w.text) > self.longest for w in self.words):,}",
            "texts longer than their feature columns": f"{sum(word.needed > word.columns for word in self.words):,}",
            "characters that the set lacks": ", ".join(f"{one!r} {count:,}" for one, count in unknown.items())
            or "none",
            "characters of the set without an example": f"{len(unseen)} of {len(self.characters)}{named}",
        }

    def by_length(self) -> dict[str, int]:
        """The number of texts by their length in characters; lengths without a text are left out."""
        lengths = [len(word.text) for word in self.words]
        counts = {f"{low} to {high}": sum(low <= one <= high for one in lengths) for low, high in _LENGTHS}
        counts |= {"none": lengths.count(0), f"more than {_LENGTHS[-1][1]}": sum(n > _LENGTHS[-1][1] for n in lengths)}
        return {name: count for name, count in counts.items() if count}
