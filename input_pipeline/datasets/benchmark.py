"""What the readers of published benchmarks share: folders of pictures and of annotation files, and splits."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator
from typing import ClassVar

from dbnet_jax.decode import PICTURE_SUFFIXES, BadPicture, decode_image
from input_pipeline.datasets.annotations import Annotation, make_sample
from input_pipeline.datasets.sample import Sample

SPLITS = ("train", "validation", "trainval", "test")
VALIDATION_EVERY = 10
_NAMED = 8  # file names shown in one message


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where an official set lies below the data set's folder, as patterns of folder names.

    **Arguments:**

    - `pictures`: the first folder that holds pictures is taken.
    - `annotations`: all that exist are taken; where two hold a picture's annotation file, the first one wins.
    """

    pictures: tuple[str, ...]
    annotations: tuple[str, ...]


class Benchmark:
    """Pictures in one folder, their annotation files in another, read when they are asked for.

    The pictures of the official training folder are sorted by the integer in their names. Those at positions
    0, 10, 20, … are the split "validation", the others are "train", and "trainval" is both, in this order:
    the official training set whole. "test" is the official test set, in the same order.

    A picture without an annotation file, or one that cannot be decoded, raises `BadPicture` when it is asked
    for; annotation files without a picture are named in `problems`.

    **Arguments:**

    - `folder`: where the data set was unpacked.
    - `split`: one of `SPLITS`.

    **Raises:** `ValueError` if the split is unknown; `FileNotFoundError`, saying which layout is expected,
    what was found and where to get the data set, if the split has no pictures there.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    layout: ClassVar[str]
    train_folders: ClassVar[Folders]
    test_folders: ClassVar[Folders]
    annotation_suffix: ClassVar[str]

    def __init__(self, folder: str | os.PathLike[str], split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"`split` (={split!r}) must be one of {', '.join(SPLITS)}")
        self.folder, self.split = pathlib.Path(folder), split
        folders = self.test_folders if split == "test" else self.train_folders
        pictures = self._pictures(folders)
        annotations = self._annotations(folders)
        found = [self._find_annotation(picture, annotations) for picture in pictures]
        positions = _split_positions(len(pictures), split)
        if not positions:
            raise FileNotFoundError(self._complaint(f"{len(pictures)} pictures, none of them in this split"))
        self._files = [(pictures[position], found[position]) for position in positions]
        self.problems = _unused(annotations, found)

    @classmethod
    def annotation_names(cls, picture: pathlib.Path) -> tuple[str, ...]:
        """The names that the annotation file of a picture may have."""
        raise NotImplementedError

    @classmethod
    def parse(cls, data: bytes, file: str) -> Annotation:
        """Parses the content of an annotation file; `file` is its name, for messages."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        """The file name of picture `index`, without reading it."""
        return self._files[index][0].name

    def files(self) -> Iterator[pathlib.Path]:
        """Every file that the samples are read from."""
        for picture, annotation in self._files:
            yield picture
            if annotation is not None:
                yield annotation

    def picture(self, index: int) -> bytes:
        """The encoded picture. **Raises:** `BadPicture` if it cannot be read."""
        return _read(self._files[index][0])

    def annotation(self, index: int) -> Annotation:
        """The text of picture `index`, alone. **Raises:** `BadPicture` if there is no annotation file."""
        picture, annotation = self._files[index]
        if annotation is None:
            raise BadPicture(f"{picture.name}: has no annotation file {' or '.join(self.annotation_names(picture))}")
        return self.parse(_read(annotation), annotation.name)

    def __getitem__(self, index: int) -> Sample:
        """**Raises:** `BadPicture` if the picture or its annotation file is missing or cannot be read."""
        annotation = self.annotation(index)
        return make_sample(self.name(index), decode_image(self.picture(index), self.name(index)), annotation)

    def _pictures(self, folders: Folders) -> list[pathlib.Path]:
        for folder in _existing(self.folder, folders.pictures):
            pictures = [path for path in _listing(folder) if path.suffix.lower() in PICTURE_SUFFIXES]
            if pictures:
                return sorted(pictures, key=lambda path: (_integer(path.stem), path.name))
        raise FileNotFoundError(self._complaint(_describe(self.folder)))

    def _annotations(self, folders: Folders) -> dict[str, pathlib.Path]:
        listed = [
            {path.name: path for path in _listing(folder) if path.suffix.lower() == self.annotation_suffix}
            for folder in _existing(self.folder, folders.annotations)
        ]
        if not any(listed):
            raise FileNotFoundError(self._complaint(_describe(self.folder) + "; no annotation files"))
        return {name: path for files in reversed(listed) for name, path in files.items()}

    def _find_annotation(self, picture: pathlib.Path, annotations: dict[str, pathlib.Path]) -> pathlib.Path | None:
        names = self.annotation_names(picture)
        return next((annotations[name] for name in names if name in annotations), None)

    def _complaint(self, found: str) -> str:
        return (
            f"no {self.split} pictures of {self.title} in {self.folder}\n"
            f"expected there:\n{self.layout}\n"
            f"found: {found}\nwhere to get it: {self.source}"
        )


def _split_positions(count: int, split: str) -> list[int]:
    if split in ("trainval", "test"):
        return list(range(count))
    return [position for position in range(count) if (position % VALIDATION_EVERY == 0) == (split == "validation")]


def _integer(stem: str) -> int:
    digits = re.search(r"\d+", stem)
    return int(digits[0]) if digits else -1


def _listing(folder: pathlib.Path) -> list[pathlib.Path]:
    # Archives made on a Mac carry a "._img_1.jpg" beside each "img_1.jpg".
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _existing(root: pathlib.Path, patterns: tuple[str, ...]) -> list[pathlib.Path]:
    return [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_dir()]


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"{path.name}: cannot be read: {error.strerror or error}") from error


def _unused(annotations: dict[str, pathlib.Path], found: list[pathlib.Path | None]) -> list[str]:
    names = sorted(set(annotations) - {path.name for path in found if path is not None})
    return [f"annotation files without a picture: {_enumerate(names)}"] if names else []


def _describe(folder: pathlib.Path) -> str:
    if not folder.is_dir():
        return "there is no such folder" if not folder.exists() else "it is not a folder"
    names = [path.name + "/" * path.is_dir() for path in _listing(folder)]
    return _enumerate(names) if names else "the folder is empty"


def _enumerate(names: list[str]) -> str:
    more = f" … ({len(names)} in all)" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
