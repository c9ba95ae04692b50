"""Reading, the network and post-processing of many pictures side by side, and their results in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import UInt8

Source = TypeVar("Source")
Context = TypeVar("Context")
Result = TypeVar("Result")

Pixels = UInt8[np.ndarray, "_ _ 3"]

# That read, and that finish. OpenCV and NumPy let go of Python's lock; what else a picture needs runs one at a time.
THREADS = min(8, os.cpu_count() or 1)
# Batches that the device has at once: it goes on to the second without waiting for this process.
AHEAD = 2
# A batch that is not full is sent when its first picture saw so many batches' pictures come after it.
PATIENCE = 4


class Ready(NamedTuple):
    """The result of a picture that needs the network no more."""

    result: Any


@dataclass(frozen=True)
class Stages(Generic[Source, Context, Result]):
    """What happens to a picture.

    **Arguments:**

    - `read`: called in threads. Gives the pixels as the network takes them, and what `finish` must know of the
        picture; or what comes out in its place: as a value and not raised, the error for which there is no picture, or
        a result that is `Ready`.
    - `forward`: called on the calling thread. Sends a batch to the device, and gives its outputs, arrays
        [batch, …] by name, without waiting for them.
    - `finish`: called in threads. Takes a picture's own outputs, NumPy arrays, and what `read` told; gives the result.
    """

    read: Callable[[Source], tuple[Pixels, Context] | ValueError | Ready]
    forward: Callable[[UInt8[np.ndarray, "batch height width 3"]], dict[str, Any]]
    finish: Callable[[dict[str, np.ndarray], Context], Result]


def in_flight(batch_size: int) -> int:
    """The most pictures that are taken from the source and not yet handed out."""
    return 2 * THREADS + (AHEAD + PATIENCE) * batch_size


def overlapped(
    sources: Iterable[Source], stages: Stages[Source, Context, Result], *, batch_size: int, least: int = 1
) -> Generator[Result | ValueError, None, None]:
    """Takes each picture through its stages while others are in the stages before and behind it.

    Pictures of one shape share batches. Which ones depends on their order alone and never on how long anything took:
    a batch is sent when it is full, when its first picture has waited for `PATIENCE` batches' pictures, and at the
    end. Copies of its last picture fill it up, since any other number would be one more shape to compile.

    Batches are sent on the calling thread, when it asks for the next result. When it asks no more, or something is
    raised, nothing new begins, and what runs is waited for.

    **Arguments:**

    - `sources`: the pictures; no more than `in_flight(batch_size)` are held.
    - `stages`: what happens to them.
    - `batch_size`: pictures of a batch.
    - `least`: pictures of a batch that holds one alone.

    **Returns:** an iterator over the results, or the errors that `stages.read` gave, in the order of `sources`.

    **Raises:** what a stage raises, in its picture's place; what `sources` raises, at once.
    """
    run = _Run(stages, batch_size, least)
    try:
        yield from run.results(iter(sources))
    finally:
        run.close()


class Failed(NamedTuple):
    """What was raised, and not given, in a picture's place."""

    error: Exception


def errors_in_place(results: Iterable[Result]) -> Iterator[Result | Failed]:
    """The results of a run that are the sources of another one, with the error that ends them as the last.

    Its stages raise it in that place: an error of the sources would end the run with its first results still on their
    way.
    """
    try:
        yield from results
    except Exception as error:
        yield Failed(error)


@dataclass(frozen=True)
class _Member(Generic[Context, Result]):
    """A picture that is read and waits for the network."""

    position: int
    pixels: Pixels
    context: Context
    result: Future[Result | ValueError]


class _Run(Generic[Source, Context, Result]):
    """The pictures in flight, by where they are. Only `results` and what it calls change it, on the calling thread."""

    def __init__(self, stages: Stages[Source, Context, Result], batch_size: int, least: int):
        self._stages, self._batch_size, self._least = stages, batch_size, least
        self._readers = ThreadPoolExecutor(THREADS, "read")
        self._fetcher = ThreadPoolExecutor(1, "fetch")
        self._finishers = ThreadPoolExecutor(THREADS, "finish")
        self._pending: deque[Future[Result | ValueError]] = deque()  # of all in flight, in their order
        self._reading: deque[tuple[Future[Any], Future[Result | ValueError]]] = deque()  # beside their results
        self._position = 0  # of the first that is being read
        self._groups: dict[tuple[int, ...], list[_Member[Context, Result]]] = {}  # by shape, none of them full
        self._batches: deque[list[_Member[Context, Result]]] = deque()  # for which the device has no room yet
        self._on_device: deque[Future[dict[str, np.ndarray]]] = deque()

    def results(self, sources: Iterator[Source]) -> Iterator[Result | ValueError]:
        more = True
        while True:
            while more and len(self._pending) < in_flight(self._batch_size):
                more = self._read_next(sources)
            self._group(last=not more)
            self._send()
            if not self._pending:
                return
            if self._pending[0].done():
                yield self._pending.popleft().result()
                continue
            # One of these lets this thread go on: a result, a picture to group, room on the device.
            awaited: list[Future[Any]] = [self._pending[0], *(reading for reading, _ in list(self._reading)[:1])]
            wait(awaited + list(self._on_device)[: len(self._batches)], return_when=FIRST_COMPLETED)

    def _read_next(self, sources: Iterator[Source]) -> bool:
        """Gives one more picture to the threads that read; False when there is none."""
        for source in sources:
            self._pending.append(Future())
            self._reading.append((self._readers.submit(self._stages.read, source), self._pending[-1]))
            return True
        return False

    def _group(self, last: bool) -> None:
        """Puts pictures that are read into groups, in their order, and makes batches of those that wait no longer."""
        while self._reading and self._reading[0][0].done():
            reading, result = self._reading.popleft()
            if error := reading.exception():
                result.set_exception(error)
            elif isinstance(found := reading.result(), Ready):
                result.set_result(found.result)
            elif isinstance(found, ValueError):
                result.set_result(found)
            else:
                pixels, context = found
                member = _Member(self._position, pixels, context, result)
                self._groups.setdefault(pixels.shape, []).append(member)
            self._position += 1
            self._close_groups(since=self._position - PATIENCE * self._batch_size)
        if last and not self._reading:
            self._close_groups(since=self._position)

    def _close_groups(self, since: int) -> None:
        """Makes batches of the groups that are full, or have a picture from before position `since`."""
        for shape, group in list(self._groups.items()):
            if len(group) == self._batch_size or group[0].position < since:
                self._batches.append(self._groups.pop(shape))

    def _send(self) -> None:
        """Sends batches to the device as long as it has room, and tells threads to wait for what comes back."""
        while self._on_device and self._on_device[0].done():
            self._on_device.popleft()
        while self._batches and len(self._on_device) < AHEAD:
            batch = self._batches.popleft()
            pixels = [member.pixels for member in batch]
            full = self._batch_size if len(batch) > 1 else self._least
            try:
                outputs = self._stages.forward(np.stack(pixels + pixels[-1:] * (full - len(pixels))))
            except Exception as error:  # raised when it is these pictures' turn: others before them are not lost
                for member in batch:
                    member.result.set_exception(error)
                continue
            self._on_device.append(self._fetcher.submit(jax.device_get, outputs))
            for row, member in enumerate(batch):
                self._finishers.submit(self._finish, self._on_device[-1], row, member.context, member.result)

    def _finish(
        self,
        fetched: Future[dict[str, np.ndarray]],
        row: int,
        context: Context,
        result: Future[Result | ValueError],
    ) -> None:
        try:
            # First come, first served: who is waited for here has begun, and never waits for a thread of this kind.
            outputs = {name: values[row] for name, values in fetched.result().items()}
            result.set_result(self._stages.finish(outputs, context))
        except BaseException as error:
            result.set_exception(error)

    def close(self) -> None:
        """Forgets what has not begun, and waits for what has."""
        pools = (self._readers, self._fetcher, self._finishers)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown()
