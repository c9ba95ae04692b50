"""SynthText: 858,750 photos into which words were rendered, to train on before the real photos."""

import os
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, plural
from dbnet_jax.paths import as_path
from input_pipeline.datasets.benchmarks.base import Benchmark
from input_pipeline.datasets.benchmarks.synthtext_index import open_index
from input_pipeline.datasets.parsing.annotations import Instance, as_polygon, parse_instances
from input_pipeline.datasets.parsing.folders import describe, read_bytes
from input_pipeline.datasets.sample import Annotation

_LABELS = "gt.mat"
_PLACES = (".", "SynthText")
_VALIDATION_EVERY = 1000


class SynthText(Benchmark):
    """SynthText in the Wild (Gupta, Vedaldi and Zisserman: Synthetic Data for Text Localisation in Natural Images,
    CVPR 2016).

    - Release: 2016; 858,750 pictures with 7,266,866 words, all of them to train on ("trainval"). A thousandth, at
      positions 0, 1000, 2000, …, is "validation" and enters no "train", so that a run can be scored as it goes.
    - Where: https://www.robots.ox.ac.uk/~vgg/data/scenetext/, one archive of 41 GB.
    - Layout: `gt.mat` and 200 folders of pictures, `1` to `200`, as the archive's folder `SynthText` holds them.
    - Annotation: `gt.mat` holds cell arrays of a cell a picture: `imnames` ("8/ballet_106_0.jpg"), `wordBB`
      (2×4×words: x and y of four corners, clockwise from the word's top left) and `txt`, lines of words, which
      are separated by spaces and line feeds. The boxes of characters, `charBB`, are not read. Where a picture's
      words are not as many as its boxes, the boxes are kept without texts, and listed.
    - Terms: those of the page above.

    The first use reads `gt.mat`, which takes a while and some gigabytes of memory, and keeps what is needed in a file
    beside it (see `synthtext_index.open_index`), which from then on is mapped, not read: a sample costs its picture.
    A sample's name is its entry of `imnames`, and the order is that of the file.
    """

    title = "SynthText"
    source = "https://www.robots.ox.ac.uk/~vgg/data/scenetext/"
    layout = """\
    gt.mat
    8/ballet_106_0.jpg … in folders 1 to 200
or the same in a folder SynthText"""
    counts: ClassVar[dict[str, int]] = {"train": 858_750}
    absent: ClassVar[dict[str, str]] = {"test": "all of its pictures are to train on; score on real photos"}

    def __init__(self, folder: str | os.PathLike[str], split: str = "train"):
        self.folder, self.split = as_path(folder), self._checked(split)
        found = [self.folder / place for place in _PLACES if (self.folder / place / _LABELS).is_file()]
        if not found:
            raise FileNotFoundError(self._complaint(describe(self.folder)))
        self._root = found[0]
        self._index = open_index(self._root / _LABELS)
        self.problems = self._miscount(len(self._index), "train")
        if not len(self):
            count = plural(len(self._index), "picture")
            raise FileNotFoundError(self._complaint(f"{count}, none of them in this split"))

    def __len__(self) -> int:
        held = -(-len(self._index) // _VALIDATION_EVERY)
        return {"validation": held, "train": len(self._index) - held}.get(self.split, len(self._index))

    def name(self, index: int) -> str:
        """The entry of `imnames` of picture `index`."""
        return self._index.name(self._position(index))

    def place(self, index: int) -> tuple[str, int]:
        position = self._position(index)
        thousands, rest = divmod(position, _VALIDATION_EVERY)
        return ("validation", thousands) if rest == 0 else ("train", position - thousands - 1)

    def files(self) -> Iterator[pathlib.Path]:
        yield self._root / _LABELS
        for index in range(len(self)):
            yield self._root / self.name(index)

    def picture(self, index: int) -> bytes:
        return read_bytes(self._root / self.name(index))

    def annotation(self, index: int) -> Annotation:
        """The text of picture `index`, alone. **Raises:** `BadPicture` if `gt.mat` has no boxes for it."""
        position = self._position(index)
        name, damage = self._index.name(position), self._index.damage(position)
        if damage:
            raise BadPicture(f"{name}: {_LABELS}: {damage}")
        boxes, words = self._index.boxes(position), self._index.words(position)
        problems = []
        if len(words) != len(boxes):
            said = f"{len(words)} words and {len(boxes)} boxes; kept without their texts"
            problems = [Problem(f"{_LABELS}: {name}", said)]
            words = [""] * len(boxes)
        numbered = enumerate(zip(boxes, words, strict=True), start=1)
        return parse_instances(numbered, f"{_LABELS}: {name}", _parse_word, problems, show=lambda word: word[1])

    def _position(self, index: int) -> int:
        """Where picture `index` of the split stands in `gt.mat`."""
        index = range(len(self))[index]
        if self.split == "validation":
            return index * _VALIDATION_EVERY
        return index + index // (_VALIDATION_EVERY - 1) + 1 if self.split == "train" else index


def _parse_word(word: tuple[Float32[np.ndarray, "4 2"], str]) -> Instance:
    box, text = word
    return Instance(as_polygon(box[:, 0].tolist(), box[:, 1].tolist()), False, text)
