"""Lines of text files that are scored, and archives of such files."""

import pathlib
import zipfile

import numpy as np

WORD, OTHER, THIRD = "0,0,100,0,100,20,0,20", "0,50,100,50,100,70,0,70", "0,90,80,90,80,99,0,99"


def quad(line: str) -> np.ndarray:
    """The polygon of a line."""
    return np.array(line.split(","), np.float32).reshape(-1, 2)


def pack(path: pathlib.Path, files: dict[str, str], compression: int = zipfile.ZIP_DEFLATED) -> pathlib.Path:
    """Writes a zip archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
