"""Folders and files that may be missing, or of another kind than their names suggest."""

import functools
import os
import pathlib
from collections.abc import Sequence

from dbnet_jax.file_names import is_hidden, same_name
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.paths import in_bucket, root_of

_NAMED = 8  # file names shown in one message
_FOLDERS = 64  # whose names are remembered


def listing(folder: pathlib.Path) -> list[pathlib.Path]:
    """The content of a folder, in order, without hidden files."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name))


def existing(root: pathlib.Path, patterns: tuple[str, ...]) -> list[pathlib.Path]:
    """The folders below `root` that patterns of names match, in the order of the patterns; "." is `root`."""
    # `glob` takes no ".".
    found = [path for pattern in patterns for path in ([root] if pattern == "." else sorted(root.glob(pattern)))]
    return [path for path in found if path.is_dir()]


def forget_listings() -> None:
    """Makes `find_file` list the folders of buckets anew; a data set that is opened calls it."""
    _names_in_bucket.cache_clear()


def find_file(paths: Sequence[pathlib.Path]) -> pathlib.Path | None:
    """The first file of some paths that exists; None where none does.

    A file whose path is the same name to a person (`same_name`) is found too, where there is none at the path itself.
    """
    exact = next((path for path in paths if _is_file(path)), None)
    if exact is not None:
        return exact
    spelled = (_as_spelled(path) for path in paths if not str(path).isascii() or "%" in str(path))
    return next((path for path in spelled if path is not None), None)


def _as_spelled(path: pathlib.Path) -> pathlib.Path | None:
    """The file at a path, with each folder's name and its own in the spelling that is there."""
    found = root = root_of(path)
    for part in path.relative_to(root).parts:
        there = part in _names_in_bucket(found) if in_bucket(found) else os.path.lexists(found / part)
        found /= part if there else _spellings(found).get(same_name(part), part)
    return found if _is_file(found) else None


def _is_file(path: pathlib.Path) -> bool:
    # A question about each file of a bucket would cost a request.
    if in_bucket(path):
        return _names_in_bucket(path.parent).get(path.name, False)
    # os.path's answer to a path that no file can have is False, not an error.
    return os.path.isfile(path)


@functools.lru_cache(_FOLDERS)
def _names_in_bucket(folder: pathlib.Path) -> dict[str, bool]:
    """The names in a folder of a bucket, and whether each is that of a file."""
    return {path.name: path.is_file() for path in folder.glob("*")}


def _spellings(folder: pathlib.Path) -> dict[str, str]:
    """The names in a folder, by the form that their spellings share; empty where it cannot be read."""
    if in_bucket(folder):
        return {same_name(name): name for name in sorted(_names_in_bucket(folder), reverse=True)}
    try:
        return _spellings_at(folder, os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):
        return {}


@functools.lru_cache(_FOLDERS)
def _spellings_at(folder: pathlib.Path, changed: int) -> dict[str, str]:
    # `changed` is when: a folder that has changed since is listed again.
    return {same_name(name): name for name in sorted(os.listdir(folder), reverse=True)}


def identity(path: pathlib.Path) -> str | tuple[int, int]:
    """What two paths of one file or folder have in common. **Raises:** OSError where there is none."""
    if in_bucket(path):
        return str(path.resolve())
    state = os.stat(path)
    return state.st_dev, state.st_ino


def real_path(path: pathlib.Path) -> str:
    """The path without links and parent folders ("..")."""
    return str(path.resolve()) if in_bucket(path) else os.path.realpath(path)


def read_bytes(path: pathlib.Path) -> bytes:
    """The content of a file. **Raises:** `BadPicture` if it cannot be read."""
    try:
        # Reading a pipe would wait for a process that writes to it.
        if not in_bucket(path) and not path.is_file() and path.exists() and not path.is_dir():
            raise BadPicture(f"{path.name}: is no regular file")
        return path.read_bytes()
    except OSError as error:
        raise BadPicture(f"{path.name}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise BadPicture(f"{path.name}: the file is larger than the memory") from error
    except BadPicture:
        raise
    except ValueError as error:  # a name with a NUL in it
        raise BadPicture(f"{path.name!r}: cannot be read: {error}") from error


def describe(folder: pathlib.Path) -> str:
    """The content of a folder, for messages."""
    if not folder.is_dir():
        return "there is no such folder" if not folder.exists() else "it is not a folder"
    names = [path.name + "/" * path.is_dir() for path in listing(folder)]
    return enumerate_names(names) if names else "the folder is empty"


def enumerate_names(names: Sequence[str]) -> str:
    """The first names, and how many there are."""
    more = f" … ({len(names)} in all)" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
