"""A data set that keeps its pictures in memory, as far as the memory reaches."""

import contextlib
import os
import pathlib
import threading

from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.wrappers.base import Wrapper

# The share of the machine's memory for all cached sets; the network and the system need the rest.
_SHARE = 0.5
_CONTAINER = pathlib.Path("/sys/fs/cgroup/memory.max")  # bytes, in a Linux container


class CachedDataset(Wrapper):
    """Keeps decoded samples of another data set in the host's memory after their first reading.

    Once `most_bytes` are full, the other samples are read each time. A picture that cannot be used is also tried again
    each time: its file may have been mended.

    **Arguments:**

    - `dataset`: the data set.
    - `most_bytes`: bytes of pixels to keep.
    """

    def __init__(self, dataset: Dataset, most_bytes: float):
        super().__init__(dataset)
        self._samples: dict[int, Sample] = {}
        self._left = most_bytes
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> Sample:
        kept = self._samples.get(index)
        if kept is not None:
            return kept
        sample = super().__getitem__(index)
        with self._lock:
            if sample.image.nbytes <= self._left and index not in self._samples:
                self._left -= sample.image.nbytes
                self._samples[index] = sample
        return sample


def memory_for_cache() -> float:
    """Bytes of pictures that this machine, or this container, may keep; infinite where its memory is not known."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return float("inf")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # there is no such limit, or it is "max"
        memory = min(memory, int(_CONTAINER.read_text()))
    return _SHARE * memory
