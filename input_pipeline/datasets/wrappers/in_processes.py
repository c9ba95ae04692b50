"""A data set whose samples are made in other processes, which do not wait for Python's lock."""

import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import multiprocessing.util
import pickle
import queue
import signal
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.wrappers.base import Wrapper

# The terminal, a job runner or a service manager send them to every process of a run. They are for the process that
# asks: it still needs samples while it stops, and then ends these.
_FOR_THE_PARENT = (signal.SIGINT, signal.SIGTERM)


class InProcesses(Wrapper):
    """The same samples as another data set, made by other processes.

    Worth it where making a sample is mostly Python's work, as rendering is: threads that ask for samples then wait
    beside each other. A sample comes back as a copy, a millisecond a megabyte. The processes end with this object or
    with its process, however that ends; SIGINT and SIGTERM leave them alone.

    Each has a pipe to itself and shares no lock. So the end of either side, in the middle of a sample too, is the end
    of the pipe to the other, which a pool of `concurrent.futures` may wait for in vain.

    **Arguments:**

    - `dataset`: can be pickled.
    - `processes`: how many.

    **Raises:** ValueError when there are none, RuntimeError when one ends at once.
    """

    def __init__(self, dataset: Dataset, processes: int):
        if processes < 1:
            raise ValueError(f"`config.data.render_processes` (={processes}) must be at least 1 here; 0 uses none")
        super().__init__(dataset)
        workers = [_start() for _ in range(processes)]
        # Not `weakref.finalize`: this is called before multiprocessing waits for its processes at exit.
        self._end = multiprocessing.util.Finalize(self, _end, ([process for process, _ in workers],), exitpriority=0)
        self._idle: queue.SimpleQueue[tuple[SpawnProcess, Connection]] = queue.SimpleQueue()
        # Not an argument of the process, which would be waited for even if it ended before it read that.
        for process, connection in workers:
            with _told_if_it_ends(process, "read the data set"):
                _send(connection, dataset)
            self._idle.put((process, connection))

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, once it is made.

        **Raises:** what the data set raises; RuntimeError when the process that makes it has ended.
        """
        process, connection = self._idle.get()
        try:
            with _told_if_it_ends(process, f"made sample {index}"):
                _send(connection, index)
                answer = pickle.loads(connection.recv_bytes())
        except BaseException:
            # Ctrl-C may cut off an answer; its rest would be read as the next answer.
            process.kill()
            raise
        finally:
            self._idle.put((process, connection))  # a process that has ended fails the next request
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the processes."""
        self._end()


def _send(connection: Connection, value: object) -> None:
    # `connection.send` views a buffer, and Python 3.12.1 crashes when it clears the traceback of one that failed.
    connection.send_bytes(pickle.dumps(value))


@contextlib.contextmanager
def _told_if_it_ends(process: SpawnProcess, doing: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        process.join(1)
        raise RuntimeError(
            f"a process of `config.data.render_processes` ended (exit code {process.exitcode}) while it {doing}. "
            "-9 is how the system ends one when memory runs out: take fewer then"
        ) from error


def _start() -> tuple[SpawnProcess, Connection]:
    # A fork of a process with threads, as those of JAX and TensorFlow, may hang.
    context = multiprocessing.get_context("spawn")
    connection, its_end = context.Pipe()
    process = context.Process(target=_work, args=(its_end,), daemon=True)
    with _signals_held_back():
        process.start()
    its_end.close()  # the last one then closes with the process
    return process, connection


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """A process that is started here is not ended by a signal before it can say that it ignores it."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    multiprocessing.resource_tracker.ensure_running()  # otherwise `start` does it, and lets the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: Sequence[SpawnProcess]) -> None:
    # They ignore SIGTERM, and have nothing to clean up.
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def _work(connection: Connection) -> None:
    """The work of each process: answers an index with its sample or its error, until the connection ends."""
    import cv2

    for number in _FOR_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)  # the processes share the cores
    try:
        pickled = connection.recv_bytes()
    except (EOFError, OSError):
        return
    dataset = pickle.loads(pickled)
    answer: Sample | Exception
    with contextlib.suppress(EOFError, OSError):  # the process that asked has ended
        while True:
            index = pickle.loads(connection.recv_bytes())
            try:
                answer = dataset[index]
            except Exception as error:
                error.add_note(f"In a process of `config.data.render_processes`:\n{traceback.format_exc()}")
                answer = error
            _send(connection, answer)
