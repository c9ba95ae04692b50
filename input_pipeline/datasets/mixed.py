"""Several data sets as one, in given shares."""

import bisect
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from input_pipeline.datasets.sample import Dataset, Sample


class Part(NamedTuple):
    """What is mixed in: a word of `config.data.mix`, `NAME=FOLDER*WEIGHT`.

    - `name`: of the data set.
    - `folder`: where it lies; empty for a set that needs none.
    - `weight`: how many of its pictures come to one of the set that the others are mixed into.
    """

    name: str
    folder: str
    weight: float


def parse_mix(words: str) -> list[Part]:
    """The parts of "msra_td500=/data/td500*0.5,synthetic*2"; a weight that is missing is 1.

    **Raises:** ValueError when a word cannot be read or a weight is not positive.
    """
    parts = []
    for word in filter(None, (word.strip() for word in words.split(","))):
        rest, star, weight = word.rpartition("*")
        name, _, folder = (rest if star else word).partition("=")
        try:
            part = Part(name.strip(), folder.strip(), float(weight) if star else 1.0)
        except ValueError:
            part = Part(name, folder, 0.0)
        if not part.name or not 0 < part.weight < float("inf"):
            raise ValueError(
                f"`config.data.mix` (={words!r}): {word!r} must be NAME=FOLDER*WEIGHT, with a weight above 0: "
                "msra_td500=/data/td500*0.5,synthetic*2"
            )
        parts.append(part)
    return parts


class MixedDataset:
    """Data sets in shares: one pass holds every picture of each, those of the sets that would run out sooner repeated.

    It is as long as the set that lasts longest makes it. The order is one set after another; training shuffles it.

    **Arguments:**

    - `datasets`: none of them empty.
    - `weights`: what share of the pictures each has, as numbers above 0 in proportion to each other.
    """

    def __init__(self, datasets: Sequence[Dataset], weights: Sequence[float]):
        if len(datasets) != len(weights) or min(weights, default=0.0) <= 0:
            raise ValueError(f"`weights` (={list(weights)}) must be above 0, one for each of {len(datasets)} data sets")
        self._datasets = list(datasets)
        passes = max(len(dataset) / weight for dataset, weight in zip(datasets, weights, strict=True))
        self._ends = list(itertools.accumulate(round(weight * passes) for weight in weights))
        self.problems = [problem for dataset in datasets for problem in dataset.problems]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """**Raises:** BadPicture when the picture cannot be used."""
        dataset, position = self._find(index)
        return dataset[position]

    def name(self, index: int) -> str:
        """The name in its own set, without reading it; two sets may have the same."""
        dataset, position = self._find(index)
        return dataset.name(position)

    def _find(self, index: int) -> tuple[Dataset, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"`index` (={index}) must be in [0, {len(self)})")
        part = bisect.bisect_right(self._ends, index)
        dataset = self._datasets[part]
        return dataset, (index - (self._ends[part - 1] if part else 0)) % len(dataset)
