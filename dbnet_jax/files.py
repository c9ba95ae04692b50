"""Files that a reader finds old or new, and never in part."""

import json
import os
import pathlib
from typing import Any


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
