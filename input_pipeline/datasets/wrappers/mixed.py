"""Several data sets as one, in given shares."""

import bisect
import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.datasets.sample import Annotation, Dataset, Sample

RANGE = (0.001, 1000)  # of weights and zooms
MOST = 200_000_000  # samples: each takes eight bytes of the permutation that training goes by


class Part(NamedTuple):
    """What is mixed in: a word of `config.data.mix`, `NAME=FOLDER*WEIGHT@ZOOM` or `NAME+lines=FOLDER*WEIGHT@ZOOM`.

    - `name`: of the data set.
    - `folder`: where it lies; empty for a set that needs none.
    - `weight`: how many of its pictures come to one of the set that the others are mixed into.
    - `zoom`: of its pictures; see `Sample`.
    - `joined`: "+lines" stands behind the name: the set's words are joined to lines.
    """

    name: str
    folder: str
    weight: float = 1.0
    zoom: float = 1.0
    joined: bool = False


def parse_mix(words: str) -> list[Part]:
    """The parts of "msra_td500=/data/td500*0.5@0.4,synthetic*2"; a weight or a zoom that is missing is 1.

    **Raises:** ValueError when a word cannot be read or a number is not in `RANGE`.
    """
    parts = []
    for word in filter(None, (word.strip() for word in words.split(","))):
        # The folder may hold the signs; the numbers stand behind it, the zoom last.
        rest, zoom = _cut(word, "@")
        rest, weight = _cut(rest, "*")
        name, _, folder = rest.partition("=")
        name, plus, what = map(str.strip, name.partition("+"))
        part = Part(name, folder.strip(), weight, zoom, bool(plus))
        named = bool(name) and what == ("lines" if plus else "")
        if not named or not all(RANGE[0] <= number <= RANGE[1] for number in (weight, zoom)):
            raise ValueError(
                f"`config.data.mix` (={words!r}): {word!r} must be NAME=FOLDER*WEIGHT@ZOOM, with numbers from "
                f"{RANGE[0]} to {RANGE[1]}, either may be left out: msra_td500=/data/td500*0.5@0.4,synthetic*2. "
                "NAME+lines joins the set's words to lines"
            )
        parts.append(part)
    return parts


def labels_of(parts: Sequence[Part]) -> list[str]:
    """Labels of mixed sets: their names; sets of one name add the last name of their folders."""
    found = [part.name for part in parts]
    for tell in (lambda folder: pathlib.PurePath(folder).name, str):
        taken = [label for label in found if found.count(label) > 1]
        found = [
            f"{part.name}={tell(part.folder)}" if label in taken and part.folder else label
            for label, part in zip(found, parts, strict=True)
        ]
    return found


def _cut(word: str, sign: str) -> tuple[str, float]:
    """The text before the last `sign`, and the number behind it: 1 without the sign, 0 for no number."""
    rest, found, number = word.rpartition(sign)
    if not found:
        return word, 1.0
    try:
        return rest, float(number)
    except ValueError:
        return (word, 1.0) if "/" in number else (rest, 0.0)


class MixedDataset(Dataset):
    """Data sets in given shares: one after the other; training shuffles them.

    Every picture of each set is there. Sets that would run out sooner are repeated. `pass_length` samples, in the order
    of training, pass the first set once on average.

    **Arguments:**

    - `datasets`: none of them empty.
    - `weights`: the share of each set, as numbers above 0 in proportion to each other.
    - `zooms`: of each set's pictures, see `Sample`; none are all 1.
    - `labels`: a text before each set's names and problems, as in "synthetic: 7.png"; none leaves them as they are.

    **Raises:** ValueError when a weight is not above 0, or would make it longer than `MOST`.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        weights: Sequence[float],
        zooms: Sequence[float] = (),
        labels: Sequence[str] = (),
    ):
        if len(datasets) != len(weights) or min(weights, default=0.0) <= 0:
            raise ValueError(f"`weights` (={list(weights)}) must be above 0, one for each of {len(datasets)} data sets")
        self._datasets = list(datasets)
        self._zooms = list(zooms) or [1.0] * len(self._datasets)
        self._labels = list(labels) or [""] * len(self._datasets)
        passes = max(len(dataset) / weight for dataset, weight in zip(datasets, weights, strict=True))
        if not passes * sum(weights) <= MOST:
            raise ValueError(
                f"`config.data.mix`: in shares of {list(weights)} to each other, sets of {list(map(len, datasets))} "
                f"pictures would repeat to more than {MOST:,}: weigh the large ones more"
            )
        self._ends = list(itertools.accumulate(round(weight * passes) for weight in weights))
        self._pass_length = max(1, round(len(self._datasets[0]) * sum(weights) / weights[0]))
        self.problems = [one for part, dataset in enumerate(datasets) for one in self._own(part, dataset.problems)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        part, position = self._find(index)
        with self._labelled_errors(part, position):
            sample = self._datasets[part][position]
        return dataclasses.replace(
            sample,
            name=self._labelled(part, sample.name),
            problems=self._own(part, sample.problems),
            zoom=self._zooms[part] * sample.zoom,
        )

    def name(self, index: int) -> str:
        """The name of sample `index`: the label of its set and its name there."""
        part, position = self._find(index)
        return self._labelled(part, self._datasets[part].name(position))

    def origin(self, index: int) -> tuple[str, int]:
        part, _ = self._find(index)
        return self._labels[part], len(self._datasets[part])

    def annotation(self, index: int) -> Annotation | None:
        part, position = self._find(index)
        with self._labelled_errors(part, position):
            found = self._datasets[part].annotation(position)
        return found and dataclasses.replace(found, problems=self._own(part, found.problems))

    @property
    def pass_length(self) -> int:
        return self._pass_length

    def _own(self, part: int, problems: Sequence[Problem]) -> list[Problem]:
        """The problems of one of the sets, each with the label of the set before its place."""
        label = self._labels[part]
        return [dataclasses.replace(one, where=": ".join(filter(None, (label, one.where)))) for one in problems]

    def _labelled(self, part: int, text: str) -> str:
        return f"{self._labels[part]}: {text}" if self._labels[part] else text

    @contextlib.contextmanager
    def _labelled_errors(self, part: int, position: int) -> Iterator[None]:
        try:
            yield
        except BadPicture as error:
            # With the name of the picture first, which a report then does not repeat.
            problem = Problem.at(self._datasets[part].name(position), error)
            raise BadPicture(self._labelled(part, str(problem))) from error

    def _find(self, index: int) -> tuple[int, int]:
        """Which set a picture is of, and its place there."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` (={index}) must be in [0, {len(self)})")
        part = bisect.bisect_right(self._ends, index)
        return part, (index - (self._ends[part - 1] if part else 0)) % len(self._datasets[part])
