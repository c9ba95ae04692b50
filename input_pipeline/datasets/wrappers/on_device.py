"""A data set whose pixels are elsewhere: on the accelerator."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from dbnet_jax.images.canvas import to_canvas
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.sample import Dataset, Sample, origin, pass_length


class StoredDataset:
    """Reads every picture of another data set once, in threads, and keeps the outlines of its text.

    Its samples have an image of the right size that holds nothing; `pictures` are the true ones, to be sent to the
    device. A picture that cannot be used stays unusable.

    **Arguments:** `dataset`; `canvas`: (height, width) of each of `pictures`, see `DeviceGeometry`.
    """

    def __init__(self, dataset: Dataset, canvas: tuple[int, int]):
        self._dataset = dataset
        self.problems = dataset.problems
        self.pictures: UInt8[np.ndarray, "pictures height width 3"] = np.zeros((len(dataset), *canvas, 3), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._samples = list(pool.map(self._store, range(len(dataset))))

    def _store(self, index: int) -> Sample | BadPicture:
        try:
            sample = self._dataset[index]
        except BadPicture as error:
            return error
        height, width = self.pictures.shape[1:3]
        self.pictures[index] = to_canvas(sample.image, (height, width))
        # A view of one zero: the size alone.
        nothing = np.broadcast_to(np.uint8(0), sample.image.shape)
        return dataclasses.replace(sample, image=nothing)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self._samples[index]
        if isinstance(sample, BadPicture):
            raise sample
        return sample

    @property
    def pass_length(self) -> int:
        """See `sample.pass_length`."""
        return pass_length(self._dataset)

    def origin(self, index: int) -> tuple[str, int]:
        """See `sample.origin`."""
        return origin(self._dataset, index)

    def name(self, index: int) -> str:
        """The name of sample `index`."""
        return self._dataset.name(index)
