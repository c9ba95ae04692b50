"""Being told to stop: SIGTERM or Ctrl-C saves a checkpoint, on every process of the run, and then ends it."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax

NOTE = b"\ntold to stop: what is learned is saved after this step; told once more, it ends without\n"


class Preemption:
    """Says, at a step, whether the run must save and stop.

    With `jax.distributed` its own service catches SIGTERM and agrees with all processes on one step (through Orbax);
    a process alone needs only a signal handler. Of many processes, one that gets Ctrl-C tells them all by SIGTERM.
    A context manager: it gives the handlers back. A second signal ends the process as if nothing caught it.

    **Arguments:** `reached`: `Checkpoints.reached_preemption`.

    `exit_code` is what a shell reports of a process that the signal ended, 143 of SIGTERM: job runners take it for a
    failure and start the run again.
    """

    def __init__(self, reached: Callable[[int], bool]):
        self._reached = reached
        self._told = False
        self.exit_code = 128 + signal.SIGTERM
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Preemption":
        # Python lets only the main thread handle signals; a run in a notebook's thread goes without.
        if threading.current_thread() is not threading.main_thread():
            return self
        if jax.distributed.is_initialized():
            self._previous = {signal.SIGINT: signal.signal(signal.SIGINT, self._tell_all)}
        else:
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _tell_all(self, number: int, frame: FrameType | None) -> None:
        os.write(2, NOTE)
        self._give_back()
        os.kill(os.getpid(), signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        self.exit_code = 128 + number
        os.write(2, NOTE)  # a step, or its compilation, may take minutes; `print` may be what the signal came into
        self._give_back()

    def reached(self, step: int) -> bool:
        """True once, at the same step on every process, after one of them was told to stop."""
        return self._told or (jax.distributed.is_initialized() and self._reached(step))

    def stop_here(self) -> None:
        """Ends a process alone that was told to stop, within what takes long; many must agree on a step for that.

        **Raises:** SystemExit.
        """
        if self._told:
            raise SystemExit(self.exit_code)

    def __exit__(self, *error: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
