"""A data set whose pixels are on the accelerator."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from dbnet_jax.images.canvas import to_canvas
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.wrappers.base import Wrapper


class StoredDataset(Wrapper):
    """Reads every picture of another data set once, in threads, and keeps the polygons of its text.

    Its samples have an empty image of the right size. `pictures` are the true images, for the device. A picture that
    cannot be used stays unusable.

    **Arguments:** `dataset`; `canvas`: (height, width) of each of `pictures`, see `DeviceGeometry`.
    """

    def __init__(self, dataset: Dataset, canvas: tuple[int, int]):
        super().__init__(dataset)
        self.pictures: UInt8[np.ndarray, "pictures height width 3"] = np.zeros((len(dataset), *canvas, 3), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._samples = list(pool.map(self._store, range(len(dataset))))

    def _store(self, index: int) -> Sample | BadPicture:
        try:
            sample = self.dataset[index]
        except BadPicture as error:
            return error
        height, width = self.pictures.shape[1:3]
        self.pictures[index] = to_canvas(sample.image, (height, width))
        # A view of one zero: the size alone.
        nothing = np.broadcast_to(np.uint8(0), sample.image.shape)
        return dataclasses.replace(sample, image=nothing)

    def __getitem__(self, index: int) -> Sample:
        sample = self._samples[index]
        if isinstance(sample, BadPicture):
            raise sample
        return sample
