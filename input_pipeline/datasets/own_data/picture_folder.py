"""Formats that keep the labels of each picture in a file of its own."""

import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import ClassVar

from dbnet_jax.file_names import is_hidden
from dbnet_jax.images.decode import PICTURE_SUFFIXES
from dbnet_jax.paths import in_bucket
from input_pipeline.datasets.own_data.base import LabelledPictures, LabelNames
from input_pipeline.datasets.own_data.entries import Identity
from input_pipeline.datasets.parsing.folders import identity

PICTURE_FOLDERS = ("images", "imgs", "JPEGImages")
LABEL_FOLDERS = ("labels", "annotations", "Annotations", "gt")


def _folder_names(*names: str) -> tuple[str, ...]:
    inside = (f"{folder}/{name}" for name in names for folder in LABEL_FOLDERS)
    return (*names, *inside, *(f"{name}_gts" for name in names))


class PictureFolder(LabelledPictures):
    """A folder of pictures and label files for each split, or one for all; see `layout`.

    Pictures lie beside their labels, or in `images` (`imgs`) and the labels in `labels` (`annotations`, `gt`). The
    folder of a split holds both, or both hold a folder for each split. The official DB code's folders, `train_images`
    and `train_gts`, are read too. Folders may hold folders: `images/a/1.jpg` belongs to `labels/a/1.txt`, and its name
    is `a/1.jpg`.
    """

    layout = """\
    train/       pictures and their labels, or images/ and labels/ (annotations/, gt/)
    validation/  (or val/) the same; may be missing
    test/        the same; may be missing
or  images/train, labels/train, images/validation …
or  train_images/, train_gts/, test_images/, test_gts/
or  without folders for the splits: pictures and labels, or images/ and labels/"""
    label_names = LabelNames(
        train=(*_folder_names("train"), "."),
        validation=_folder_names("validation", "val"),
        test=_folder_names("test"),
    )
    label_suffix: ClassVar[str]

    def has_labels(self, path: pathlib.Path) -> bool:
        """Whether a folder holds labels, or one beside or in it does."""
        return any(True for _ in self.label_files(path))

    def label_files(self, labels: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
        """Every label file of a split's folder, each with its name below the folder of labels that it lies in."""
        seen: set[Identity] = set()
        for folder in (
            *(labels / name for name in LABEL_FOLDERS),
            labels,
            *(labels / name for name in PICTURE_FOLDERS),
        ):
            yield from _tree(folder, {self.label_suffix}, seen)

    def pictures(self, labels: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
        """The pictures of a split's folder with their names; of the folders where they may lie, the first with any."""
        folders = [*(labels / name for name in PICTURE_FOLDERS), labels]
        if labels.name.endswith("_gts"):
            folders.append(labels.with_name(labels.name.removesuffix("_gts") + "_images"))
        if labels.parent.name in LABEL_FOLDERS:
            folders += [labels.parent.parent / name / labels.name for name in PICTURE_FOLDERS]
        return next((found for folder in folders if (found := _tree(folder, PICTURE_SUFFIXES, set()))), [])


def spread(files: Sequence[pathlib.Path], most: int) -> Sequence[pathlib.Path]:
    """At most `most` files, at even distances."""
    return files[:: max(1, -(-len(files) // most))]


# Of those in a folder of pictures or labels, the ones that are looked into by their names.
_OF_THEIR_OWN = {
    *PICTURE_FOLDERS,
    *LABEL_FOLDERS,
    *("train", "validation", "val", "test"),
    *(f"{split}_{kind}" for split in ("train", "validation", "val", "test") for kind in ("images", "gts")),
}


def _tree(folder: pathlib.Path, suffixes: Collection[str], seen: set[Identity]) -> list[tuple[str, pathlib.Path]]:
    """The files of these suffixes in a folder and the folders in it, each with its path from there, in order.

    Folders in `seen` are left out, and all others are added to it. A link may lead back to where it came from, and
    `annotations` and `Annotations` are one folder on the discs of Macs and Windows.
    """
    found: dict[str, pathlib.Path] = {}
    waiting = [("", folder)]
    while waiting:
        start, inner = waiting.pop()
        try:
            key = identity(inner)
            entries: Iterable[os.DirEntry[str] | pathlib.Path] = (
                inner.iterdir() if in_bucket(inner) else os.scandir(inner)
            )
            listed = sorted(entries, key=lambda file: file.name)
        except OSError:  # no folder, or not ours to read
            continue
        if key in seen:
            continue
        seen.add(key)
        for file in listed:
            if is_hidden(file.name):
                continue
            if pathlib.PurePath(file.name).suffix.lower() in suffixes:
                found[start + file.name] = inner / file.name
            elif (start or file.name not in _OF_THEIR_OWN) and _is_folder(file):
                waiting.append((f"{start}{file.name}/", inner / file.name))
    return sorted(found.items())


def _is_folder(file: os.DirEntry[str] | pathlib.Path) -> bool:
    # A link to itself is an error to `is_dir`, and no folder to os.path.
    return os.path.isdir(os.fspath(file)) if file.is_symlink() else file.is_dir()
