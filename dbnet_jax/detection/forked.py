"""Detection is refused in forked processes: JAX's threads are missing there, and it would wait without end."""

import os

_detecting: int | None = None  # the process in which detection started; a forked process inherits the number


def claim_process() -> None:
    """Notes that this process detects. **Raises:** RuntimeError if it was forked from a process that detects."""
    global _detecting
    _detecting = _detecting or os.getpid()
    if _detecting != os.getpid():
        raise RuntimeError(
            f"this process ({os.getpid()}) was forked from a process with a detector ({_detecting}), and JAX hangs in "
            "forked processes: start it with multiprocessing.get_context('spawn'), and make a detector in it"
        )
