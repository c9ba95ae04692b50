"""Says when XLA compiles a step: it does so for each new shape, before it computes, and it may take a minute."""

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

_lock = threading.Lock()
_tell: Callable[[bool], None] | None = None
_running = 0


@contextlib.contextmanager
def telling_of_compilation(tell: Callable[[bool], None]) -> Iterator[None]:
    """In this block, `tell(True)` is called before XLA compiles a step, and `tell(False)` when no step is compiled.

    It may be called in any thread, and never in two at once. A process has one such block at a time.
    """
    global _tell
    _tell = tell
    try:
        yield
    finally:
        _tell = None


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """A block in which a step is compiled."""
    global _running
    with _lock:
        _running += 1
        if _tell is not None and _running == 1:
            _tell(True)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _tell is not None and _running == 0:
                _tell(False)


def compiled_before(step: Any) -> Any:
    """The step of `jax.jit`; while `telling_of_compilation`, it compiles a new shape before it computes.

    **Arguments:** `step`: takes variables of one shape, arrays, and static values.
    """
    known: set[Hashable] = set()

    def run(variables: Any, *inputs: Any) -> Any:
        shapes = tuple(getattr(one, "shape", one) for one in inputs)
        if _tell is not None and shapes not in known:
            with compiling():
                step.lower(variables, *inputs).compile()  # the call takes it from JAX's cache
        known.add(shapes)
        return step(variables, *inputs)

    return run
