"""Several data sets as one, in given shares."""

import bisect
import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from input_pipeline.datasets.annotations import Annotation
from input_pipeline.datasets.sample import Dataset, Sample


class Part(NamedTuple):
    """What is mixed in: a word of `config.data.mix`, `NAME=FOLDER*WEIGHT@ZOOM`.

    - `name`: of the data set.
    - `folder`: where it lies; empty for a set that needs none.
    - `weight`: how many of its pictures come to one of the set that the others are mixed into.
    - `zoom`: of its pictures; see `Sample`.
    """

    name: str
    folder: str
    weight: float = 1.0
    zoom: float = 1.0


def parse_mix(words: str) -> list[Part]:
    """The parts of "msra_td500=/data/td500*0.5@0.4,synthetic*2"; a weight or a zoom that is missing is 1.

    **Raises:** ValueError when a word cannot be read or a number is not positive.
    """
    parts = []
    for word in filter(None, (word.strip() for word in words.split(","))):
        # The folder may hold the signs; the numbers stand behind it, the zoom last.
        rest, zoom = _cut(word, "@")
        rest, weight = _cut(rest, "*")
        name, _, folder = rest.partition("=")
        part = Part(name.strip(), folder.strip(), weight, zoom)
        if not part.name or not all(0 < number < float("inf") for number in (weight, zoom)):
            raise ValueError(
                f"`config.data.mix` (={words!r}): {word!r} must be NAME=FOLDER*WEIGHT@ZOOM, with numbers above 0, of "
                "which either may be left out: msra_td500=/data/td500*0.5@0.4,synthetic*2"
            )
        parts.append(part)
    return parts


def _cut(word: str, sign: str) -> tuple[str, float]:
    """What stands before the last `sign`, and the number behind it: 1 without the sign, 0 where it is none."""
    rest, found, number = word.rpartition(sign)
    if not found:
        return word, 1.0
    try:
        return rest, float(number)
    except ValueError:
        return (word, 1.0) if "/" in number else (rest, 0.0)


class MixedDataset:
    """Data sets in shares: one pass holds every picture of each, those of the sets that would run out sooner repeated.

    It is as long as the set that lasts longest makes it. The order is one set after another; training shuffles it.

    **Arguments:**

    - `datasets`: none of them empty.
    - `weights`: what share of the pictures each has, as numbers above 0 in proportion to each other.
    - `zooms`: of each set's pictures, see `Sample`; none are all 1.
    """

    def __init__(self, datasets: Sequence[Dataset], weights: Sequence[float], zooms: Sequence[float] = ()):
        if len(datasets) != len(weights) or min(weights, default=0.0) <= 0:
            raise ValueError(f"`weights` (={list(weights)}) must be above 0, one for each of {len(datasets)} data sets")
        self._datasets = list(datasets)
        self._zooms = list(zooms) or [1.0] * len(self._datasets)
        passes = max(len(dataset) / weight for dataset, weight in zip(datasets, weights, strict=True))
        self._ends = list(itertools.accumulate(round(weight * passes) for weight in weights))
        self.problems = [problem for dataset in datasets for problem in dataset.problems]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """**Raises:** BadPicture when the picture cannot be used."""
        part, position = self._find(index)
        sample, zoom = self._datasets[part][position], self._zooms[part]
        return sample if zoom == 1 else dataclasses.replace(sample, zoom=zoom * sample.zoom)

    def name(self, index: int) -> str:
        """The name in its own set, without reading it; two sets may have the same."""
        part, position = self._find(index)
        return self._datasets[part].name(position)

    def annotation(self, index: int) -> Annotation:
        """The text of picture `index`, without decoding the picture where its own set can tell it alone.

        **Raises:** BadPicture when it cannot be used.
        """
        part, position = self._find(index)
        dataset = self._datasets[part]
        if read := getattr(dataset, "annotation", None):
            return read(position)
        sample = dataset[position]
        return Annotation(sample.polygons, sample.ignore, sample.texts, sample.problems, sample.scripts)

    def _find(self, index: int) -> tuple[int, int]:
        """Which set a picture is of, and its place there."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` (={index}) must be in [0, {len(self)})")
        part = bisect.bisect_right(self._ends, index)
        return part, (index - (self._ends[part - 1] if part else 0)) % len(self._datasets[part])
