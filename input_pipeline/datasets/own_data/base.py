"""What the readers of one's own data share: the pictures of a split, their places, and their problems."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import ClassVar

from dbnet_jax.images.decode import MAX_PIXELS, BadPicture, decode_picture
from dbnet_jax.messages import MOST_OF_A_KIND, Problem, Problems, check_choice
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image
from input_pipeline.datasets.benchmarks.base import SPLITS, VALIDATION_EVERY
from input_pipeline.datasets.own_data.entries import Entry, Size, exclude, locate, merge, natural_order, unique
from input_pipeline.datasets.parsing.annotations import make_sample
from input_pipeline.datasets.parsing.folders import describe, forget_listings, read_bytes
from input_pipeline.datasets.sample import Annotation, Dataset, Sample


@dataclasses.dataclass(frozen=True)
class LabelNames:
    """What labels of each split may be called, relative to the data set's folder; the first that exists is taken.

    A name may have a `*`, which stands for any letters: tools put a date into their names. Of several files, the last
    by name is taken.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class LabelledPictures(Dataset):
    """Pictures with labels that somebody made, in one of the common formats; each class reads one of them.

    A picture that the labels name twice, by whatever path, is used once; one that is "validation" is not in "train".

    The labels of a split are found by their names (`layout`), or at `labels` and `eval_labels`. Where
    there are none of a split "validation", every tenth of the training pictures (positions 0, 10, 20, … in the
    order of their names, in which img_2 comes before img_10) is "validation" and the others are "train". The
    order is the same everywhere. "trainval" is both of them.

    Labels are read at the start, pictures and outlines when they are asked for, from any thread. The
    `problems` of the data set and of its samples list the first ones of each kind, and count the others. A picture that
    is missing or cannot be decoded raises `BadPicture` when it is asked for.

    **Arguments:**

    - `folder`: that holds pictures and labels.
    - `split`: "train", "validation", "trainval" or "test".
    - `labels`: the labels to train from, relative to `folder`: a file, or a folder for the formats that have a
        file a picture; "" finds them by name.
    - `eval_labels`: those of the pictures to score on, be it for "validation" or "test"; "" finds them by name.
    - `follow_exif`: whether pictures are turned upright by their EXIF orientation, as they were when most
        tools showed them to be labelled.
    - `max_pixels`: the most pixels (height × width) of a picture; None: no limit.

    **Raises:** `ValueError` if the split is unknown or the labels cannot be read as a whole;
    `FileNotFoundError`, saying what is expected and what was found, if there are no labels of the split or none
    of its pictures is there.
    """

    title: ClassVar[str]
    layout: ClassVar[str]
    label_names: ClassVar[LabelNames]

    def __init__(
        self,
        folder: str | os.PathLike[str],
        split: str = "train",
        *,
        labels: str = "",
        eval_labels: str = "",
        follow_exif: bool = True,
        max_pixels: int | None = MAX_PIXELS,
    ):
        check_choice("split", split, SPLITS)
        forget_listings()
        self.folder, self.split, self.follow_exif = as_path(folder), split, follow_exif
        self.max_pixels = max_pixels
        self._labels = {"train": labels, "validation": eval_labels, "test": eval_labels}
        self._problems = Problems()
        self._why_empty = "no picture in this split"
        self._entries = self._open()
        self.problems = self._problems.listed()
        unusable = [entry.unusable for entry in self._entries if entry.unusable]
        if len(unusable) == len(self._entries):
            reasons = [*map(str, self.problems), *unusable[:MOST_OF_A_KIND]]
            raise FileNotFoundError("\n".join([self._complaint(self._why_empty), *reasons]))
        self._check_that_some_exist()

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        """The pictures that a file or folder of labels speaks of, in any order.

        **Raises:** `ValueError` if the file cannot be read as a whole.
        """
        raise NotImplementedError

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        """The text of a picture, and the size that its labels are for.

        **Raises:** `BadPicture` if its label file is missing or cannot be read.
        """
        raise NotImplementedError

    def read_picture(self, entry: Entry, path: pathlib.Path) -> bytes:
        """The encoded picture of an entry, which lies at `path`. **Raises:** `BadPicture` if it cannot be read."""
        return read_bytes(path)

    def has_labels(self, path: pathlib.Path) -> bool:
        """Whether there are labels of this format at a path."""
        return path.is_file()

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, index: int) -> str:
        return self._entries[index].name

    def annotation(self, index: int) -> Annotation:
        return self._annotation(self._entries[index])[0]

    def __getitem__(self, index: int) -> Sample:
        image, annotation = self.read(index)
        return make_sample(self.name(index), image, annotation)

    def read(self, index: int) -> tuple[Image, Annotation]:
        """A picture and its labels. **Raises:** BadPicture when one of them cannot be used."""
        entry = self._entries[index]
        annotation, size = self._annotation(entry)
        path = locate(entry)
        if path is None:
            tried = ", ".join(dict.fromkeys(str(path.parent) for path in entry.pictures))
            raise BadPicture(f"{entry.name}: there is no such picture in {tried}")
        data = self.read_picture(entry, path)
        picture = decode_picture(data, entry.name, follow_exif=self.follow_exif, max_pixels=self.max_pixels)
        image = picture.image
        annotation.problems.extend(Problem(entry.name, note) for note in picture.notes)
        if size is not None and size != image.shape[:2]:
            said = (
                f"the picture is {image.shape[1]} wide and {image.shape[0]} high, its labels are for "
                f"{size[1]} and {size[0]}; kept as they are (`follow_exif` is {self.follow_exif})"
            )
            annotation.problems.append(Problem(entry.place, said))
        return image, annotation

    def _annotation(self, entry: Entry) -> tuple[Annotation, Size | None]:
        if entry.unusable:
            raise BadPicture(entry.unusable)
        annotation, size = self.parse_entry(entry)
        if more := max(0, len(annotation.problems) - MOST_OF_A_KIND):
            annotation.problems[MOST_OF_A_KIND:] = [Problem(entry.place, f"… and {more} more problems", more)]
        return annotation, size

    def _open(self) -> list[Entry]:
        if self.split == "test" and (test := self._find("test")):
            return self._read(test)
        held_out = self._find("validation")
        if self.split == "validation" and held_out:
            return self._read(held_out)
        training = self._find("train")
        if training is None:
            raise FileNotFoundError(self._complaint("no labels of it"))
        entries = self._read(training)
        if len({entry.split for entry in entries}) > 1:
            wanted = {"train": ("", "train"), "trainval": ("", "train", "validation")}.get(self.split, (self.split,))
            return [entry for entry in entries if entry.split in wanted]
        if self.split == "test":
            raise FileNotFoundError(self._complaint("no labels of it"))
        if held_out:
            others = self._read(held_out)
            if self.split == "trainval":
                return merge(entries, others, self._problems)
            self._why_empty = "all of its pictures are to be scored on"
            return exclude(entries, others, self._problems)
        if self.split == "trainval":
            return entries
        held = self.split == "validation"
        if len(entries) == 1 and not held:
            # "trainval" has it in either case.
            self._why_empty = f"its only picture, {entries[0].name}, is held out to be scored on; 'trainval' is with it"
        return [entry for i, entry in enumerate(entries) if (i % VALIDATION_EVERY == 0) == held]

    def _find(self, split: str) -> pathlib.Path | None:
        if given := self._labels[split]:
            if not self.has_labels(self.folder / given):
                option = "labels" if split == "train" else "eval_labels"
                raise FileNotFoundError(self._complaint(f"`{option}` (={given!r}) is not there"))
            return self.folder / given
        paths = (path for name in getattr(self.label_names, split) for path in _latest(self.folder, name))
        return next((path for path in paths if self.has_labels(path)), None)

    def _read(self, labels: pathlib.Path) -> list[Entry]:
        entries = sorted(self.read_entries(labels, self._problems), key=lambda entry: natural_order(entry.name))
        return unique(entries, self._problems)

    def _check_that_some_exist(self) -> None:
        # A wrong folder is an error of the whole; a missing picture here and there is that picture's.
        if not any(locate(entry) for entry in self._entries):
            first = next(entry for entry in self._entries if entry.pictures)
            tried = ", ".join(dict.fromkeys(str(path) for path in first.pictures))
            complaint = self._complaint(f"the labels, but not one picture; the first may lie at {tried}")
            raise FileNotFoundError("\n".join([complaint, *map(str, self.problems)]))

    def _complaint(self, found: str) -> str:
        return (
            f"no {self.split} pictures of {self.title} in {self.folder}: {found}\nexpected there:\n{self.layout}\n"
            f"found: {describe(self.folder)}"
        )


def _latest(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """The paths that a name means, which may have a `*`: the last one first."""
    if "*" not in pattern:
        return [folder / pattern]
    return sorted(folder.glob(pattern), key=lambda path: natural_order(path.name), reverse=True)
