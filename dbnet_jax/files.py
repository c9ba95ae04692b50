"""Files that a reader finds old or new, and never in part; the list of the files that a run wrote."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from dbnet_jax.paths import as_path, in_bucket

MANIFEST = ".dbnet_jax.json"
"""Lists the files that runs wrote into a folder of results."""


_MOST_LISTED = 5  # files that an error lists


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts the path into an OSError. A write to an open file raises one without it, as where the disk is full.

    **Raises:** the same error.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = os.fspath(path)
        raise


def lacking_room(folder: str | os.PathLike[str], size: int, count: int) -> str:
    """What the disk of `folder` lacks for `count` files of `size` bytes in all, in words; "" where it has room.

    A bucket has room.
    """
    if in_bucket(folder):
        return ""
    disk = os.statvfs(folder)
    # Some file systems count neither blocks nor files.
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < size:
        return f"{size / 1e6:,.1f} MB are needed, and {disk.f_bavail * disk.f_frsize / 1e6:,.1f} MB are free"
    if disk.f_files and disk.f_favail < count:
        return f"{count} new files are needed, and the disk takes {disk.f_favail} more"
    return ""


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes the file beside its place and moves it there; its folder must exist. A bucket has it whole at once.

    A text is written in UTF-8; a file name in it that is no text keeps its bytes as escapes.
    """
    path = as_path(path)
    if isinstance(content, str):
        content = content.encode("utf-8", errors="backslashreplace")
    if in_bucket(path):
        path.write_bytes(content)
        return
    partial = path.with_name(path.name + ".partial")
    try:
        with naming(path):
            partial.write_bytes(content)
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def partial_of(path: pathlib.Path) -> pathlib.Path:
    """Where a file grows until it is complete: beside its place, or on the disk where its place is in a bucket."""
    if not in_bucket(path):
        return path.with_name(path.name + ".partial")
    descriptor, name = tempfile.mkstemp(path.suffix)
    os.close(descriptor)
    return pathlib.Path(name)


def complete(partial: pathlib.Path, path: pathlib.Path) -> None:
    """Moves a file of `partial_of` to its place."""
    if in_bucket(path):
        path.write_bytes(partial.read_bytes())
        partial.unlink()
    else:
        partial.replace(path)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON, in one move."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def check_files(
    folder: str | os.PathLike[str], outputs: Mapping[str, Collection[str]], argument: str = "output"
) -> None:
    """Refuses a folder in which a run would overwrite the files of a person.

    **Arguments:**

    - `folder`: the folder of results; it may not exist yet.
    - `outputs`: the files that the run will write, as of `replace_files`.
    - `argument`: the name of `folder` in the message.

    **Raises:** FileExistsError when one of the files exists, and `MANIFEST` does not list it.
    """
    folder = as_path(folder)
    listed = {file for files in _read_manifest(folder).values() for file in files}
    planned = [file for files in outputs.values() for file in files]
    # A file may stand where a folder is needed.
    needed = dict.fromkeys(parent for file in planned for parent in pathlib.PurePath(file).parents[:-1])
    strangers = [str(name) for name in _existing(folder, map(str, needed)) if not (folder / name).is_dir()]
    strangers += [file for file in _existing(folder, planned) if file not in listed]
    if strangers:
        more = len(strangers) - _MOST_LISTED
        names = ", ".join(strangers[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")
        raise FileExistsError(
            f"`{argument}` (={os.fspath(folder)!r}) contains files that no run listed as its own, and this run would "
            f"overwrite them: {names}. Move or delete them, or choose another folder"
        )


def claim_files(folder: str | os.PathLike[str], outputs: Mapping[str, Collection[str]]) -> None:
    """Lists the files that a run will write, so that they are its own also where it is killed.

    **Arguments:** as of `check_files`; the folder must exist.

    **Raises:** as `check_files`.
    """
    check_files(folder, outputs)
    earlier = _read_manifest(as_path(folder))
    claimed = {name: sorted({*earlier.get(name, []), *files}) for name, files in outputs.items()}
    write_json(as_path(folder) / MANIFEST, earlier | claimed)


def replace_files(folder: str | os.PathLike[str], outputs: Mapping[str, Collection[str]]) -> None:
    """Removes the files of an earlier run that this run did not write again, and lists those of this run.

    Folders that are empty then are removed too.

    The list is the file `MANIFEST` in the folder. A file that it does not list belongs to a person and stays.

    **Arguments:**

    - `folder`: the folder of results.
    - `outputs`: the files that this run wrote, by the name of the output, as paths from `folder`. The files of other
        outputs stay.
    """
    folder = as_path(folder)
    earlier = _read_manifest(folder)
    listed = earlier | {name: sorted(files) for name, files in outputs.items()}
    write_json(folder / MANIFEST, listed)
    kept = {file for files in listed.values() for file in files}
    for name in {file for files in earlier.values() for file in files} - kept:
        file = folder / name
        # A damaged list may contain any name, also one that `file.is_file` cannot ask for.
        if _is_file(file) and file.parent.resolve().is_relative_to(folder.resolve()):
            file.unlink()
            _remove_empty(file.parent, folder)


def _is_file(file: pathlib.Path) -> bool:
    return file.is_file() if in_bucket(file) else os.path.isfile(file)


def _existing(folder: pathlib.Path, names: Iterable[str]) -> list[str]:
    """Those of some paths below a folder where something is, also a link that leads nowhere."""
    if not in_bucket(folder):
        return [name for name in names if os.path.lexists(folder / name)]
    # A listing of each folder: a question about each file would cost a request.
    listed: dict[pathlib.Path, set[pathlib.Path]] = {}
    found = []
    for name in names:
        path = folder / name
        if path.parent not in listed:
            listed[path.parent] = set(path.parent.glob("*"))
        if path in listed[path.parent]:
            found.append(name)
    return found


def _remove_empty(inner: pathlib.Path, folder: pathlib.Path) -> None:
    """Removes `inner` and the folders around it, up to `folder`, as far as they are empty."""
    with contextlib.suppress(OSError):  # not empty
        while inner != folder:
            inner.rmdir()
            inner = inner.parent


def _read_manifest(folder: pathlib.Path) -> dict[str, list[str]]:
    """The manifest of the folder; empty where there is none or where it is damaged.

    **Raises:** OSError when it cannot be read: an empty one would make the files of the run those of a person.
    """
    try:
        with naming(folder / MANIFEST):
            listed = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    entries = listed.items() if isinstance(listed, dict) else ()
    return {
        name: [file for file in files if isinstance(file, str)] for name, files in entries if isinstance(files, list)
    }
