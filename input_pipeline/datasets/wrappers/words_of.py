"""The words of a data set as samples of their own: a recogniser's crops."""

import dataclasses
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from dbnet_jax.characters import CharacterSet
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.wrappers.base import Wrapper

_AROUND = 0.3  # of a word's height, that its part of the picture reaches beyond it
_LARGEST = 96  # pixels of height; a larger word's part of the picture is shrunk
_LISTED = 64  # pictures whose words are listed at a time


class WordsOf(Wrapper):
    """Each word of a data set, with the part of its picture around it. Ignored words and those without text are left
    out; so are texts with a character that the set lacks, which `problems` lists.

    The parts of a picture are cut when its first word is asked for, and kept: they are small. Where they have no room,
    those of the pictures that were not asked for the longest give way.

    Where only the samples contain the texts, as of rendered pictures, all of them are made here once, in threads.

    **Arguments:** `dataset`: has polygons and texts; `characters`: what texts may consist of; `most_bytes`: bytes of
    pixels to keep.
    """

    def __init__(self, dataset: Dataset, characters: CharacterSet, most_bytes: float = float("inf")):
        super().__init__(dataset)
        self._characters = characters
        problems = Problems()
        problems.extend(dataset.problems)
        self._words: list[tuple[int, int]] = []
        self._parts: OrderedDict[int, Mapping[int, Sample]] = OrderedDict()  # the last one was asked for last
        self._left = most_bytes
        self._lock = threading.Lock()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(dataset), _LISTED):
                indices = range(start, min(start + _LISTED, len(dataset)))
                for index, texts in zip(indices, pool.map(self._counted_texts, indices), strict=True):
                    self._list_words(index, texts, problems)
        self.problems = problems.listed()

    def _counted_texts(self, index: int) -> Sequence[str] | BadPicture:
        """The text of each word of a picture; "" where the word is ignored."""
        try:
            annotation = self.dataset.annotation(index) or self.dataset[index]
        except BadPicture as error:
            return error
        # A data set without texts has no word to read.
        counted = zip(annotation.texts, annotation.ignore, strict=False)
        return ["" if ignored else text for text, ignored in counted]

    def _list_words(self, index: int, texts: Sequence[str] | BadPicture, problems: Problems) -> None:
        name = self.dataset.name(index)
        if isinstance(texts, BadPicture):
            problems.add(Problem.at(name, str(texts)))
            return
        for place, text in enumerate(texts):
            if not text:
                continue
            if unknown := self._characters.unknown(text):
                problem = Problem(name, f"{text!r} is left out: the character set lacks {unknown!r}")
                problems.add(problem, "texts with unknown characters")
                continue
            self._words.append((index, place))

    def __len__(self) -> int:
        return len(self._words)

    def name(self, index: int) -> str:
        picture, place = self._words[index]
        return f"{self.dataset.name(picture)}#{place + 1}"

    def annotation(self, index: int) -> None:
        return None

    def origin(self, index: int) -> tuple[str, int]:
        return "", len(self)

    @property
    def pass_length(self) -> int:
        return len(self)

    def __getitem__(self, index: int) -> Sample:
        picture, place = self._words[index]
        part = self._parts_of(picture).get(place)
        if part is None:
            raise BadPicture(f"{self.name(index)}: the word lies outside of its picture")
        return dataclasses.replace(part, name=self.name(index))

    def _parts_of(self, picture: int) -> Mapping[int, Sample]:
        """The part of a picture around each of its words."""
        with self._lock:
            if picture in self._parts:
                self._parts.move_to_end(picture)
                return self._parts[picture]
        parts = self._cut(picture)
        with self._lock:
            if picture not in self._parts:
                self._parts[picture] = parts
                self._left -= _pixel_bytes(parts)
            while self._left < 0:
                self._left += _pixel_bytes(self._parts.popitem(last=False)[1])
        return parts

    def _cut(self, picture: int) -> dict[int, Sample]:
        sample = self.dataset[picture]
        annotation = self.dataset.annotation(picture) or sample
        # A crop's label does not give its outline; a photo's label may have outlines that lie outside of the photo.
        same = len(sample.polygons) == len(annotation.polygons)
        parts = {}
        polygons = sample.polygons if same else annotation.polygons
        for place, (polygon, ignored) in enumerate(zip(polygons, annotation.ignore, strict=True)):
            part = None if ignored else _part(sample, polygon)
            if part is not None:
                parts[place] = dataclasses.replace(part, texts=[annotation.texts[place]] if annotation.texts else [])
        return parts


def _pixel_bytes(parts: Mapping[int, Sample]) -> int:
    return sum(part.image.nbytes for part in parts.values())


def _part(sample: Sample, polygon: Polygon) -> Sample | None:
    """The part of a picture around a polygon; None where nothing of it is in the picture."""
    high = min(cv2.minAreaRect(polygon.astype(np.float32))[1])
    room = _AROUND * high + 2
    size = np.array(sample.image.shape[1::-1])
    left, top = np.clip(np.floor(polygon.min(0) - room).astype(int), 0, size).tolist()
    right, bottom = np.clip(np.ceil(polygon.max(0) + room).astype(int), 0, size).tolist()
    image, moved = sample.image[top:bottom, left:right], (polygon - np.array([left, top])).astype(np.float32)
    if 0 in image.shape:
        return None
    scale = min(1.0, _LARGEST / max(high, 1.0))
    if scale < 1:
        target = tuple(max(1, round(scale * side)) for side in image.shape[1::-1])
        moved = moved * (np.array(target) / np.array(image.shape[1::-1]))
        image = np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), np.uint8)
    return Sample(sample.name, np.ascontiguousarray(image), [moved.astype(np.float32)], [False])
