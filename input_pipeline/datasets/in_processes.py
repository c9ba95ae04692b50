"""A data set whose samples are made in other processes: Python's lock holds none of them up."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor

from input_pipeline.datasets.sample import Dataset, Sample


class InProcesses:
    """The samples of another data set, the same ones, made by a pool of processes.

    Worth it where making a sample is mostly Python's work, as rendering is: threads that ask for samples then wait
    beside each other. A sample comes back as a copy, a millisecond a megabyte. The processes start with the first
    sample that is asked for, and end with this object or with its process, however that ends.

    **Arguments:**

    - `dataset`: can be pickled.
    - `processes`: how many.

    **Raises:** ValueError when there are none.
    """

    def __init__(self, dataset: Dataset, processes: int):
        if processes < 1:
            raise ValueError(f"`config.data.render_processes` (={processes}) must be at least 1 here; 0 uses none")
        self._dataset = dataset
        self.problems = dataset.problems
        # A fork of a process with threads, as those of JAX and TensorFlow, may hang.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(dataset,))

    def __len__(self) -> int:
        return len(self._dataset)

    def name(self, index: int) -> str:
        """The name of sample `index`."""
        return self._dataset.name(index)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, once it is made. **Raises:** what the data set raises."""
        return self._pool.submit(_make, index).result()

    def close(self) -> None:
        """Ends the processes, when they are done with what they were asked for."""
        self._pool.shutdown()


# Of a process of the pool.
_DATASET: list[Dataset] = []


def _begin(dataset: Dataset) -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes share the cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks, which then ends these
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _DATASET[:] = [dataset]


def _end_with_parent() -> None:
    """A process that was killed cannot tell those of its pool, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _make(index: int) -> Sample:
    return _DATASET[0][index]
