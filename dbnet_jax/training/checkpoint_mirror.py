"""The checkpoints of a run in a bucket, as a folder on this machine's disk.

Orbax writes and reads the folder. Its own way into a bucket makes a request for each array, and needs a bucket that
compares generations; a copy of its files is a few large objects.
"""

import contextlib
import pathlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor

from dbnet_jax.training.checkpoint_files import MARKS, saved_steps

_AT_A_TIME = 8  # requests
_LISTINGS = 5  # of a bucket from which another process removes checkpoints meanwhile


class CheckpointMirror:
    """A folder with the complete checkpoints of a bucket.

    **Arguments:** `source`: the path of the checkpoints in the bucket.
    """

    def __init__(self, source: pathlib.Path) -> None:
        self._source = source
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbnet_jax-")) / "checkpoints"
        self.folder.mkdir()
        self._known: set[int] = set()  # steps that the folder has or had

    def fetch(self, *, anew: bool = False) -> None:
        """Copies the checkpoints that the folder lacks from the bucket.

        A training may remove a checkpoint meanwhile. The bucket is then listed again, for there may be a new one.

        **Arguments:** `anew`: copies all of them, because others write into the bucket.
        """
        for step in list(self._known) if anew else ():
            self.forget(step)
        for _ in range(_LISTINGS):
            lacking = [step for step in saved_steps(self._source) if step not in self._known]
            if not [step for step in lacking if not self._fetched(step)]:
                return

    def _fetched(self, step: int) -> bool:
        """Copies a checkpoint from the bucket. **Returns:** False where it is no longer there, or not as a whole."""
        partial = self.folder / f"{step}.partial"
        with contextlib.suppress(FileNotFoundError):
            _copy(self._source / str(step), partial)
            # The marks are removed first and copied last: where one came along, all files were still there.
            if any((partial / mark).exists() for mark in MARKS):
                partial.rename(self.folder / str(step))
                self._known.add(step)
                return True
        shutil.rmtree(partial, ignore_errors=True)
        return False

    def push(self) -> None:
        """Copies new checkpoints to the bucket, and removes those from it that the folder has no longer.

        A kill leaves no part of a checkpoint that a reader takes for the whole. The next push removes such a part.
        The old checkpoints are removed last: a kill or an error before leaves them in the bucket.
        """
        here, complete = saved_steps(self.folder), saved_steps(self._source)
        for path in self._source.glob("*"):
            if path.name.isdecimal() and int(path.name) not in complete:
                _remove(path)
        for step in here:
            if step not in complete:
                _copy(self.folder / str(step), self._source / str(step))
        for step in self._known.difference(here).intersection(complete):
            _remove(self._source / str(step))
        self._known.update(here)

    def forget(self, step: int) -> None:
        """Removes a checkpoint from the folder, and leaves the bucket as it is."""
        shutil.rmtree(self.folder / str(step), ignore_errors=True)
        self._known.discard(step)

    def close(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a checkpoint, the marks of a complete one last."""

    def copy(file: pathlib.Path) -> None:
        place = target / file.relative_to(source).as_posix()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())

    files = [file for file in source.rglob("*") if file.is_file()]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for last in (False, True):
            list(pool.map(copy, [file for file in files if (file.name in MARKS and file.parent == source) == last]))


def _remove(folder: pathlib.Path) -> None:
    """Removes a checkpoint, the marks of a complete one first."""
    for mark in MARKS:
        (folder / mark).unlink(missing_ok=True)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(lambda file: file.unlink(missing_ok=True), list(folder.rglob("*"))))
