"""Folders and files that may be missing, or of another kind than their names suggest."""

import pathlib
from collections.abc import Sequence

from dbnet_jax.images.decode import BadPicture

_NAMED = 8  # file names shown in one message


def listing(folder: pathlib.Path) -> list[pathlib.Path]:
    """The content of a folder, in order, without hidden files."""
    # Archives made on a Mac carry a "._img_1.jpg" beside each "img_1.jpg".
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def existing(root: pathlib.Path, patterns: tuple[str, ...]) -> list[pathlib.Path]:
    """The folders below `root` that patterns of names match, in the order of the patterns; "." is `root`."""
    # `glob` takes no ".".
    found = [path for pattern in patterns for path in ([root] if pattern == "." else sorted(root.glob(pattern)))]
    return [path for path in found if path.is_dir()]


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
