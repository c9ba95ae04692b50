"""Pictures inside tar and zip archives and Parquet files: their list, and their content."""

import bz2
import contextlib
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dbnet_jax.paths import as_path, open_in_parts

if TYPE_CHECKING:
    import pyarrow

UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError, MemoryError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What the readers of archives raise for damaged and encrypted ones; PyArrow's errors are ValueErrors and OSErrors."""

_SUFFIXES = {
    "tar": (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
    "zip": (".zip",),
    "parquet": (".parquet", ".pq"),
}
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
# Usual names of columns; the first that is there is taken.
_BYTES = ("image.bytes", "image", "bytes", "jpg", "jpeg", "png", "content", "data")
_NAMES = ("name", "file_name", "filename", "image.path", "path", "file", "__key__", "key", "id", "url")
_ROWS = 64  # rows of a Parquet file that are in memory at a time


class WrongColumns(ValueError):
    """A Parquet file lacks the columns that are asked for, or more than one could be meant."""


class Member(NamedTuple):
    """A file in an archive, or a row of a Parquet file.

    - `inside`: where it is: of a tar the offset of its content in the unpacked archive, of a zip its name, of a
        Parquet file the number of the row.
    - `size`: in bytes; None of a row.
    - `problem`: why it cannot be read, or "".
    """

    name: str
    inside: str | int
    size: int | None
    problem: str = ""


def archive_kind(file: str) -> str:
    """ "tar", "zip" or "parquet", by the name of the file; "" of other files."""
    return next((kind for kind, suffixes in _SUFFIXES.items() if file.lower().endswith(suffixes)), "")


def members_of(file: str, columns: str | None) -> Iterator[Member]:
    """The files or rows of an archive, in its order. Of files with one name the last one counts.

    **Arguments:** `file`: its path or address; `columns`: see `list_pictures`.

    **Raises:** one of `UNREADABLE` for a damaged archive, after the members before the damage.
    """
    lister = {"tar": _tar_members, "zip": _zip_members}.get(archive_kind(file))
    return _rows(file, columns) if lister is None else lister(file)


def contents_of(
    file: str, places: Sequence[tuple[str | int, int | None]], columns: str | None
) -> Iterator[bytes | Exception]:
    """The content of members, or the error of each that cannot be read.

    **Arguments:** `file`; `places`: `inside` and `size` of each member, in the order of the archive; `columns`.
    """
    done = 0
    reader = {"tar": _tar_contents, "zip": _zip_contents}.get(archive_kind(file), _row_contents)
    try:
        for content in reader(file, places, columns):
            done += 1
            yield content
    except UNREADABLE as error:
        yield from [error] * (len(places) - done)


# ---------------------------------------------------------------- tar
def _tar_members(file: str) -> Iterator[Member]:
    found: dict[str, Member] = {}
    damage = None
    with _unpacked(file) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for info in archive:
                    problem = "" if info.isreg() else "is a link inside an archive; unpack the archive"
                    if info.isreg() or info.issym() or info.islnk():
                        found.pop(info.name, None)
                        found[info.name] = Member(info.name.removeprefix("./"), info.offset_data, info.size, problem)
        except UNREADABLE as error:
            damage = error
    yield from found.values()
    if damage is not None:
        raise damage


def _tar_contents(
    file: str, places: Sequence[tuple[str | int, int | None]], columns: str | None
) -> Iterator[bytes | Exception]:
    with _unpacked(file) as stream:
        for offset, size in places:
            try:
                stream.seek(int(offset))
                content = stream.read(size or 0)
                yield content if len(content) == size else EOFError("the archive is truncated")
            except UNREADABLE as error:
                yield error


@contextlib.contextmanager
def _unpacked(file: str) -> Iterator[BinaryIO]:
    """The bytes of a tar, without its compression; seeking forward is cheap."""
    with open_in_parts(as_path(file)) as raw:
        start = raw.read(6)
        raw.seek(0)
        opener = next((opener for mark, opener in _PACKED if start.startswith(mark)), None)
        if opener is None:
            yield raw
        else:
            with opener(raw, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]


# ---------------------------------------------------------------- zip
def _zip_members(file: str) -> Iterator[Member]:
    with open_in_parts(as_path(file)) as raw, zipfile.ZipFile(raw) as archive:
        last = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        for name, info in last.items():
            yield Member(name, name, info.file_size)


def _zip_contents(
    file: str, places: Sequence[tuple[str | int, int | None]], columns: str | None
) -> Iterator[bytes | Exception]:
    with open_in_parts(as_path(file)) as raw, zipfile.ZipFile(raw) as archive:
        for name, _ in places:
            try:
                yield archive.read(str(name))
            except (*UNREADABLE, KeyError) as error:
                yield error


# ---------------------------------------------------------------- Parquet
def _rows(file: str, columns: str | None) -> Iterator[Member]:
    with _parquet(file) as table:
        _, named = _columns(table.schema_arrow, columns)
        if named is None:
            for row in range(table.metadata.num_rows):
                yield Member(f"{row:08}", row, None)
            return
        row = 0
        for batch in table.iter_batches(columns=[named]):
            for value in _column(batch, named).to_pylist():
                yield Member(f"{row:08}" if value is None else str(value), row, None)
                row += 1


def _row_contents(
    file: str, places: Sequence[tuple[str | int, int | None]], columns: str | None
) -> Iterator[bytes | Exception]:
    wanted = [int(row) for row, _ in places]
    with _parquet(file) as table:
        content, _ = _columns(table.schema_arrow, columns)
        start = 0
        for group in range(table.num_row_groups):
            end = start + table.metadata.row_group(group).num_rows
            if wanted and wanted[0] < end:
                for batch in table.iter_batches(_ROWS, row_groups=[group], columns=[content]):
                    while wanted and wanted[0] < start + len(batch):
                        value = _column(batch, content)[wanted.pop(0) - start].as_py()
                        yield ValueError("the row has no bytes") if value is None else value
                    start += len(batch)
                    if not wanted or wanted[0] >= end:
                        break
            start = end


@contextlib.contextmanager
def _parquet(file: str) -> Iterator[Any]:
    import pyarrow.parquet

    with open_in_parts(as_path(file)) as raw:
        yield pyarrow.parquet.ParquetFile(raw)


def _columns(schema: "pyarrow.Schema", columns: str | None) -> tuple[str, str | None]:
    """The columns of the bytes and of the names. A field of a struct is STRUCT.FIELD.

    **Raises:** WrongColumns.
    """
    import pyarrow.types as types

    fields = dict(_fields(schema))
    holding = [name for name, kind in fields.items() if types.is_binary(kind) or types.is_large_binary(kind)]
    if columns is not None:
        content, _, named = columns.partition(",")
        for name in (content, *([named] if named else [])):
            if name not in fields:
                raise WrongColumns(f"`columns` (={columns!r}): {name!r} is none of {', '.join(fields)}")
        if content not in holding:
            raise WrongColumns(
                f"`columns` (={columns!r}): {content!r} is {fields[content]}, and must be bytes: "
                + (f"choose one of {', '.join(holding)}" if holding else "no column of the file is")
            )
        if named in holding or (named and types.is_nested(fields[named])):
            raise WrongColumns(f"`columns` (={columns!r}): {named!r} is {fields[named]}, and must be texts or numbers")
        return content, named or None
    likely = [name for name in _BYTES if name in holding]
    if not likely and len(holding) != 1:
        what = f"several columns of bytes ({', '.join(holding)})" if holding else "no column of bytes"
        raise WrongColumns(f"has {what}, of {', '.join(fields)}: --columns=BYTES,NAME chooses the columns")
    content = (likely or holding)[0]
    usable = [n for n, kind in fields.items() if types.is_string(kind) or types.is_large_string(kind)]
    usable += [n for n, kind in fields.items() if types.is_integer(kind)]
    return content, next((name for name in _NAMES if name in usable), None)


def _fields(schema: "pyarrow.Schema") -> Iterator[tuple[str, Any]]:
    import pyarrow.types as types

    for field in schema:
        yield field.name, field.type
        if types.is_struct(field.type):
            yield from ((f"{field.name}.{inner.name}", inner.type) for inner in field.type)


def _column(batch: "pyarrow.RecordBatch", name: str) -> Any:
    """The column; of STRUCT.FIELD the field."""
    import pyarrow.compute

    column = batch.column(0)
    return pyarrow.compute.struct_field(column, name.partition(".")[2]) if name != batch.schema.names[0] else column
