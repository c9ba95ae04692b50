"""Formats that keep the labels of each picture in a file of its own."""

import pathlib
from collections.abc import Iterator
from typing import ClassVar

from dbnet_jax.decode import PICTURE_SUFFIXES
from input_pipeline.datasets.labelled import LabelledPictures, LabelNames

PICTURE_FOLDERS = ("images", "imgs")
LABEL_FOLDERS = ("labels", "annotations", "gt")


def _folder_names(*names: str) -> tuple[str, ...]:
    inside = (f"{folder}/{name}" for name in names for folder in LABEL_FOLDERS)
    return (*names, *inside, *(f"{name}_gts" for name in names))


class PictureFolder(LabelledPictures):
    """A folder of pictures and label files for each split, or one for all; see `layout`.

    Pictures lie beside their labels, or in `images` (`imgs`) and the labels in `labels` (`annotations`, `gt`). The
    folder of a split holds both, or both hold a folder for each split. The official DB code's folders, `train_images`
    and `train_gts`, are read too.
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

    def label_files(self, labels: pathlib.Path) -> Iterator[pathlib.Path]:
        """Every label file of a split's folder."""
        for folder in (
            *(labels / name for name in LABEL_FOLDERS),
            labels,
            *(labels / name for name in PICTURE_FOLDERS),
        ):
            yield from _listing(folder, {self.label_suffix})

    def pictures(self, labels: pathlib.Path) -> list[pathlib.Path]:
        """The pictures of a split's folder; of the folders where they may lie, the first that holds any."""
        folders = [*(labels / name for name in PICTURE_FOLDERS), labels]
        if labels.name.endswith("_gts"):
            folders.append(labels.with_name(labels.name.removesuffix("_gts") + "_images"))
        if labels.parent.name in LABEL_FOLDERS:
            folders += [labels.parent.parent / name / labels.name for name in PICTURE_FOLDERS]
        return next((found for folder in folders if (found := _listing(folder, PICTURE_SUFFIXES))), [])


def _listing(folder: pathlib.Path, suffixes: set[str]) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    # Archives made on a Mac carry a "._img_1.jpg" beside each "img_1.jpg".
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))
