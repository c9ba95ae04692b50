"""Cell arrays of numbers and strings from MATLAB files of level 5 (MATLAB 5 to 7, not 7.3).

SciPy reads more kinds of arrays, but some damaged files end its whole process, which no caller can catch. This module
compares each length in a file with the bytes that are there. MathWorks describes the format in "MAT-File Format".
"""

import dataclasses
import math
import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import numpy as np

_HEADER = 128
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# The encodings of characters. In UTF-16, a character may take two entries of an array.
_CHARACTERS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_INT32, _UINT32, _INT8, _MATRIX, _COMPRESSED = 5, 6, 1, 14, 15  # kinds of elements
_CELL, _CHAR, _FIRST_NUMERIC, _LAST_NUMERIC, _COMPLEX = 1, 4, 6, 15, 0x800  # classes of arrays, and a flag
_MOST_AXES = 32
_PEEK = 4096  # bytes of a compressed variable that contain its name

Value = Any  # an array of numbers; a list of strings, one for each row of characters; None for other kinds


@dataclasses.dataclass(frozen=True)
class CellArray:
    """The shape of a cell array, and its cells column by column."""

    shape: tuple[int, ...]
    cells: list[Value]


@dataclasses.dataclass(frozen=True)
class _Matrix:
    """The head of an array. Its content is the bytes `start` to `stop`."""

    kind: int
    complex: bool
    shape: tuple[int, ...]
    name: str
    start: int
    stop: int


def read_cells(data: bytes | mmap, variable: str, *, most: int = 1 << 26) -> CellArray:
    """A cell array of a MATLAB file.

    **Arguments:**

    - `data`: the content of the file.
    - `variable`: the name of the array.
    - `most`: the most bytes of the unpacked array.

    **Raises:** `ValueError` if the file is damaged, has another format or has no such array.
    """
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]), "")
    if not order or not bytes(data[:6]) == b"MATLAB":
        raise ValueError("not a MATLAB file of level 5")
    for reader, matrix in _variables(memoryview(data), order, variable, most):
        if matrix.kind != _CELL:
            raise ValueError(f"`{variable}` is no cell array")
        return CellArray(matrix.shape, reader.cells(matrix))
    raise ValueError(f"there is no `{variable}`")


def _variables(view: memoryview, order: str, name: str, most: int) -> Iterator[tuple["_Reader", _Matrix]]:
    """The arrays with this name."""
    outer, at = _Reader(view, order), _HEADER
    while at < len(view):
        kind, start, stop, at = outer.element(at, len(view))
        if kind == _COMPRESSED:
            at = stop  # not padded
            packed = view[start:stop]
            if _Reader(_inflate(packed, _PEEK, whole=False), order).peek() != name:
                continue
            unpacked = _inflate(packed, most, whole=True)
            reader = _Reader(unpacked, order)
            kind, start, stop, _ = reader.element(0, len(unpacked))
            if kind == _MATRIX:
                yield reader, reader.matrix(start, stop)
        elif kind == _MATRIX:
            matrix = outer.matrix(start, stop)
            if matrix.name == name:
                yield outer, matrix


def _inflate(packed: memoryview, most: int, *, whole: bool) -> memoryview:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, most)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if whole and not unpacker.eof:
        raise ValueError(f"a compressed array is cut off, or takes more than {most} bytes")
    return memoryview(data)


class _Reader:
    """Elements and arrays in a buffer. An element outside the buffer raises ValueError."""

    def __init__(self, data: memoryview, order: str):
        self._data, self._order = data, order
        self._tag = struct.Struct(f"{order}II")

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """The element at a byte: its kind, the start and stop of its content, and the start of the next element."""
        if at + 8 > end:
            raise ValueError(f"damaged: the file ends at byte {at}, where an element must begin")
        kind, size = self._tag.unpack_from(self._data, at)
        start, after = at + 8, at + 8 + size + -size % 8
        if kind >> 16:
            # A short element: the upper half of the kind is the size, and the content is in place of the size.
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if start + size > end or (start == at + 4 and size > 4):
            raise ValueError(f"damaged: an element of {size} bytes at byte {at} has only {end - start} bytes")
        return kind, start, start + size, after

    def matrix(self, start: int, stop: int) -> _Matrix:
        """The head of the array in the given bytes."""
        flags_kind, flags, flags_stop, at = self.element(start, stop)
        dims_kind, dims, dims_stop, at = self.element(at, stop)
        name_kind, name, name_stop, at = self.element(at, stop)
        if (flags_kind, flags_stop - flags, dims_kind, name_kind) != (_UINT32, 8, _INT32, _INT8):
            raise ValueError(f"damaged: byte {start} begins no array")
        (bits,) = struct.unpack_from(f"{self._order}I", self._data, flags)
        shape = struct.unpack_from(f"{self._order}{(dims_stop - dims) // 4}i", self._data, dims)
        if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
            raise ValueError(f"damaged: an array of shape {shape[:8]} at byte {start}")
        text = bytes(self._data[name:name_stop]).decode("latin-1")
        return _Matrix(bits & 0xFF, bool(bits & _COMPLEX), shape, text, min(at, stop), stop)

    def peek(self) -> str:
        """The name of the array at the start of the buffer. The rest of the array may be missing."""
        if len(self._data) < 8 or self._tag.unpack_from(self._data)[0] != _MATRIX:
            return ""
        return self.matrix(8, len(self._data)).name

    def cells(self, matrix: _Matrix) -> list[Value]:
        """The cells of a cell array."""
        cells, at = [], matrix.start
        for _ in range(math.prod(matrix.shape)):
            kind, start, stop, at = self.element(at, matrix.stop)
            if kind != _MATRIX:
                raise ValueError(f"damaged: the element before byte {at} is no cell")
            cells.append(self._value(start, stop))
        if at < matrix.stop:
            raise ValueError(
                f"damaged: {matrix.stop - at} bytes follow the cells of an array of shape {matrix.shape[:8]}"
            )
        return cells

    def _value(self, start: int, stop: int) -> Value:
        if start == stop:
            return np.zeros((0, 0))  # how MATLAB writes []
        matrix = self.matrix(start, stop)
        numeric = _FIRST_NUMERIC <= matrix.kind <= _LAST_NUMERIC and not matrix.complex
        if not numeric and matrix.kind != _CHAR:
            return None
        count = math.prod(matrix.shape)
        if not count:
            return np.zeros(matrix.shape) if numeric else []
        kind, start, stop, _ = self.element(matrix.start, matrix.stop)
        content = self._data[start:stop]
        if not numeric:
            return self._strings(content, kind, matrix.shape, count)
        dtype = np.dtype(self._order + _NUMBERS.get(kind, "V1"))
        if dtype.kind == "V" or dtype.itemsize * count != len(content):
            raise ValueError(f"damaged: {len(content)} bytes of kind {kind} for an array of shape {matrix.shape[:8]}")
        return np.frombuffer(content, dtype).reshape(matrix.shape, order="F")

    def _strings(self, content: memoryview, kind: int, shape: tuple[int, ...], count: int) -> list[str]:
        encoding = _CHARACTERS.get(kind, "")
        if not encoding:
            raise ValueError(f"damaged: characters of kind {kind}")
        if encoding == "utf-16":
            # Each unit is one entry of the array, so units are decoded one by one.
            units = np.frombuffer(content, self._order + "u2") if len(content) % 2 == 0 else np.zeros(0)
            text = units.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        else:
            endless = encoding + {"<": "-le", ">": "-be"}[self._order] * (encoding == "utf-32")
            text = bytes(content).decode(endless, "replace")
        if len(text) != count:
            raise ValueError(f"damaged: {len(text)} characters for an array of shape {shape[:8]}")
        # A string runs along the last axis, whose neighbours are farthest apart in the file.
        rows = [text[row :: count // shape[-1]] for row in range(count // shape[-1])]
        return [row.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for row in rows]
