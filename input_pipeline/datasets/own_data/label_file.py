"""Formats that keep the labels of many pictures in one file."""

import itertools
import json
import pathlib
import posixpath
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.base import LabelledPictures
from input_pipeline.datasets.own_data.entries import Entry, Size, locate
from input_pipeline.datasets.own_data.stored_names import stored_names
from input_pipeline.datasets.parsing.annotations import Instance, parse_instances
from input_pipeline.datasets.parsing.encodings import decode_text
from input_pipeline.datasets.parsing.folders import read_bytes
from input_pipeline.datasets.parsing.json_values import as_object, as_text, parse_document, parse_json, shorten, unpack
from input_pipeline.datasets.sample import Annotation

_TELLING = 200  # pictures that are enough to choose between encodings
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class LabelFile(LabelledPictures):
    """A file of labels for each split; the picture's instances are kept as lines of JSON until they are asked for.

    A class says in `read_pictures` what the document's parts are, and in `parse_instance` what one of them means. Where
    the file is not one JSON document, it says in `read_text` what the file is.
    """

    picture_folders: ClassVar[tuple[str, ...]]
    """Where pictures are looked for, relative to the data set's folder; the label file's own folder comes first."""

    def read_pictures(self, document: Any, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        """The pictures of the document in a label file, each made by `entry`; `problems` lists malformed parts.

        **Raises:** ValueError if the document is something else altogether.
        """
        raise NotImplementedError

    def parse_instance(self, value: Any) -> Instance:
        """One instance. **Raises:** ValueError with the reason where it cannot."""
        raise NotImplementedError

    def read_text(self, text: str, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        """The pictures of the text of a label file; see `read_pictures`."""
        yield from self.read_pictures(parse_document(text, labels.name), labels, problems)

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        def fits(text: str) -> int:
            """How many pictures of a text exist, less those that cannot be read, of the first ones that show it."""
            try:
                entries = self.read_text(text, labels, Problems())
                telling = (entry for entry in entries if entry.unusable or not entry.name.isascii())
                return sum(
                    -1 if entry.unusable else locate(entry) is not None for entry in itertools.islice(telling, _TELLING)
                )
            except ValueError:
                return -_TELLING

        text, doubts = decode_text(unpack(read_bytes(labels), labels.name), labels.name, fits)
        problems.extend(doubts, "not UTF-8")
        try:
            yield from self.read_text(text, labels, problems)
        except ValueError as error:
            raise ValueError("; ".join([str(error), *(doubt.what for doubt in doubts)])) from error

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        return parse_instances(self.instance_lines(entry), entry.place, self._parse_line), entry.size

    def instance_lines(self, entry: Entry) -> Iterable[tuple[int, str]]:
        """The lines of an entry, each of one outline."""
        return entry.lines

    def entry(
        self,
        picture: Any,
        instances: Iterable[Any],
        labels: pathlib.Path,
        *,
        size: Size | None = None,
        split: str = "",
    ) -> Entry:
        """An entry for the picture that the file `labels` calls `picture`.

        **Raises:** ValueError if that is no name.
        """
        if not isinstance(picture, str) or not picture.strip():
            raise ValueError(f"the picture's name (={shorten(picture)}) must be a string")
        slashed = picture.replace("\\", "/")
        stored = stored_names(slashed)
        name = self._tidy(stored[0] if stored else slashed, labels)
        folders = [labels.parent, *(self.folder / folder for folder in self.picture_folders)]
        # As it is written first: a backslash may be a part of a name, or stand for `/` where Windows wrote it.
        paths = tuple(folder / written for written in dict.fromkeys((picture, name, *stored)) for folder in folders)
        lines = tuple((i, as_line(value)) for i, value in enumerate(instances, 1))
        return Entry(name, paths, f"{labels.name}: {name}", lines, size=size, split=split)

    def _tidy(self, name: str, labels: pathlib.Path) -> str:
        """The name that "./1.jpg", "a/../1.jpg" and the absolute path have in common with "1.jpg"."""
        name = posixpath.normpath(name)
        if not name.startswith("/"):
            return name
        for folder in (labels.parent, self.folder):
            start = posixpath.normpath(folder.absolute().as_posix()).rstrip("/") + "/"
            if name.startswith(start):
                return name[len(start) :]
        return name

    def _parse_line(self, line: str) -> Instance:
        return self.parse_instance(parse_json(line, "the instance"))


def as_line(value: Any) -> str:
    """A value of a document as a line of JSON."""
    return _ENCODE(value)


def keyed_objects(value: Any, name: str, file: str, problems: Problems) -> dict[str, dict[str, Any]]:
    """The objects of a list by their "id", or of an object by its keys; `problems` lists the others.

    **Raises:** ValueError if the value is neither.
    """
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = [(row.get("id") if isinstance(row, dict) else None, row) for row in value]
    else:
        raise ValueError(f"{file}: `{name}` must be a list or an object")
    found: dict[str, dict[str, Any]] = {}
    for position, (key, row) in enumerate(pairs):
        try:
            key = as_text(key, "id")
            if not key:
                raise ValueError("an object with an `id` is needed")
            if key in found:
                raise ValueError(f"the id {key[:40]!r} is taken by another")
            found[key] = as_object(row, name)
        except ValueError as error:
            problems.add(Problem(f"{file}: {name}[{position}]", f"{error}; left out"), f"bad entries of {name}")
    return found


def grouped_by_picture(
    rows: Iterable[Any], pictures: dict[str, dict[str, Any]], name: str, file: str, problems: Problems
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each picture, by its key, which a row holds as "image_id".

    `problems` lists the rows that belong to none of `pictures`.
    """
    groups: dict[str, list[dict[str, Any]]] = {key: [] for key in pictures}
    for position, row in enumerate(rows):
        try:
            key = as_text(as_object(row, name).get("image_id"), "image_id")
            if key not in groups:
                raise ValueError(f"there is no picture {key[:40]!r}")
            groups[key].append(row)
        except ValueError as error:
            problems.add(Problem(f"{file}: {name}[{position}]", f"{error}; left out"), f"bad entries of {name}")
    return groups
