"""Functions that a translation of the network replaces while it traces the network."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
_REPLACEMENTS: ContextVar[Mapping[Any, Callable[..., Any]]] = ContextVar("replacements")


def replaceable(function: Function) -> Function:
    """Marks a function of arrays that another format has as one operation, for example max pooling."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _REPLACEMENTS.get({}).get(call, function)(*args, **kwargs)

    return call  # type: ignore[return-value]


@contextlib.contextmanager
def replaced(replacements: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Inside of it, each `replaceable` function that is a key is called as its value."""
    token = _REPLACEMENTS.set(replacements)
    try:
        yield
    finally:
        _REPLACEMENTS.reset(token)
