"""One run at a time in a workdir."""

import contextlib
import errno
import json
import os
import pathlib
import socket
from collections.abc import Iterator

import jax
from absl import logging

from dbnet_jax.files import naming
from dbnet_jax.paths import in_bucket

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""The file in a workdir that a run locks. It contains the host and the process of the run."""
# Some network file systems have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class WorkdirInUse(OSError):
    """Another run writes into the workdir."""


@contextlib.contextmanager
def only_run_in(workdir: str | os.PathLike[str], argument: str = "workdir") -> Iterator[None]:
    """Keeps other runs out of `workdir`, which is made where there is none. Reading from it stays possible.

    Of a run on many hosts, process 0 locks for all. The system releases the lock when the process ends, also by a kill.
    Where the file system has no locks, a warning is logged and nothing is locked. A bucket has none, and its runs are
    for their owner to keep apart.

    **Arguments:** `workdir`; `argument`: its name in messages.

    **Raises:** WorkdirInUse, with the host and the process of the other run.
    """
    if jax.process_index() > 0 or fcntl is None or in_bucket(workdir):
        yield
        return
    file = pathlib.Path(workdir) / LOCK
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, file, argument)
        with naming(file):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, file: pathlib.Path, argument: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkdirInUse(
            f"`{argument}` (={os.fspath(file.parent)!r}) is in use by another run, {_owner(descriptor)}: wait for its "
            f"end, stop it, or name another {argument}"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logging.warning("%s cannot be locked (%s): start no second run in this folder", file, error.strerror)


def _owner(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {owner['pid']} on host {owner['host']}"
    except (ValueError, KeyError, TypeError):  # it has the lock, and has not written its name yet
        return "which is just starting or ending"
