"""Files and folders of a job, on a disk or in a bucket, by their paths and addresses as texts."""

import contextlib
import os
from collections.abc import Iterator

from dbnet_jax.file_names import is_hidden, visible_below
from dbnet_jax.paths import BucketPath, as_path


def size_of(file: str) -> int:
    """The bytes of a file. **Raises:** OSError."""
    return int(as_path(file).stat().st_size)


class StorageLost(OSError):
    """A disk or a bucket that had the pictures of a job does not answer: no picture is to blame."""


def check_storage(file: str, error: OSError) -> None:
    """Tells the fault of one file from that of its storage, after an error at the file.

    **Raises:** StorageLost if the folder of the file cannot be listed.
    """
    folder = as_path(file).parent
    try:
        if isinstance(folder, BucketPath):
            with contextlib.suppress(FileNotFoundError):  # the bucket has answered: nothing is there
                next(iter(folder.iterdir()), None)
        else:
            os.scandir(folder).close()
    except OSError as lost:
        raise StorageLost(
            f"{file} cannot be read ({error}), and its folder cannot be listed ({lost}). When it is back, start the "
            "same command again to go on"
        ) from error


def files_below(folder: str, results: str) -> Iterator[tuple[str, int | None]]:
    """The files in a folder and in the folders in it, without hidden ones and those in the folder `results`.

    **Returns:** each file and its bytes; None of a link that leads nowhere.
    """
    top = as_path(folder)
    if isinstance(top, BucketPath):
        for path in visible_below(top):
            if isinstance(path, BucketPath) and not str(path).startswith(f"{results.rstrip('/')}/"):
                yield str(path), path.listed_size
        return
    results = os.path.realpath(results)
    for here, folders, names in os.walk(top):
        if f"{os.path.realpath(here)}/".startswith(f"{results}/"):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not is_hidden(name)]
        for file in (os.path.join(here, name) for name in names if not is_hidden(name)):
            size = None
            with contextlib.suppress(OSError):
                size = os.path.getsize(file)
            yield file, size
