"""One thread that all requests share, with a bounded queue in front of it."""

import contextlib
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from absl import logging

# Pictures of equal options that one call takes: its threads decode some while the network runs on others.
GROUP = 8
_SMOOTHING = 0.2  # weight of the latest picture in the mean time of a picture


class Full(Exception):
    """The queue has no room."""


@dataclass
class _Job:
    """A picture that waits: `task` says what is done with it."""

    task: Hashable
    source: Any
    result: Future[Any] = field(default_factory=Future)


class Worker:
    """Runs jobs in one thread, first come first served.

    **Arguments:**

    - `run`: `run(task, sources)` returns an iterator over the results, in order. An error of a picture ends the
        iteration, and the pictures after it are run again.
    - `most`: jobs that wait at most.
    - `preparation`: steps that the thread takes while no job waits.
    """

    def __init__(
        self,
        run: Callable[[Any, Sequence[Any]], Generator[Any, None, None]],
        most: int,
        preparation: Iterable[None] = (),
    ):
        self._run, self._most, self._preparation = run, most, iter(preparation)
        self.prepared = False
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._seconds = 0.5  # of a picture
        self._thread = threading.Thread(target=self._loop, name="detect", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs. Without it no job is done."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    @property
    def retry_seconds(self) -> int:
        """How long the present queue will take, in whole seconds, at least 1."""
        return max(1, math.ceil(self._seconds * len(self._jobs)))

    def check_room(self, count: int = 1) -> None:
        """**Raises:** Full if so many jobs would not find room."""
        if len(self._jobs) + count > self._most:
            raise Full

    def submit(self, task: Hashable, sources: Sequence[Any]) -> list[Future[Any]]:
        """Queues a job for each source, all or none. A future that is cancelled before its job begins costs nothing.

        **Raises:** Full if there is no room for all of them.
        """
        jobs = [_Job(task, source) for source in sources]
        with self._changed:
            self.check_room(len(jobs))
            self._jobs.extend(jobs)
            self._changed.notify()
        return [job.result for job in jobs]

    def discard_cancelled(self) -> None:
        """Makes the room of cancelled jobs free."""
        with self._changed:
            self._jobs = deque(job for job in self._jobs if not job.result.cancelled())

    def close(self) -> None:
        """Finishes all jobs, and ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _loop(self) -> None:
        while (group := self._next_group()) is not None:
            if not group:
                self._prepare()
            # Jobs whose futures were cancelled are left out.
            jobs = deque(job for job in group if job.result.set_running_or_notify_cancel())
            while jobs:
                self._work(jobs)

    def _next_group(self) -> list[_Job] | None:
        """The next jobs of one task; none if there is time to prepare; None if the worker is closed and all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing or not self.prepared)
            if not self._jobs:
                return None if self._closing else []
            same = itertools.takewhile(lambda job: job.task == self._jobs[0].task, self._jobs)
            return [self._jobs.popleft() for _ in list(itertools.islice(same, GROUP))]

    def _prepare(self) -> None:
        try:
            next(self._preparation)
        except StopIteration:
            self.prepared = True
        except Exception:  # jobs will say the same of their own pictures
            logging.exception("preparation failed")
            self.prepared = True

    def _work(self, jobs: deque[_Job]) -> None:
        """Runs jobs until one fails, and removes those that are done."""
        started = time.monotonic()
        try:
            with contextlib.closing(self._run(jobs[0].task, [job.source for job in jobs])) as results:
                for result in results:
                    jobs.popleft().result.set_result(result)
                    now = time.monotonic()
                    self._seconds += _SMOOTHING * (now - started - self._seconds)
                    started = now
            if jobs:
                raise RuntimeError(f"{len(jobs)} pictures have no result")
        except Exception as error:  # of the first job without a result
            if not jobs:  # all have their results: the thread goes on
                logging.exception("an error after the last picture")
                return
            jobs.popleft().result.set_exception(error)
