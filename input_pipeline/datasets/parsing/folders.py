"""Folders and files that may be missing, or of another kind than their names suggest."""

import functools
import os
import pathlib
from collections.abc import Sequence

from dbnet_jax.file_names import is_hidden, same_name
from dbnet_jax.images.decode import BadPicture

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


def find_file(paths: Sequence[pathlib.Path]) -> pathlib.Path | None:
    """The first file of some paths that exists; None where none does.

    A file whose path is the same name to a person (`same_name`) is found too, where there is none at the path itself.
    """
    # os.path's answer to a path that no file can have is False, not an error.
    exact = next((path for path in paths if os.path.isfile(path)), None)
    if exact is not None:
        return exact
    spelled = (_as_spelled(path) for path in paths if not str(path).isascii() or "%" in str(path))
    return next((path for path in spelled if path is not None), None)


def _as_spelled(path: pathlib.Path) -> pathlib.Path | None:
    """The file at a path, with each folder's name and its own in the spelling that is there."""
    found = pathlib.Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not os.path.lexists(found / part):
            part = _spellings(found).get(same_name(part), part)
        found /= part
    return found if os.path.isfile(found) else None


def _spellings(folder: pathlib.Path) -> dict[str, str]:
    """The names in a folder, by the form that their spellings share; empty where it cannot be read."""
    try:
        return _spellings_at(folder, os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):
        return {}


@functools.lru_cache(_FOLDERS)
def _spellings_at(folder: pathlib.Path, changed: int) -> dict[str, str]:
    # `changed` is when: a folder that has changed since is listed again.
    return {same_name(name): name for name in sorted(os.listdir(folder), reverse=True)}


def read_bytes(path: pathlib.Path) -> bytes:
    """The content of a file. **Raises:** `BadPicture` if it cannot be read."""
    try:
        # Reading a pipe would wait for a process that writes to it.
        if not path.is_file() and path.exists() and not path.is_dir():
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
