"""A data set whose pictures are read once, as far as the memory goes."""

import contextlib
import os
import pathlib
import threading

from input_pipeline.datasets.parsing.annotations import Annotation
from input_pipeline.datasets.sample import Dataset, Sample, origin, pass_length
from input_pipeline.datasets.wrappers.base import annotation_alone

# Of the machine's memory, for all sets that are cached: the other half is the network's and the system's.
_SHARE = 0.5
_CONTAINER = pathlib.Path("/sys/fs/cgroup/memory.max")  # bytes, in a container of Linux


class CachedDataset:
    """Keeps samples of another data set in the host's memory, decoded, from their first reading on.

    Once `most_bytes` are full, others are read each time: a set of any size can be cached. A picture that cannot be
    used is tried again each time too: its file may have been mended.

    **Arguments:**

    - `dataset`: the set.
    - `most_bytes`: of pixels that are kept.
    """

    def __init__(self, dataset: Dataset, most_bytes: float):
        self._dataset = dataset
        self._samples: dict[int, Sample] = {}
        self._left = most_bytes
        self._lock = threading.Lock()
        self.problems = dataset.problems

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        kept = self._samples.get(index)
        if kept is not None:
            return kept
        sample = self._dataset[index]
        with self._lock:
            if sample.image.nbytes <= self._left and index not in self._samples:
                self._left -= sample.image.nbytes
                self._samples[index] = sample
        return sample

    @property
    def pass_length(self) -> int:
        """See `sample.pass_length`."""
        return pass_length(self._dataset)

    def origin(self, index: int) -> tuple[str, int]:
        """See `sample.origin`."""
        return origin(self._dataset, index)

    def name(self, index: int) -> str:
        """The name of sample `index`, without reading it."""
        return self._dataset.name(index)

    def annotation(self, index: int) -> Annotation | None:
        """See `annotation_alone`."""
        return annotation_alone(self._dataset, index)


def memory_for_cache() -> float:
    """Bytes of pictures that this machine, or the container, may keep; no limit where its memory is not known."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return float("inf")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # there is no such limit, or it is "max"
        memory = min(memory, int(_CONTAINER.read_text()))
    return _SHARE * memory
