"""Many processes that are one run: how they find each other, and how one of them ends."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import NoReturn

from absl.app import UsageError

from dbnet_jax.commands.options import Options

_HEARTBEAT_SECONDS = 60
"""A process that was silent for so long counts as ended, and JAX ends the others."""
_FLAGS = "--coordinator=HOST:PORT --num_processes=N --process_id=I"
# What the messages of JAX contain when another process is gone.
_SIGNS = ("Gloo", "NCCL", "coordination service", "CoordinationService")


def join(options: Options) -> None:
    """Makes this process one of many, by `--coordinator` and the two flags beside it; without them it stays alone.

    It returns when all processes are there. They have 300 seconds to come; then JAX ends those that wait.

    **Raises:** UsageError when the flags do not fit each other, or when "auto" finds no cluster.
    """
    address, count, index = options.coordinator, options.num_processes, options.process_id
    _check(address, count, index)
    if address is None:
        return
    import jax
    from jax.experimental import multihost_utils

    from dbnet_jax.training.cpu_memory import keep_memory

    complete = address != "auto" and None not in (count, index)
    try:
        jax.distributed.initialize(
            None if address == "auto" else address,
            num_processes=count,
            process_id=index,
            # Otherwise JAX looks for a cluster all the same, and takes from it which devices are this process's.
            cluster_detection_method="deactivate" if complete else None,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
        )
    except ValueError as error:
        raise UsageError(f"--coordinator={address} found no cluster that it knows ({error}): give {_FLAGS}") from error
    # CPUs wait 30 seconds for each other when they first exchange something. At this point all processes are there; a
    # later one is reached by some of them when the others still read their data or compile.
    keep_memory()  # it must come before the first use of a device
    multihost_utils.sync_global_devices("all processes are there")


def _check(address: str | None, count: int | None, index: int | None) -> None:
    if address is None:
        for flag, value in (("num_processes", count), ("process_id", index)):
            if value is not None:
                raise UsageError(f"--{flag}={value} needs --coordinator: without it, this process is a run of its own")
        return
    if address != "auto" and not re.fullmatch(r".+:[0-9]{1,5}", address):
        raise UsageError(f"--coordinator={address} must be HOST:PORT, the same on all hosts, or auto")
    if count is not None and count < 1:
        raise UsageError(f"--num_processes={count} must be 1 or more")
    if index is not None and not 0 <= index < (count or index + 1):
        raise UsageError(f"--process_id={index} must be 0 or more, and less than --num_processes")


def joined() -> bool:
    """Whether this process is one of many."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def speaks() -> bool:
    """Whether this process prints the results: it is alone, or it is process 0."""
    return not joined() or sys.modules["jax"].process_index() == 0


def leave(message: str, code: int = 1) -> None:
    """Prints the message and ends this process at once where it is one of many.

    Python's own end would wait for the others, which wait for this one. As its connections close, the others end too.
    """
    if joined():
        end_at_once(message, code)


def end_at_once(message: str, code: int) -> NoReturn:
    """Prints the message and ends this process without Python's own end."""
    print(message, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class LostProcess(OSError):
    """Another process of the run has ended."""


@contextlib.contextmanager
def lost_processes() -> Iterator[None]:
    """**Raises:** LostProcess in the place of an error of JAX's that is due to another process."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if not joined() or not any(sign in said for sign in _SIGNS):
            raise
        raise LostProcess(
            "another process of this run has ended or cannot be reached, and its own output may say why: start all "
            f"processes again with the same commands, and the run goes on from its last checkpoint ({said:.200})"
        ) from error
