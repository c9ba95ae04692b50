"""The words of each picture of SynthText's `gt.mat`, in a file that is mapped into memory."""

import contextlib
import hashlib
import json
import mmap
import os
import pathlib
import uuid
from collections.abc import Iterable
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float32, Int64, UInt8

from dbnet_jax.paths import in_bucket, local_copy
from input_pipeline.datasets.parsing.mat_file import Value, read_cells

_VERSION = 1
_ALIGNMENT = 64
# The arrays of an index, in their order in the file; the sizes come from the first one.
_TYPES = (np.uint8, np.int64, np.int64, np.int64, np.float32, np.uint8, np.uint8)
_MOST = 1 << 33  # bytes that a variable of gt.mat may take when it is unpacked


class SynthTextIndex:
    """Names, boxes and words of the pictures.

    **Arguments:**

    - `header`: JSON: `key`, of the file that the index was made from, and `damage`, of each picture whose entry
        cannot be used the reason, by its number.
    - `name_ends`, `box_ends`, `text_ends`: where the entries of each picture end in the arrays below.
    - `corners`: of the boxes of all pictures, clockwise from the word's top left; (x, y) in pixels.
    - `names`, `texts`: UTF-8; the words of a picture with a line feed between them.
    """

    def __init__(
        self,
        header: UInt8[np.ndarray, "header"],
        name_ends: Int64[np.ndarray, "pictures"],
        box_ends: Int64[np.ndarray, "pictures"],
        text_ends: Int64[np.ndarray, "pictures"],
        corners: Float32[np.ndarray, "words 4 2"],
        names: UInt8[np.ndarray, "name_bytes"],
        texts: UInt8[np.ndarray, "text_bytes"],
    ):
        self.header: dict[str, Any] = json.loads(header.tobytes())
        self._name_ends, self._box_ends, self._text_ends = name_ends, box_ends, text_ends
        self._corners, self._names, self._texts = corners, names, texts

    def __len__(self) -> int:
        return len(self._name_ends)

    def name(self, index: int) -> str:
        """The file name of picture `index`, with its folder."""
        return self._names[self._span(self._name_ends, index)].tobytes().decode()

    def boxes(self, index: int) -> Float32[np.ndarray, "words 4 2"]:
        """The boxes of the words of picture `index`."""
        return np.array(self._corners[self._span(self._box_ends, index)])

    def words(self, index: int) -> list[str]:
        """The words of picture `index`."""
        return self._texts[self._span(self._text_ends, index)].tobytes().decode().split("\n")[:-1]

    def damage(self, index: int) -> str:
        """Why the entry of picture `index` cannot be used; "" where it can."""
        return self.header["damage"].get(str(range(len(self))[index]), "")

    def _span(self, ends: Int64[np.ndarray, "pictures"], index: int) -> slice:
        index = range(len(self))[index]
        return slice(int(ends[index - 1]) if index else 0, int(ends[index]))


def open_index(labels: pathlib.Path) -> SynthTextIndex:
    """The index of a `gt.mat`.

    It is made by the first call, and kept as `gt.mat.index` beside the file or, where that folder cannot be written
    or is in a bucket, in the user's cache (`XDG_CACHE_HOME`, ~/.cache); where neither can, in memory. An index is
    believed as long as size and modification time of `gt.mat` are those that it was made from.

    **Raises:** `ValueError` if the file is damaged, or is not SynthText's.
    """
    state = labels.stat()
    key = {"version": _VERSION, "size": state.st_size, "mtime_ns": state.st_mtime_ns}
    places = _places(labels)
    index = None
    for place in places:
        index = _load(place, key)
        if index is not None:
            return index
    logging.info("%s: read once, to make an index of it; this takes a while", labels)
    arrays = _make(labels, key)
    for place in places:
        if _store(place, arrays):
            index = _load(place, key)
            break
    return index or SynthTextIndex(*arrays)


def _places(labels: pathlib.Path) -> list[pathlib.Path]:
    digest = hashlib.sha256(os.fsencode(labels.absolute())).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    in_cache = pathlib.Path(cache) / "dbnet_jax" / f"synthtext-{digest}.index"
    # An index is mapped into memory, which a bucket is not for.
    return [in_cache] if in_bucket(labels) else [labels.with_name(f"{labels.name}.index"), in_cache]


def _load(path: pathlib.Path, key: dict[str, int]) -> SynthTextIndex | None:
    """The index in a file; None if there is none, or it is damaged or of another `gt.mat`."""
    try:
        arrays, offset, size = [], 0, path.stat().st_size
        with path.open("rb") as file:
            for dtype in _TYPES:
                file.seek(offset)
                np.lib.format.read_magic(file)
                shape, _, found = np.lib.format.read_array_header_1_0(file)
                start, offset = file.tell(), file.tell() + int(np.prod(shape)) * found.itemsize
                if found != dtype or offset > size:
                    return None
                # Nothing cannot be mapped. The open file, not its path: another process may replace it.
                arrays.append(np.memmap(file, found, "r", start, shape) if 0 not in shape else np.zeros(shape, found))
        index = SynthTextIndex(*arrays)
    except FileNotFoundError:
        return None
    # A damaged header makes NumPy raise nearly anything.
    except Exception as error:
        logging.warning("%s: cannot be read, and is not used: %s", path, error)
        return None
    return index if index.header.get("key") == key else None


def _store(path: pathlib.Path, arrays: Iterable[np.ndarray]) -> bool:
    """Writes an index, which appears under its name whole or not at all; False where it cannot be written."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for array in arrays:
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
        temporary.replace(path)
    except OSError as error:
        logging.warning("%s: cannot be written: %s", path, error.strerror or error)
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True


def _make(labels: pathlib.Path, key: dict[str, int]) -> list[np.ndarray]:
    """The arrays of an index; see `SynthTextIndex`. **Raises:** `ValueError` as `open_index` does."""
    try:
        with local_copy(labels).open("rb") as file:
            # Not closed by hand, which fails as long as an array lies in it.
            return _make_from(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), key)
    except ValueError as error:
        raise ValueError(f"{labels}: cannot be read as SynthText's labels: {error}") from error


def _make_from(data: mmap.mmap, key: dict[str, int]) -> list[np.ndarray]:
    damage: dict[str, str] = {}
    names = [_text(cell).encode(errors="replace") for cell in _cells(data, "imnames")]
    corners = []
    for number, cell in enumerate(_cells(data, "wordBB")):
        try:
            corners.append(_corners(cell))
        except ValueError as error:
            damage[str(number)] = str(error)
            corners.append(np.zeros((0, 4, 2), np.float32))
    # A line feed after each word: a picture without words has none.
    texts = [
        "".join(f"{word}\n" for word in _text(cell).split()).encode(errors="replace") for cell in _cells(data, "txt")
    ]
    if not len(names) == len(corners) == len(texts):
        raise ValueError(f"{len(names)} imnames, {len(corners)} wordBB and {len(texts)} txt")
    header = json.dumps({"key": key, "damage": damage}).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return [
        np.frombuffer(header, np.uint8),
        *(np.cumsum([len(entry) for entry in entries], dtype=np.int64) for entries in (names, corners, texts)),
        np.concatenate([np.zeros((0, 4, 2), np.float32), *corners]),
        np.frombuffer(b"".join(names), np.uint8),
        np.frombuffer(b"".join(texts), np.uint8),
    ]


def _cells(data: mmap.mmap, variable: str) -> list[Value]:
    # One variable at a time: together with the boxes of characters they would take several times the memory.
    try:
        return read_cells(data, variable, most=_MOST).cells
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from error


def _text(cell: Value) -> str:
    """The strings in a cell, one after the other; the empty string where it holds none."""
    return "\n".join(cell) if isinstance(cell, list) else ""


def _corners(cell: Value) -> Float32[np.ndarray, "words 4 2"]:
    if not isinstance(cell, np.ndarray):
        raise ValueError("wordBB holds no numbers")
    if cell.size == 0:
        return np.zeros((0, 4, 2), np.float32)
    if cell.ndim > 3 or cell.shape[:2] != (2, 4):
        raise ValueError(f"wordBB is of shape {cell.shape} where 2×4×words is needed")
    # A picture of one word has no third dimension. A number past float32 becomes an infinity, and its word a problem.
    with np.errstate(over="ignore"):
        return cell.reshape(2, 4, -1).transpose(2, 1, 0).astype(np.float32)
