"""Training batches by plain threads: positions → examples on all cores → batches, without TensorFlow.

Threads are enough with `config.data.pixels = "device"`: decoding and resizing release Python's lock, and the
accelerator makes the pixels. Batch t is a pure function of (seed, t, process index).
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from input_pipeline.examples import Example, ShuffledExamples

# Batches in preparation while one is in use.
AHEAD = 2


def thread_batches(
    examples: ShuffledExamples,
    *,
    batch_size: int,
    first_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[tuple[dict[str, np.ndarray], list[str]]]:
    """Endless training batches from step `first_step` on: the share of this process; see `train_batches`.

    **Returns:** an iterator of the stacked arrays of the examples, and the names of the pictures.

    **Raises:** ValueError if the processes cannot share the batch equally; the errors of `examples`.
    """
    if batch_size % process_count:
        raise ValueError(f"`batch_size` (={batch_size}) must be a multiple of the {process_count} processes")
    share = batch_size // process_count
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: deque[list[Future[Example]]] = deque()
        step = first_step
        try:
            while True:
                while len(waiting) <= AHEAD:
                    first = step * batch_size + process_index * share
                    waiting.append([pool.submit(examples.__getitem__, first + i) for i in range(share)])
                    step += 1
                made = [future.result() for future in waiting.popleft()]
                names = [str(example.pop("name")) for example in made]
                yield {key: np.stack([example[key] for example in made]) for key in made[0]}, names
        finally:
            # At the end of iteration, and after an error of an example, no further work starts.
            pool.shutdown(wait=False, cancel_futures=True)
