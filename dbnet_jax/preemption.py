"""Being told to stop: SIGTERM saves a checkpoint, on every process of the run, and then ends it.

Of a process alone, Ctrl-C does the same.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax

# What a shell reports of a process that SIGTERM ended: job runners take it for a failure and start the run again.
EXIT_CODE = 128 + signal.SIGTERM


class Preemption:
    """Says, at a step, whether the run must save and stop.

    With `jax.distributed` its own service catches SIGTERM and agrees with all processes on one step (through Orbax);
    a process alone needs only a signal handler. A context manager: it gives the handlers back. A second signal ends
    the process as if nothing caught it.

    **Arguments:** `reached`: `Checkpoints.reached_preemption`.
    """

    def __init__(self, reached: Callable[[int], bool]):
        self._reached = reached
        self._told = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Preemption":
        # Python lets only the main thread handle signals; a run in a notebook's thread goes without.
        alone = not jax.distributed.is_initialized()
        if alone and threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        self._give_back()

    def reached(self, step: int) -> bool:
        """True once, at the same step on every process, after one of them was told to stop."""
        return self._told or (jax.distributed.is_initialized() and self._reached(step))

    def stop_here(self) -> None:
        """Ends a process alone that was told to stop, within what takes long; many must agree on a step for that.

        **Raises:** SystemExit.
        """
        if self._told:
            raise SystemExit(EXIT_CODE)

    def __exit__(self, *error: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
