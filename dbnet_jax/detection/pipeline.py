"""Reads, detects and post-processes many pictures at the same time; returns the results in order."""

import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import jax
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.detection.forked import claim_process
from dbnet_jax.typing import Image

Source = TypeVar("Source")
Context = TypeVar("Context")
Result = TypeVar("Result")

# Threads that read, and as many that post-process. OpenCV and NumPy release Python's lock.
THREADS = min(8, os.cpu_count() or 1)
# Batches on the device at once: it starts the second without waiting for this process.
AHEAD = 2
# A batch that is not full is sent when the pictures of so many batches came after its first picture.
PATIENCE = 4


@dataclass(frozen=True)
class ForNetwork(Generic[Context]):
    """A picture that was read: its pixels for the network, and a context for `Stages.finish`."""

    pixels: Image
    context: Context


@dataclass(frozen=True)
class Stages(Generic[Source, Context, Result]):
    """What happens to a picture.

    **Arguments:**

    - `read`: runs in threads. For an unreadable picture it returns (does not raise) the ValueError. For a picture that
        needs no network it returns the result.
    - `forward`: runs on the calling thread. Sends a batch to the device and returns its outputs, arrays [batch, …] by
        name, without waiting for them.
    - `finish`: runs in threads. Takes the picture's own outputs (NumPy arrays) and its context; returns the result.
    """

    read: Callable[[Source], ForNetwork[Context] | Result | ValueError]
    forward: Callable[[UInt8[np.ndarray, "batch height width 3"]], dict[str, Any]]
    finish: Callable[[dict[str, np.ndarray], Context], Result]


def in_flight(batch_size: int) -> int:
    """The most pictures that are taken from the source and not yet returned."""
    return 2 * THREADS + (AHEAD + PATIENCE) * batch_size


def overlapped(
    sources: Iterable[Source],
    stages: Stages[Source, Context, Result],
    *,
    batch_size: int,
    least: int = 1,
    held: int | None = None,
) -> Generator[Result | ValueError, None, None]:
    """Takes each picture through its stages while other pictures are in other stages.

    Pictures of one shape share batches. The batches depend only on the order of the pictures, never on time. A batch is
    sent when it is full, when its first picture has waited for the pictures of `PATIENCE` batches, and at the end.
    Copies of its last picture fill it, because another number of pictures would be one more shape to compile.

    The calling thread sends batches when it asks for the next result. When it stops asking or an error is raised,
    nothing new starts, and running work is completed.

    **Arguments:**

    - `sources`: the pictures.
    - `stages`: the functions that each picture passes.
    - `batch_size`: pictures in a batch.
    - `least`: the size of a batch with a single picture.
    - `held`: the most pictures that are held; None is `in_flight(batch_size)`. Fewer need a `batch_size` of 1.

    **Returns:** an iterator over the results, or the errors that `stages.read` returned, in the order of `sources`.

    **Raises:** an error of a stage, in its picture's place; an error of `sources`, at once.
    """
    with contextlib.closing(completed(sources, stages, batch_size=batch_size, least=least, held=held)) as futures:
        yield from map(Future.result, futures)


def completed(
    sources: Iterable[Source],
    stages: Stages[Source, Context, Result],
    *,
    batch_size: int,
    least: int = 1,
    held: int | None = None,
) -> Generator[Future[Result | ValueError], None, None]:
    """As `overlapped`, but returns completed futures, which raise the error of a stage when they are asked.

    So they can be the sources of a second run, which raises the error in the same place.
    """
    run = _Run(stages, batch_size, least, held or in_flight(batch_size))
    try:
        yield from run.completed(iter(sources))
    finally:
        run.close()


@dataclass(frozen=True)
class _Member(Generic[Context, Result]):
    """A picture that was read and waits for the network."""

    position: int
    pixels: Image
    context: Context
    result: Future[Result | ValueError]


class _Run(Generic[Source, Context, Result]):
    """The pictures in flight, by stage. Only the calling thread changes it, in `completed`."""

    def __init__(self, stages: Stages[Source, Context, Result], batch_size: int, least: int, held: int):
        self._stages, self._batch_size, self._least, self._held = stages, batch_size, least, held
        self._readers = ThreadPoolExecutor(THREADS, "read")
        self._fetcher = ThreadPoolExecutor(1, "fetch")
        self._finishers = ThreadPoolExecutor(THREADS, "finish")
        self._pending: deque[Future[Result | ValueError]] = deque()  # of all pictures in flight, in order
        self._reading: deque[tuple[Future[Any], Future[Result | ValueError]]] = deque()  # each with its result
        self._position = 0  # of the first picture that is being read
        self._groups: dict[tuple[int, ...], list[_Member[Context, Result]]] = {}  # by shape; none is full
        self._batches: deque[list[_Member[Context, Result]]] = deque()  # wait for the device
        self._on_device: deque[Future[dict[str, np.ndarray]]] = deque()

    def completed(self, sources: Iterator[Source]) -> Iterator[Future[Result | ValueError]]:
        more = True
        while True:
            claim_process()
            while more and len(self._pending) < self._held:
                more = self._read_next(sources)
            self._group(last=not more)
            self._send()
            if not self._pending:
                return
            if self._pending[0].done():
                yield self._pending.popleft()
                continue
            # This thread continues with one of these: a result, a picture to group, room on the device.
            awaited: list[Future[Any]] = [self._pending[0], *(reading for reading, _ in list(self._reading)[:1])]
            wait(awaited + list(self._on_device)[: len(self._batches)], return_when=FIRST_COMPLETED)

    def _read_next(self, sources: Iterator[Source]) -> bool:
        """Submits one more picture to the reading threads; False at the end of the sources."""
        for source in sources:
            self._pending.append(Future())
            self._reading.append((self._readers.submit(self._stages.read, source), self._pending[-1]))
            return True
        return False

    def _group(self, last: bool) -> None:
        """Puts pictures that were read into groups, in order, and makes batches of the groups that are due."""
        while self._reading and self._reading[0][0].done():
            reading, result = self._reading.popleft()
            if error := reading.exception():
                result.set_exception(error)
            elif isinstance(found := reading.result(), ForNetwork):
                member = _Member(self._position, found.pixels, found.context, result)
                self._groups.setdefault(found.pixels.shape, []).append(member)
            else:
                result.set_result(found)
            self._position += 1
            self._close_groups(since=self._position - PATIENCE * self._batch_size)
        if last and not self._reading:
            self._close_groups(since=self._position)

    def _close_groups(self, since: int) -> None:
        """Makes batches of the groups that are full or have a picture before position `since`."""
        for shape, group in list(self._groups.items()):
            if len(group) == self._batch_size or group[0].position < since:
                self._batches.append(self._groups.pop(shape))

    def _send(self) -> None:
        """Sends batches to the device while it has room; threads wait for the outputs."""
        while self._on_device and self._on_device[0].done():
            self._on_device.popleft()
        while self._batches and len(self._on_device) < AHEAD:
            batch = self._batches.popleft()
            pixels = [member.pixels for member in batch]
            copies = pixels[-1:] * ((self._batch_size if len(batch) > 1 else self._least) - len(pixels))
            try:
                alone = len(pixels) == 1 and not copies
                outputs = self._stages.forward(pixels[0][None] if alone else np.stack(pixels + copies))
            except Exception as error:  # raised in the place of these pictures: earlier results are kept
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
            # No deadlock: the fetch was submitted first, and it never waits for a finishing thread.
            outputs = {name: values[row] for name, values in fetched.result().items()}
            result.set_result(self._stages.finish(outputs, context))
        except BaseException as error:
            result.set_exception(error)

    def close(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        """Cancels work that has not started, and waits for running work."""
        # When Python exits, it has already waited for the threads, and then it empties modules: `sys` may be None here.
        if exiting():
            return
        pools = (self._readers, self._fetcher, self._finishers)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        # The garbage collector may call this in one of the threads, which cannot wait for itself.
        with contextlib.suppress(RuntimeError):
            for pool in pools:
                pool.shutdown()
