"""What every data set returns: pictures with the polygons of their text."""

import abc
import dataclasses

import numpy as np

from dbnet_jax.messages import Problem
from dbnet_jax.typing import Image, Polygon

GRANULARITIES = ("word", "line")
"""What an instance of a data set may be."""


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The text of one picture, as its label file gives it.

    **Arguments:**

    - `polygons`, `ignore`, `texts`, `scripts`: as in `Sample`. The size of the picture is not known here, so polygons
        that lie wholly outside of the picture are among them.
    - `problems`: one for each line that is left out or doubtful.
    - `repaired`: the indices of the polygons that touched or crossed themselves, and have other vertices now.
    """

    polygons: list[Polygon] = dataclasses.field(default_factory=list)
    ignore: list[bool] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    scripts: list[str] = dataclasses.field(default_factory=list)
    repaired: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A picture and its text.

    **Arguments:**

    - `name`: the picture's name in reports and results, unique in its data set ("img_12.jpg").
    - `image`: RGB in [0, 255].
    - `polygons`: in pixels (x, y), pixel centres at integers. A polygon has three or more finite vertices and may reach
        outside of the picture.
    - `ignore`: for each polygon, whether it is ignored (`###`, "difficult").
    - `texts`: for each polygon its transcription; empty where the data set has none.
    - `problems`: what is wrong with the annotation.
    - `scripts`: for each polygon its script in the data set's own words ("Latin", "Arabic"); empty where the data set
        has none.
    - `zoom`: a factor on `config.data.scale` for this picture. Data sets that are mixed may have pictures of different
        sizes.
    """

    name: str
    image: Image
    polygons: list[Polygon]
    ignore: list[bool]
    texts: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
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


def whole_picture(image: Image) -> Polygon:
    """The outline of a whole picture: that of the word in a crop."""
    height, width = image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


class Dataset(abc.ABC):
    """A sequence of samples: an index always returns the same sample, in any order, from any thread."""

    problems: list[Problem]
    """What is wrong with the data set as a whole, such as label files without a picture."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abc.abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Sample `index`. **Raises:** BadPicture when the picture or its labels cannot be used."""

    @abc.abstractmethod
    def name(self, index: int) -> str:
        """The name of sample `index`; does not read the picture."""

    def annotation(self, index: int) -> Annotation | None:
        """The text of picture `index`; None where only the sample itself contains it. Does not decode the picture.

        **Raises:** BadPicture when the labels cannot be used.
        """
        return None

    def origin(self, index: int) -> tuple[str, int]:
        """The label, and the number of pictures, of the mixed set that sample `index` comes from; else "" and all."""
        return "", len(self)

    @property
    def pass_length(self) -> int:
        """The samples of one epoch: all of them; of mixed sets, one pass over the first set."""
        return len(self)
