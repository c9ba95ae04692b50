"""Many processes that are one run: how they find each other, and how one of them ends."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

from dbnet_jax.commands.options import Options

_HEARTBEAT_SECONDS = 20
"""A process that was silent for so long counts as ended, and JAX ends the others."""
# What the messages of JAX contain when another process is gone.
_SIGNS = ("Gloo", "NCCL", "coordination service", "CoordinationService")


def join(options: Options) -> None:
    """Makes this process one of many, by `--coordinator` and the two flags beside it."""
    import jax

    jax.distributed.initialize(
        None if options.coordinator == "auto" else options.coordinator,
        num_processes=options.num_processes,
        process_id=options.process_id,
        heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
    )


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
