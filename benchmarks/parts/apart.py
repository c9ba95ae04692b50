"""An object in a process of its own: the libraries' threads and memory do not get into each other's way."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

_made: Any = None


def _make(make: Callable[..., Any], *arguments: Any) -> None:
    global _made
    _made = make(*arguments)


def _call(method: str, *arguments: Any) -> Any:
    return getattr(_made, method)(*arguments)


class Apart:
    """What `make(*arguments)` gives, in a process of its own."""

    def __init__(self, make: Callable[..., Any], *arguments: Any):
        spawn = get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_make, initargs=(make, *arguments))

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def __call__(self, method: str, *arguments: Any) -> Any:
        """Calls a method, and waits."""
        return self.begin(method, *arguments).result()

    def begin(self, method: str, *arguments: Any) -> Future[Any]:
        """Calls a method; a future of what it gives."""
        return self._pool.submit(_call, method, *arguments)
