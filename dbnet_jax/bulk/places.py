"""Files and folders of a job, on a disk or in a bucket, by their paths and addresses as texts."""

import os
from collections.abc import Iterator

from etils import epath

from dbnet_jax.file_names import is_hidden


def is_remote(path: str) -> bool:
    """Whether the path is an address in a bucket, as gs://bucket/name."""
    return "://" in path


def place(path: str) -> epath.Path:
    """The path, with the methods of `pathlib.Path`."""
    return epath.Path(path)


def size_of(file: str) -> int:
    """The bytes of a file. **Raises:** OSError."""
    return int(place(file).stat().length) if is_remote(file) else os.path.getsize(file)


def files_below(folder: str, results: str) -> Iterator[str]:
    """The files in a folder and in the folders in it, without hidden ones and those in the folder `results`."""
    results = results if is_remote(results) else os.path.realpath(results)
    for parent, folders, names in place(folder).walk():
        here = os.fspath(parent).rstrip("/")
        if is_remote(folder) and not is_remote(here):  # fsspec leaves the scheme out
            here = f"{folder.partition('://')[0]}://{here}"
        real = here if is_remote(here) else os.path.realpath(here)
        # A bucket may list folders that were taken out of `folders`.
        inner = here[len(folder) :].strip("/").split("/")
        if any(map(is_hidden, inner)) or f"{real}/".startswith(f"{results.rstrip('/')}/"):
            folders.clear()
            continue
        yield from (f"{here}/{name}" for name in names if not is_hidden(name))
