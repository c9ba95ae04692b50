"""The pictures that a bulk job looks at: in folders, patterns, lists, archives and Parquet files."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from dbnet_jax.bulk.archives import UNREADABLE, Member, WrongColumns, archive_kind, members_of
from dbnet_jax.bulk.places import check_storage, files_below, size_of
from dbnet_jax.file_names import is_hidden
from dbnet_jax.images.decode import PICTURE_SUFFIXES
from dbnet_jax.paths import as_path, in_bucket

_LISTS = (".txt", ".lst")
_WILD = re.compile(r"[*?\[]")
_EMPTY = "contains no picture, no archive with pictures and no Parquet file"


class Entry(NamedTuple):
    """A picture of a job.

    - `name`: unique in the job; from the folder, or from the archive, that the input is.
    - `file`: the absolute path, or the address in a bucket, of the file or of the archive.
    - `inside`: the place in the archive, see `Member`; None where the file is the picture.
    - `size`: in bytes, where it is known.
    - `problem`: why it cannot be read, where the listing has found this; otherwise "".
    - `archive_size`: the bytes of the archive or Parquet file that it is in, where they are known.
    """

    name: str
    file: str
    inside: str | int | None = None
    size: int | None = None
    problem: str = ""
    archive_size: int | None = None


class _Found(NamedTuple):
    """A file, and its size in bytes where it is known."""

    file: str
    size: int | None


class _Input(NamedTuple):
    """The files of an input, in order, and the folder from which they have their names."""

    root: str
    files: list[_Found]


def list_pictures(inputs: Sequence[str], output: str, columns: str | None = None) -> list[Entry]:
    """The pictures of all inputs, each once, in an order that depends only on their names.

    **Arguments:**

    - `inputs`: each one of these, on a disk or in a bucket:
        - a picture or a PDF,
        - a folder: the pictures, archives and Parquet files in it and in its folders, without hidden ones,
        - a pattern: `*` and `?` stand for characters of a name, `**` for folders too,
        - an archive: .tar, also compressed, or .zip,
        - a Parquet file with a column of bytes,
        - a list, .txt or .lst, with an input a line. A relative path in it counts from the folder of the list.
    - `output`: the folder of the results; files in it are no pictures.
    - `columns`: "BYTES,NAME" or "BYTES", columns of Parquet files; without it they are found by type and name.

    **Returns:** the entries. An archive that cannot be read is one entry with a problem.

    **Raises:** FileNotFoundError if an input does not exist, or contains no picture; WrongColumns if a Parquet file
    lacks the `columns`, or if the columns of none of the files are found; ValueError for a list that is no UTF-8;
    StorageLost if the folder of an archive cannot be listed.
    """
    found = [each for text in inputs for each in _inputs_of(text, output)]
    root = found[0].root if len(found) == 1 else _common([each.root for each in found])
    files = {one.file: one for each in found for one in each.files}  # each once
    entries: dict[str, Entry] = {}
    wrong: list[WrongColumns] = []
    repeated: dict[str, int] = {}
    for one in sorted(files.values()):
        for entry in _entries_of(one, _relative(one.file, root), columns, wrong):
            name = entry.name
            while name in entries:
                repeated[entry.name] = repeated.get(entry.name, 1) + 1
                name = f"{entry.name} ({repeated[entry.name]})"
            entries[name] = entry._replace(name=name)
    if not entries:
        raise FileNotFoundError(f"`input` (={' '.join(inputs)!r}) {_EMPTY}")
    if wrong and (columns is not None or len(wrong) == len(entries)):
        raise wrong[0]
    return list(entries.values())


def _inputs_of(text: str, output: str) -> Iterator[_Input]:
    """The input itself, or those of a list."""
    path = text if in_bucket(text) else os.path.abspath(os.path.expanduser(text))
    if not path.lower().endswith(_LISTS) or (not in_bucket(path) and not os.path.isfile(path)):
        yield _expand(path, output)
        return
    try:
        lines = as_path(path).read_text(encoding="utf-8-sig").splitlines()  # Windows begins a list with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"`input` (={path!r}) must be UTF-8: save the list in this encoding ({error})") from error
    for line in filter(None, map(str.strip, lines)):
        below = line if in_bucket(line) or line.startswith("/") else f"{path.rpartition('/')[0]}/{line}"
        yield _expand(below if in_bucket(below) else os.path.abspath(below), output, listed=True)


def _expand(path: str, output: str, listed: bool = False) -> _Input:
    """The files of one input. A line of a list without a file is found to be so where it is read."""
    wild = _WILD.search(path)
    exists = os.path.lexists(path) if not in_bucket(path) else wild is not None and as_path(path).is_file()
    if exists and os.path.isdir(path):
        return _Input(path, list(_below(path, output)))
    if not exists and wild:
        base = path[: wild.start()].rpartition("/")[0] or "/"
        matches = _matcher(path[len(base) :].lstrip("/"))
        files = [one for one in _below(base, output) if matches(_relative(one.file, base))]
        if not files and not listed:
            raise FileNotFoundError(f"`input` (={path!r}) {_EMPTY}")
        if files:
            return _Input(base, files)
    if not exists and not wild and in_bucket(path) and not _is_known(path):
        return _Input(path.rstrip("/"), list(_below(path.rstrip("/"), output)))
    if not exists and not in_bucket(path) and not listed:
        raise FileNotFoundError(f"`input` (={path!r}) is not there")
    size = None
    if os.path.isfile(path) or archive_kind(path):  # in a bucket, an archive is opened all the same
        with contextlib.suppress(OSError):  # reported where it is read
            size = size_of(path)
    # The members of an archive have their names from it, as the files of a folder have.
    return _Input(path if archive_kind(path) else path.rpartition("/")[0], [_Found(path, size)])


def _below(folder: str, output: str) -> Iterator[_Found]:
    """The pictures, archives and Parquet files below a folder."""
    yield from (_Found(file, size) for file, size in files_below(folder, output) if _is_known(file))


def _is_known(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in PICTURE_SUFFIXES or suffix == ".pdf" or archive_kind(name) != ""


def _matcher(pattern: str) -> Callable[[str], object]:
    """Whether a path matches a pattern, or lies in a folder that matches."""
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = [meanings.get(token) or _characters(token) for token in tokens]
    return re.compile("".join(parts) + "(?:/.*)?", re.DOTALL).fullmatch


def _characters(token: str) -> str:
    """A set of characters, "[a-c]", or one character, as a regular expression."""
    if len(token) == 1:
        return re.escape(token)
    inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def _entries_of(one: _Found, name: str, columns: str | None, wrong: list[WrongColumns]) -> Iterator[Entry]:
    """The pictures of a file. A Parquet file with wrong columns is one entry with a problem, and is put in `wrong`."""
    if not archive_kind(one.file):
        yield Entry(name, one.file, None, one.size)
        return
    before = f"{name}/" if name else ""
    try:
        for member in members_of(one.file, columns):
            if _is_picture(member):
                yield Entry(before + member.name, one.file, member.inside, member.size, member.problem, one.size)
    except UNREADABLE as error:
        if isinstance(error, OSError):
            check_storage(one.file, error)
        if isinstance(error, WrongColumns):
            wrong.append(WrongColumns(f"{one.file}: {error}"))
        yield Entry(name or os.path.basename(one.file), one.file, None, one.size, f"cannot be read: {error}")


def _is_picture(member: Member) -> bool:
    """Whether it is a picture by its name. Rows of a Parquet file may have any name."""
    if isinstance(member.inside, int) and member.size is None:
        return True
    return not any(map(is_hidden, member.name.split("/"))) and _is_known(member.name) and not archive_kind(member.name)


def _common(roots: Sequence[str]) -> str:
    """The folder that contains all of them; "" where some are in a bucket and others are not."""
    shared = []
    for names in zip(*(root.split("/") for root in roots)):  # noqa: B905  (some are deeper than others)
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared)


def _relative(path: str, root: str) -> str:
    """The path from `root`; "" of `root` itself."""
    return path[len(root) :].lstrip("/") if path.startswith(root) else path
