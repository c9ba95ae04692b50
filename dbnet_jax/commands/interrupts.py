"""Ctrl-C ends a command, also where Python would lose it."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_AGAIN_SECONDS = 0.02


@contextlib.contextmanager
def ctrl_c_ends() -> Iterator[None]:
    """The first Ctrl-C raises KeyboardInterrupt in the main thread, and a second one ends the process at once.

    Python raises the exception in whatever the main thread runs. In a callback of the garbage collector (JAX has one)
    or in a destructor, Python prints it and goes on. Such a lost exception is raised again a moment later.
    """
    # Python lets only the main thread handle signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hook = sys.unraisablehook
    handlers = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGALRM)}
    sys.unraisablehook = lambda lost: _note(lost) or hook(lost)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        signal.signal(signal.SIGALRM, handlers[signal.SIGALRM])
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, handlers[signal.SIGINT])


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _note(lost: "sys.UnraisableHookArgs") -> bool:
    """Whether nothing needs to be printed of an exception that nobody can catch."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        return True
    # Threads of a checkpoint's save that has failed; the failure itself is raised.
    return isinstance(lost.exc_value, RuntimeError) and "Event loop is closed" in str(lost.exc_value)
