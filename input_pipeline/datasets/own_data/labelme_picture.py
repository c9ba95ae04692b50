"""Which picture a file of LabelMe is of: a file that it names, one of its own name, or the picture in itself."""

import base64
import pathlib
import posixpath
import re
from collections.abc import Iterable
from typing import Any

from dbnet_jax.file_names import same_name
from dbnet_jax.messages import Problem
from dbnet_jax.paths import as_path, in_bucket
from input_pipeline.datasets.parsing.folders import find_file, read_bytes, real_path
from input_pipeline.datasets.parsing.json_values import as_object, parse_json, read_json

# Within a string of JSON, quotes have backslashes before them: this is a key.
_IMAGE_PATH = re.compile(rb'"imagePath"\s*:\s*("(?:[^"\\]|\\.)*")')
_UNKNOWN = "\ufffd"  # in the place of bytes that are not UTF-8
_START = 2**16  # bytes in which `imagePath` mostly stands: behind it may be megabytes of the picture


class Pictures:
    """The pictures of a split, and the label files among which each finds its own.

    **Arguments:** `pictures`: names below their folder, and paths; `places`: the label files' names below theirs.
    """

    def __init__(self, pictures: Iterable[tuple[str, pathlib.Path]], places: Iterable[str]):
        self.real_paths = {name: real_path(path) for name, path in pictures}
        self._names = {path: name for name, path in self.real_paths.items()}
        self._by_stem: dict[str, list[str]] = {}
        self._by_same_stem: dict[str, list[str]] = {}
        for name in self.real_paths:
            self._by_stem.setdefault(_stem(name), []).append(name)
            self._by_same_stem.setdefault(same_name(_stem(name)), []).append(name)
        self._labelled = set(map(_stem, places))

    def of(self, place: str, file: pathlib.Path) -> tuple[str, tuple[pathlib.Path, ...], str]:
        """The picture of a label file.

        It is the one that `imagePath` names: beside NAME.json, a mask may have the name NAME.png. A picture of both
        names, beside the file, goes before one elsewhere. Where `imagePath` does not exist, or has a label file of its
        own name, it is the picture of the label file's name; `imagePath` may be of the time before a picture was
        renamed. Where there is none of that name either, it is in the label file itself.

        **Arguments:** `place`, `file`: the label file's name below its folder, and its path.

        **Returns:** the picture's name, where it may lie, and the doubt about it ("" without one).

        **Raises:** ValueError if the file names none, and there is none of its name.
        """
        written = _image_path(file)
        tidy = written.replace("\\", "/")
        named = _paths(file, written)
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(place), tidy))
        found = find_file(named)
        same = self._by_stem.get(_stem(place)) or self._by_same_stem.get(same_name(_stem(place)), [])
        beside = next((one for one in same if _spelled(_base(one)) == _spelled(_base(tidy))), "")
        if found and not beside:
            name = self._names.get(real_path(found), joined)
            other = bool(same) and same_name(_stem(_base(name))) != same_name(_stem(_base(place)))
            if not (other and _stem(name) in self._labelled):
                return name, (found,), f"`imagePath` is {tidy}, which is taken, and not {same[0]}" if other else ""
        if same:
            name = beside or same[0]
            doubt = "" if beside or not found else f"`imagePath` is {tidy}, which has a label file of its own"
            return name, (as_path(self.real_paths[name]),), doubt and f"{doubt}; {name} is taken"
        if document_of(file).get("imageData"):
            return _stem(place) + posixpath.splitext(tidy)[1], (file,), ""
        if not written:
            raise ValueError(f"{file.name}: no picture of this name, and no `imagePath` in it")
        return joined, named, ""


def picture_in(document: dict[str, Any]) -> bytes:
    """The encoded picture in `imageData`, base64. **Raises:** ValueError if there is none."""
    data = document.get("imageData")
    if not isinstance(data, str):
        raise ValueError("`imageData` must be a string")
    try:
        # Some tools write it as a link, "data:image/png;base64,…".
        return base64.b64decode(data.rpartition(",")[2])
    except ValueError as error:
        raise ValueError(f"`imageData` is not base64: {error}") from error


def document_of(file: pathlib.Path) -> dict[str, Any]:
    """The document in a label file. **Raises:** ValueError if it cannot be read or is no object."""
    return as_object(read_document(file, file.name)[0], file.name)


def read_document(file: pathlib.Path, name: str) -> tuple[Any, list[Problem]]:
    """The document of a label file, in the encoding in which the picture that it names exists.

    **Arguments:** `file`; `name`: of the file, for messages.

    **Returns:** as `read_json`. **Raises:** ValueError if the file cannot be read, or is not JSON.
    """

    def fits(document: Any) -> int:
        written = document.get("imagePath") if isinstance(document, dict) else None
        return int(isinstance(written, str) and find_file(_paths(file, written)) is not None)

    return read_json(read_bytes(file), name, fits)


def _paths(file: pathlib.Path, written: str) -> tuple[pathlib.Path, ...]:
    """The paths that `imagePath` may mean: as it is written first, then with the backslashes of Windows as `/`."""
    return tuple(file.parent / path for path in dict.fromkeys((written, written.replace("\\", "/"))) if path)


def _image_path(file: pathlib.Path) -> str:
    """`imagePath` of a label file; "" where it has none, or cannot be read, which is listed with its labels."""
    if not in_bucket(file) and not file.is_file():  # opening a pipe would wait for a process that writes to it
        return ""
    try:
        with file.open("rb") as opened:
            found = _IMAGE_PATH.search(opened.read(_START))
        # Of a file in another encoding than UTF-8, the whole shows which.
        start = found[1].decode(errors="replace") if found else _UNKNOWN
        value = document_of(file)["imagePath"] if _UNKNOWN in start else parse_json(start, file.name)
    except (OSError, ValueError, KeyError):
        return ""
    return value if isinstance(value, str) else ""


def _base(name: str) -> str:
    return posixpath.basename(name)


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _spelled(name: str) -> str:
    return same_name(name).lower()
