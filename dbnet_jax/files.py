"""Files that a reader finds old or new, and never in part; the list of the files that a run wrote."""

import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

MANIFEST = ".dbnet_jax.json"
"""Lists the files that runs wrote into a folder of results."""


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes the file beside its place and moves it there; its folder must exist.

    A text is written in UTF-8; a file name in it that is no text keeps its bytes as escapes.
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    if isinstance(content, str):
        content = content.encode("utf-8", errors="backslashreplace")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON, in one move."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def replace_files(folder: str | os.PathLike[str], outputs: Mapping[str, Collection[str]]) -> None:
    """Removes the files of an earlier run that this run did not write again, and lists those of this run.

    The list is the file `MANIFEST` in the folder. A file that it does not list belongs to a person and stays.

    **Arguments:**

    - `folder`: the folder of results.
    - `outputs`: the files that this run wrote, by the name of the output, as paths from `folder`. The files of other
        outputs stay.
    """
    folder = pathlib.Path(folder)
    earlier = _read_manifest(folder)
    listed = earlier | {name: sorted(files) for name, files in outputs.items()}
    write_json(folder / MANIFEST, listed)
    kept = {file for files in listed.values() for file in files}
    for name in {file for files in earlier.values() for file in files} - kept:
        file = folder / name
        # A damaged list may contain any name, also one that `file.is_file` cannot ask for.
        if os.path.isfile(file) and file.parent.resolve().is_relative_to(folder.resolve()):
            file.unlink()


def _read_manifest(folder: pathlib.Path) -> dict[str, list[str]]:
    """The manifest of the folder; empty where there is none or where it is damaged."""
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = listed.items() if isinstance(listed, dict) else ()
    return {
        name: [file for file in files if isinstance(file, str)] for name, files in entries if isinstance(files, list)
    }
