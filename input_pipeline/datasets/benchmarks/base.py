"""What the readers of published benchmarks share: folders of pictures and of annotation files, and splits."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from dbnet_jax.file_names import same_name
from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture, decode_image
from dbnet_jax.messages import Problem, check_choice, plural
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image
from input_pipeline.datasets.parsing.annotations import Instance, make_sample, parse_instances, text_lines
from input_pipeline.datasets.parsing.folders import describe, enumerate_names, existing, listing, read_bytes
from input_pipeline.datasets.sample import Annotation, Dataset, Sample

SPLITS = ("train", "validation", "trainval", "test")
VALIDATION_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where an official set lies below the data set's folder, as patterns of folder names; "." is the folder itself.

    **Arguments:**

    - `pictures`: the first folder that holds pictures is taken.
    - `annotations`: all that exist are taken; where two hold a picture's annotation file, the first one wins.
    - `together`: whether the pictures of all the folders are taken; one set may be unpacked into several folders.
    """

    pictures: tuple[str, ...]
    annotations: tuple[str, ...]
    together: bool = False


@dataclasses.dataclass(frozen=True)
class _File:
    """A picture and its annotation, at `position` of the official set `part`; `prefix` goes before their names."""

    picture: pathlib.Path
    annotation: pathlib.Path | None
    part: str
    position: int
    prefix: str


class Benchmark(Dataset):
    """Pictures in one folder, their annotation files in another, read when they are asked for.

    The pictures of the official training folder are sorted by the integer in their names. Those at positions
    0, 10, 20, … are the split "validation", the others are "train", and "trainval" is both, in this order:
    the official training set whole. "test" is the official test set, in the same order. Where a benchmark has a
    validation set of its own (`validation_folders`), that is "validation", the training set is "train", and
    "trainval" is the one after the other, where `train_` and `validation_` go before the names. Where it has none and
    nothing is held back (`absent`), "train" and "trainval" are the same.

    A picture without an annotation file, or one that cannot be decoded, raises `BadPicture` when it is read. `problems`
    lists annotation files without a picture, and a number of pictures that differs from the release (`counts`).

    **Arguments:**

    - `folder`: where the data set was unpacked.
    - `split`: one of `SPLITS`.

    **Raises:** `ValueError` if the split is unknown; `FileNotFoundError`, saying which layout is expected,
    what was found and where to get the data set, if the split has no pictures there, or that the benchmark has
    no such split.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    layout: ClassVar[str]
    train_folders: ClassVar[Folders]
    validation_folders: ClassVar[Folders | None] = None
    test_folders: ClassVar[Folders | None] = None
    annotation_suffix: ClassVar[str | tuple[str, ...]]
    annotation_patterns: ClassVar[tuple[str, ...]]  # names of the annotation file of a picture, by its {name} or {stem}
    counts: ClassVar[dict[str, int]] = {}
    absent: ClassVar[dict[str, str]] = {}  # splits that the benchmark does not have: why, and what to do
    turned: ClassVar[tuple[str, ...]] = ()  # pictures whose labels follow the EXIF orientation, as all others' do not

    def __init__(self, folder: str | os.PathLike[str], split: str = "train"):
        self.folder, self.split = as_path(folder), self._checked(split)
        self.problems: list[Problem] = []
        self._files = [file for part in self._parts() for file in self._read_part(part)]

    @classmethod
    def annotation_names(cls, picture: pathlib.Path) -> tuple[str, ...]:
        """The names that the annotation file of a picture may have."""
        return tuple(pattern.format(name=picture.name, stem=picture.stem) for pattern in cls.annotation_patterns)

    @classmethod
    def parse(cls, data: bytes, file: str) -> Annotation:
        """Parses the content of an annotation file, by default with one instance a line.

        **Arguments:** `data`; `file`: the name of the file, for messages.

        **Raises:** `BadPicture` if no line can be used: the picture would seem to be without text.
        """
        lines, problems = text_lines(data, file)
        return parse_instances(lines, file, cls.parse_line, problems)

    @staticmethod
    def parse_line(line: str) -> Instance:
        """Parses one line. **Raises:** `ValueError` with the reason if it cannot be used."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        file = self._files[index]
        return file.prefix + file.picture.name

    def place(self, index: int) -> tuple[str, int]:
        """Which of the splits "train", "validation" and "test" picture `index` belongs to, and its position there."""
        if self.split != "trainval":
            return self.split, range(len(self))[index]
        file = self._files[index]
        if self.validation_folders is not None or "validation" in self.absent:
            return file.part, file.position
        tens, rest = divmod(file.position, VALIDATION_EVERY)
        return ("validation", tens) if rest == 0 else ("train", file.position - tens - 1)

    def files(self) -> Iterator[pathlib.Path]:
        """Every file that the samples are read from."""
        for file in self._files:
            yield file.picture
            if file.annotation is not None:
                yield file.annotation

    def picture(self, index: int) -> bytes:
        """The encoded picture. **Raises:** `BadPicture` if it cannot be read."""
        return read_bytes(self._files[index].picture)

    def annotation(self, index: int) -> Annotation:
        """The text of picture `index`, alone. **Raises:** `BadPicture` if there is no annotation file."""
        file = self._files[index]
        if file.annotation is None:
            names = " or ".join(dict.fromkeys(self.annotation_names(file.picture)))
            raise BadPicture(f"{self.name(index)}: has no annotation file {names}")
        return self.parse(read_bytes(file.annotation), file.prefix + file.annotation.name)

    def __getitem__(self, index: int) -> Sample:
        annotation = self.annotation(index)
        return self.sample(self.name(index), self.picture(index), annotation)

    @classmethod
    def sample(cls, name: str, picture: bytes, annotation: Annotation) -> Sample:
        """A picture and its annotation as a sample, the picture decoded as its labels want it (see `turned`).

        **Raises:** `BadPicture` if it cannot be decoded.
        """
        turned = name in cls.turned
        image = decode_image(picture, name, follow_exif=turned)
        if turned and not _holds(image, annotation):
            # Outlines that only the stored pixels hold belong to these, whatever is said of the picture.
            stored = decode_image(picture, name)
            image = stored if _holds(stored, annotation) else image
        return make_sample(name, image, annotation)

    def _checked(self, split: str) -> str:
        check_choice("split", split, SPLITS)
        if split in self.absent:
            raise FileNotFoundError(f"{self.title} has no split {split!r}: {self.absent[split]}")
        return split

    def _parts(self) -> tuple[str, ...]:
        """The official sets that the split is made of."""
        if self.split == "test":
            return ("test",)
        if self.validation_folders is None:
            return ("train",)
        return ("train", "validation") if self.split == "trainval" else (self.split,)

    def _read_part(self, part: str) -> list[_File]:
        """The files that the split takes of an official set; adds to `problems`."""
        sets = {"train": self.train_folders, "validation": self.validation_folders, "test": self.test_folders}
        folders = sets[part]
        if folders is None:
            raise NotImplementedError(f"{type(self).__name__} names no folders of its {part} set")
        pictures = self._pictures(folders)
        annotations = self._annotations(folders)
        self.problems += [*self._miscount(len(pictures), part), *self._unused(annotations, pictures)]
        # Both sets may number their pictures from 1.
        prefix = f"{part}_" if len(self._parts()) > 1 else ""
        positions = self._positions(len(pictures))
        if not positions:
            raise FileNotFoundError(self._complaint(_too_few(len(pictures))))
        return [
            _File(pictures[position], self._find_annotation(pictures[position], annotations), part, position, prefix)
            for position in positions
        ]

    def _positions(self, count: int) -> list[int]:
        whole = self.split in ("trainval", "test") or self.validation_folders is not None or "validation" in self.absent
        held = self.split == "validation"
        return [i for i in range(count) if whole or (i % VALIDATION_EVERY == 0) == held]

    def _pictures(self, folders: Folders) -> list[pathlib.Path]:
        found: dict[str, pathlib.Path] = {}
        for folder in existing(self.folder, folders.pictures):
            listed = {path.name: path for path in listing(folder) if path.suffix.lower() in PICTURE_SUFFIXES}
            found = {**listed, **found}
            if found and not folders.together:
                break
        if not found:
            raise FileNotFoundError(self._complaint(describe(self.folder)))
        return sorted(found.values(), key=lambda path: (_integer(path.stem), path.name))

    def _annotations(self, folders: Folders) -> dict[str, pathlib.Path]:
        listed = [
            {path.name: path for path in listing(folder) if path.name.lower().endswith(self.annotation_suffix)}
            for folder in existing(self.folder, folders.annotations)
        ]
        if not any(listed):
            raise FileNotFoundError(self._complaint(describe(self.folder) + "; no annotation files"))
        found = {name: path for files in reversed(listed) for name, path in files.items()}
        # By other spellings too: img_1.TXT belongs to img_1.jpg where there is no img_1.txt.
        return {**{same_name(name).lower(): path for name, path in found.items()}, **found}

    def _find_annotation(self, picture: pathlib.Path, annotations: dict[str, pathlib.Path]) -> pathlib.Path | None:
        names = [spelling for name in self.annotation_names(picture) for spelling in (name, same_name(name).lower())]
        return next((annotations[name] for name in names if name in annotations), None)

    def _miscount(self, count: int, part: str) -> list[Problem]:
        released = self.counts.get(part, count)
        said = f"{plural(count, f'{part} picture')} where the release has {released}"
        return [Problem("", said)] if count != released else []

    def _unused(self, annotations: dict[str, pathlib.Path], pictures: list[pathlib.Path]) -> list[Problem]:
        known = {same_name(name).lower() for picture in pictures for name in self.annotation_names(picture)}
        names = sorted({path.name for name, path in annotations.items() if same_name(name).lower() not in known})
        return [Problem("annotation files without a picture", enumerate_names(names), len(names))] if names else []

    def _complaint(self, found: str) -> str:
        return (
            f"no {self.split} pictures of {self.title} in {self.folder}\n"
            f"expected there:\n{self.layout}\n"
            f"found: {found}\nwhere to get it: {self.source}"
        )


def _holds(image: Image, annotation: Annotation) -> bool:
    """Whether all outlines lie in the picture, give or take what a hand misses."""
    return all((polygon < np.add(image.shape[1::-1], 3)).all() for polygon in annotation.polygons)


def _too_few(count: int) -> str:
    # The first of each ten is held out.
    only = ", which is held out as 'validation'" if count == 1 else ", none of them in this split"
    return plural(count, "picture") + only


def _integer(stem: str) -> int:
    digits = re.search(r"\d+", stem)
    return int(digits[0]) if digits else -1
