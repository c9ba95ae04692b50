"""From the entries of a shard to pictures that a detector takes, in their order."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dbnet_jax.bulk.archives import contents_of
from dbnet_jax.bulk.listing import Entry
from dbnet_jax.bulk.places import check_storage
from dbnet_jax.images.decode import BadPicture, Picture, decode_picture
from dbnet_jax.images.header import read_header
from dbnet_jax.images.pdf import count_pages, is_pdf
from dbnet_jax.paths import as_path

Source = Callable[[], Picture]
"""Returns the picture, or raises BadPicture; StorageLost if no picture is to blame."""


def sources_of(
    entries: Sequence[Entry], columns: str | None, frames: str, options: Mapping[str, Any]
) -> Iterator[tuple[str, Source]]:
    """The name and the source of each picture, or with `frames` "all" of each frame or page: scan.pdf#1, scan.pdf#2, …

    The threads of a detector call the sources: there files are read, and all pictures are decoded. Archives are read
    here, from their beginning to their end.

    **Arguments:** `entries`; `columns`: of Parquet files; `frames`: "first" or "all"; `options`: of `decode_picture`.
    """
    for entry, content in _contents(entries, columns):
        read = functools.partial(_picture, entry, content, options)
        count = 1
        if frames == "all" and not isinstance(content, Exception) and not entry.problem:
            with contextlib.suppress(ValueError, MemoryError):  # reported where the picture is read
                content = _read(entry) if content is None else content
                count = _count_frames(content, options["password"])
        if count == 1:
            yield entry.name, read
        else:
            for frame in range(count):
                name = f"{entry.name}#{frame + 1}"
                yield name, functools.partial(_picture, entry._replace(name=name), content, options, frame)


def _count_frames(content: bytes, password: str | None) -> int:
    """The frames of an animation or the pages in a file; 1 if it is damaged. **Raises:** ValueError for a PDF."""
    if is_pdf(content):
        return count_pages(content, password)
    header = read_header(content)
    return 1 if header is None else max(1, header.frames)


def _contents(entries: Sequence[Entry], columns: str | None) -> Iterator[tuple[Entry, bytes | Exception | None]]:
    """Each entry with its content or its error; None for a file of its own, which is read later."""
    for (file, in_archive), group in itertools.groupby(entries, lambda entry: (entry.file, entry.inside is not None)):
        members = list(group)
        if not in_archive:
            yield from ((entry, None) for entry in members)
            continue
        places = [(entry.inside, entry.size) for entry in members if entry.inside is not None and not entry.problem]
        contents = contents_of(file, places, columns)
        for entry in members:
            yield entry, None if entry.problem else next(contents, EOFError("the archive has changed"))


def _picture(
    entry: Entry, content: bytes | Exception | None, options: Mapping[str, Any], frame: int | None = None
) -> Picture:
    if entry.problem:
        raise BadPicture(f"{entry.name}: {entry.problem}")
    if isinstance(content, Exception):
        if isinstance(content, OSError):
            check_storage(entry.file, content)
        raise BadPicture(f"{entry.name}: cannot be read from {entry.file}: {content}") from content
    return decode_picture(_read(entry) if content is None else content, entry.name, frame=frame, **options)


def _read(entry: Entry) -> bytes:
    """The content of a file.

    **Raises:** BadPicture: one file of many must not end the others. StorageLost if the storage does not answer.
    """
    try:
        return bytes(as_path(entry.file).read_bytes())
    except OSError as error:
        if entry.size is not None or not isinstance(error, FileNotFoundError):  # else a list has a wrong name
            check_storage(entry.file, error)
        raise BadPicture(f"{entry.name}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise BadPicture(f"{entry.name}: the file is larger than the memory") from error
