"""The tf.data pipeline: positions → examples on all cores → batches, ready before the accelerator needs them.

TensorFlow distributes the work and keeps no state: batch t is a pure function of (seed, t, process index).
"""

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from input_pipeline.examples import LABELS, Examples

Batch = dict[str, np.ndarray]


def train_batches(
    examples: Examples,
    *,
    batch_size: int,
    crop: tuple[int, int],
    first_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[tuple[Batch, list[str]]]:
    """Endless training batches from step `first_step` on: the share of this process.

    **Arguments:**

    - `examples`: makes the example at a position.
    - `batch_size`: the size of the batch of all processes; a multiple of `process_count`.
    - `crop`: (height, width) of the examples, in pixels.
    - `first_step`: batch t contains the positions t · batch_size to (t + 1) · batch_size.
    - `process_index`, `process_count`: this process makes the equal, contiguous share of this index.

    **Returns:** an iterator of `image` uint8 [share, height, width, 3] with the label maps float32
    [share, height, width], and the names of the pictures.

    **Raises:** ValueError if the processes cannot share the batch equally; the errors of `examples`.
    """
    if batch_size % process_count:
        raise ValueError(f"`batch_size` (={batch_size}) must be a multiple of the {process_count} processes")
    share = batch_size // process_count
    maker = _Maker(examples, crop)
    dataset, running = _tf_dataset(maker, batch_size, share, process_index, crop, first_step)
    iterator = dataset.as_numpy_iterator()
    try:
        while True:
            image, *labels, names, made = next(iterator)
            if not made.all():
                raise maker.failures[0]
            batch = {"image": image, **dict(zip(LABELS, labels, strict=True))}
            yield batch, [os.fsdecode(name) for name in names]
    finally:
        # The threads of TensorFlow need Python's lock to end. Dropping the iterator holds the lock, so they end before.
        maker.stopped.set()
        running.assign(False)
        for _ in iterator:
            pass


class _Maker:
    """Makes the example at a position for TensorFlow, which would print and wrap an error of its threads.

    A failed example adds its error to `failures`; its arrays are zeros, and the last one is False. After `stopped`, all
    examples are such zeros.
    """

    def __init__(self, examples: Examples, crop: tuple[int, int]):
        self._examples = examples
        labels = (np.zeros(crop, np.float32) for _ in LABELS)
        self._nothing = np.zeros((*crop, 3), np.uint8), *labels, b"", False
        self.failures: list[Exception] = []
        self.stopped = threading.Event()

    def __call__(self, position: np.integer) -> tuple[Any, ...]:
        if self.stopped.is_set():
            return self._nothing
        try:
            example = self._examples[int(position)]
        except Exception as error:
            self.failures.append(error)
            return self._nothing
        return (example["image"], *(example[key] for key in LABELS), os.fsencode(str(example["name"])), True)


def _tf_dataset(
    make: _Maker, batch_size: int, share: int, process_index: int, crop: tuple[int, int], first_step: int
) -> tuple[Any, Any]:
    """The batches, and a variable that ends them when it becomes False."""
    # TensorFlow only moves arrays here: its messages at start-up do not concern users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf  # the import takes seconds, and only training needs it

    tf.config.set_visible_devices([], "GPU")  # JAX uses the memory of the accelerator
    height, width = crop
    types = (tf.uint8, *(tf.float32 for _ in LABELS), tf.string, tf.bool)
    shapes = ((height, width, 3), *((height, width) for _ in LABELS), (), ())

    @tf.autograph.experimental.do_not_convert
    def example(position: Any) -> tuple[Any, ...]:
        tensors = tf.numpy_function(make, [position], types, stateful=False)
        for tensor, shape in zip(tensors, shapes, strict=True):
            tensor.set_shape(shape)
        return tuple(tensors)

    def positions(step: Any) -> Any:
        first = step * batch_size + process_index * share
        return tf.data.Dataset.range(first, first + share)

    running = tf.Variable(True)
    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max).take_while(lambda step: running)
    dataset = steps.flat_map(positions).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(share, drop_remainder=True).prefetch(2), running
