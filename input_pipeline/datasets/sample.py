"""What every data set gives: one picture with the outlines of its text."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


@dataclasses.dataclass(frozen=True)
class Sample:
    """A picture and the text in it.

    **Arguments:**

    - `name`: names the picture in reports and results, unique in its data set ("img_12.jpg").
    - `image`: RGB, in [0, 255].
    - `polygons`: outlines in pixels (x, y), pixel centres at integers, three or more vertices each,
        finite, possibly reaching outside the picture.
    - `ignore`: for each polygon, True where the benchmark does not care for it (`###`, "difficult").
    - `texts`: for each polygon its transcription; empty where the data set has none.
    - `problems`: what was wrong with the annotation and left out, each naming its file and line.
    - `scripts`: for each polygon the script it is written in ("Latin", "Arabic"), as its data set calls it; empty
        where the data set does not tell.
    - `zoom`: how many times larger than `config.data.scale` says the picture enters training; for sets that are mixed
        with others whose pictures are of another size.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    polygons: list[Float[np.ndarray, "_ 2"]]
    ignore: list[bool]
    texts: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    scripts: list[str] = dataclasses.field(default_factory=list)
    zoom: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError when the lists do not describe the same instances."""
        count = len(self.polygons)
        if len(self.ignore) != count or len(self.texts) not in (0, count) or len(self.scripts) not in (0, count):
            raise ValueError(
                f"`polygons` ({count}), `ignore` ({len(self.ignore)}), `texts` ({len(self.texts)}) and `scripts` "
                f"({len(self.scripts)}) of {self.name} must describe the same instances"
            )


@runtime_checkable
class Dataset(Protocol):
    """A random-access sequence of samples: an index always gives the same, in any order, from any thread."""

    problems: list[str]
    """What is wrong with the data set as a whole, such as annotation files without a picture."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """Raises BadPicture when the picture at `index` cannot be used."""
        ...

    def name(self, index: int) -> str:
        """The name of sample `index`, without reading it."""
        ...


def origin(dataset: Dataset, index: int) -> tuple[str, int]:
    """Which of the sets that were mixed sample `index` is of: its label and its number of pictures.

    A set that is not mixed is one, without a label. Those around another set have a method of this name.
    """
    of = getattr(dataset, "origin", None)
    return of(index) if of else ("", len(dataset))


def pass_length(dataset: Dataset) -> int:
    """How many samples an epoch has: all of them, and of mixed sets as many as pass the first set once."""
    return getattr(dataset, "pass_length", len(dataset))
