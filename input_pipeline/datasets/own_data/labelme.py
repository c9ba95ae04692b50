"""LabelMe's JSON: a file a picture."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.entries import Entry, Size
from input_pipeline.datasets.own_data.label_file import as_line
from input_pipeline.datasets.own_data.labelme_picture import Pictures, document_of, picture_in, read_document
from input_pipeline.datasets.own_data.picture_folder import PictureFolder, spread
from input_pipeline.datasets.parsing.annotations import Instance, parse_instances
from input_pipeline.datasets.parsing.folders import real_path
from input_pipeline.datasets.parsing.json_values import (
    as_list,
    as_object,
    as_points,
    as_size,
    as_text,
    box_polygon,
    is_marked_ignored,
    parse_json,
    shorten,
)
from input_pipeline.datasets.sample import Annotation

_OUTLINES = ("polygon", "rotation", "oriented_rectangle", "quadrilateral")
_MOST_FILES = 20  # that are read at the start, for what all of them have in common; each may hold a picture


class LabelMe(PictureFolder):
    """A JSON file a picture, as LabelMe (https://github.com/wkentaro/labelme) and tools after it write them.

    - Each of `shapes` is an instance: a "polygon" (also "rotation", "oriented_rectangle", "quadrilateral") of
      `points` [[x, y], …], or a "rectangle" of two opposite corners; its `label` is the transcription. Other
      shapes are reported.
    - For ignored text see `is_marked_ignored`: the label or description `###`, the flag "ignore", "difficult" …
    - The picture of NAME.json is that of `imagePath`, or NAME.jpg (.png …), or `imageData`; see `Pictures`. A
      picture without a JSON file is reported and left out: LabelMe writes none for what it was not asked to save.
    """

    title = "LabelMe's format"
    layout = f"{PictureFolder.layout}\nLabels of NAME.jpg are called NAME.json."
    label_suffix = ".json"

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        files = list(self.label_files(labels))
        pictures = Pictures(self.pictures(labels), [place for place, _ in files])
        used: set[str] = set()
        for place, file in files:
            try:
                name, paths, doubt = pictures.of(place, file)
            except ValueError as error:
                problems.add(Problem("", f"{error}; left out"), "bad label files")
                continue
            if doubt:
                problems.add(Problem(place, doubt), "`imagePath` and the file's name differ")
            used.update(map(real_path, paths))
            yield Entry(name, paths, place, label_file=file)
        for name, path in pictures.real_paths.items():
            if path not in used:
                problems.add(Problem(name, "has no label file; left out"), "pictures without a label file")
        if doubt := _twin(spread([file for _, file in files], _MOST_FILES)):
            problems.add(Problem("", doubt))

    def read_picture(self, entry: Entry, path: pathlib.Path) -> bytes:
        """The picture's file, or `imageData` of the label file. **Raises:** `BadPicture` if it cannot be read."""
        if path != entry.label_file:
            return super().read_picture(entry, path)
        try:
            return picture_in(document_of(path))
        except ValueError as error:
            raise BadPicture(f"{entry.name}: {error}") from error

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        assert entry.label_file is not None
        try:
            document, doubts = read_document(entry.label_file, entry.place)
            document = as_object(document, "document")
            shapes = as_list(document.get("shapes"), "shapes")
        except BadPicture:
            raise
        except ValueError as error:
            raise BadPicture(f"{entry.name}: its labels cannot be used: {error}") from error
        size = as_size(document.get("imageWidth"), document.get("imageHeight"))
        lines = [(i, as_line(shape)) for i, shape in enumerate(shapes, 1)]
        return parse_instances(lines, entry.place, _parse_shape, doubts), size


def _twin(files: Sequence[pathlib.Path]) -> str:
    """The doubt about label files whose shapes have all one label, and differ in another text; "" without one."""
    shapes: list[dict[str, Any]] = []
    for file in files:
        with contextlib.suppress(ValueError):
            found = document_of(file).get("shapes")
            shapes += [shape for shape in found if isinstance(shape, dict)] if isinstance(found, list) else []
    labels = {shape["label"] for shape in shapes if isinstance(shape.get("label"), str)}
    if len(labels) != 1:
        return ""
    texts: dict[str, set[str]] = {}
    for shape in shapes:
        attributes = shape.get("attributes")
        for key, value in {**(attributes if isinstance(attributes, dict) else {}), **shape}.items():
            if isinstance(value, str) and value.strip() and key not in ("label", "shape_type"):
                texts.setdefault(key, set()).add(value)
    twin = next((key for key, values in texts.items() if len(values) > 1), "")
    said = f"the label of every shape is {shorten(*labels)}, and `{twin}` differs, as if that were the transcription"
    return f"{said}; text with `###` in it is ignored, the label is kept as the transcription" if twin else ""


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
    return Instance(points, is_marked_ignored(shape), text)
