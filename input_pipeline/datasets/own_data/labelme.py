"""LabelMe's JSON: a file a picture."""

import os
import pathlib
import posixpath
from collections.abc import Iterator
from typing import Any

from dbnet_jax.file_names import same_name
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.entries import Entry, Size
from input_pipeline.datasets.own_data.label_file import as_line
from input_pipeline.datasets.own_data.picture_folder import PictureFolder
from input_pipeline.datasets.parsing.annotations import Instance, is_ignored_text, parse_instances
from input_pipeline.datasets.parsing.folders import find_file, read_bytes
from input_pipeline.datasets.parsing.json_values import (
    as_flag,
    as_list,
    as_object,
    as_points,
    as_size,
    as_text,
    box_polygon,
    parse_json,
    read_json,
    shorten,
)
from input_pipeline.datasets.sample import Annotation

_OUTLINES = ("polygon", "rotation", "oriented_rectangle", "quadrilateral")


class LabelMe(PictureFolder):
    """A JSON file a picture, as LabelMe (https://github.com/wkentaro/labelme) and tools after it write them.

    - Each of `shapes` is an instance: a "polygon" (also "rotation", "oriented_rectangle", "quadrilateral") of
      `points` [[x, y], …], or a "rectangle" of two opposite corners; its `label` is the transcription. Other
      shapes are reported.
    - Ignored text has the label `###`, the flag "ignore", or "difficult" as some tools write it.
    - The picture is NAME.jpg (.png …) of NAME.json, or where there is none, the one that `imagePath` names. A
      picture without a JSON file is reported and left out: LabelMe writes none for what it was not asked to save.
    """

    title = "LabelMe's format"
    layout = f"{PictureFolder.layout}\nLabels of NAME.jpg are called NAME.json."
    label_suffix = ".json"

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        pictures = self.pictures(labels)
        by_stem = {same_name(_stem(name)): (name, path) for name, path in pictures}
        by_stem |= {_stem(name): (name, path) for name, path in pictures}
        used: set[str | pathlib.Path] = set()
        for place, file in self.label_files(labels):
            if picture := by_stem.get(_stem(place)) or by_stem.get(same_name(_stem(place))):
                used.add(picture[1])
                yield Entry(picture[0], (picture[1],), place, label_file=file)
                continue
            try:
                name = _image_path(file)
            except ValueError as error:
                problems.add(Problem("", f"{error}; left out"), "bad label files")
                continue
            paths = _beside(file, name)
            if found := find_file(paths):
                used.add(os.path.realpath(found))
            name = posixpath.normpath(posixpath.join(posixpath.dirname(place), name.replace("\\", "/")))
            yield Entry(name, paths, place, label_file=file)
        for name, path in pictures:
            if path not in used and os.path.realpath(path) not in used:
                problems.add(Problem(name, "has no label file; left out"), "pictures without a label file")

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        assert entry.label_file is not None
        try:
            document, doubts = _read(read_bytes(entry.label_file), entry.place, entry.label_file)
            document = as_object(document, "document")
            shapes = as_list(document.get("shapes"), "shapes")
        except BadPicture:
            raise
        except ValueError as error:
            raise BadPicture(f"{entry.name}: its labels cannot be used: {error}") from error
        size = as_size(document.get("imageWidth"), document.get("imageHeight"))
        lines = [(i, as_line(shape)) for i, shape in enumerate(shapes, 1)]
        return parse_instances(lines, entry.place, _parse_shape, doubts), size


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _image_path(file: pathlib.Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file.name}: cannot be read: {error.strerror or error}") from error
    name = _named(_read(data, file.name, file)[0])
    if not name:
        raise ValueError(f"{file.name}: no picture of this name, and no `imagePath` in it")
    return name


def _read(data: bytes, name: str, file: pathlib.Path) -> tuple[Any, list[Problem]]:
    """The document of a label file, in the encoding in which the picture that it names exists; see `read_json`."""
    return read_json(data, name, lambda document: int(find_file(_beside(file, _named(document))) is not None))


def _named(document: Any) -> str:
    """The picture that a document names; "" where it names none."""
    name = document.get("imagePath") if isinstance(document, dict) else None
    return name if isinstance(name, str) and name.strip() else ""


def _beside(file: pathlib.Path, name: str) -> tuple[pathlib.Path, ...]:
    """The paths that a label file may mean: as it is written first, then with the backslashes of Windows as `/`."""
    return tuple(file.parent / path for path in dict.fromkeys((name, name.replace("\\", "/"))))


def _parse_shape(line: str) -> Instance:
    shape: dict[str, Any] = as_object(parse_json(line, "the shape"), "shape")
    kind = shape.get("shape_type") or "polygon"  # which the first releases did not write
    points = as_points(shape.get("points"), "points")
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        points = box_polygon(left, top, right, bottom)
    elif kind not in (*_OUTLINES, "rectangle"):
        raise ValueError(f"a shape of type {shorten(kind)} is no outline of text")
    text = as_text(shape.get("label"), "label")
    flags = as_object(shape.get("flags") or {}, "flags")
    ignore = as_flag(flags.get("ignore"), "ignore") or as_flag(shape.get("difficult"), "difficult")
    return Instance(points, ignore or is_ignored_text(text), text)
