"""A data set that is made up."""

from collections import Counter

import numpy as np

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.sample import Dataset, Sample

CROP = (32, 48)


class Numbered(Dataset):
    """Noise with a word each, named by their number; those in `bad` cannot be used."""

    def __init__(self, count: int, bad: tuple[int, ...] = ()):
        self.count, self.bad, self.reads = count, bad, Counter[int]()
        self.problems = []

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"picture_{index}.jpg"

    def __getitem__(self, index: int) -> Sample:
        self.reads[index] += 1
        if index in self.bad:
            raise BadPicture(f"{self.name(index)}: cannot be decoded")
        image = np.random.default_rng(index).integers(0, 256, (50 + index, 60, 3)).astype(np.uint8)
        word = np.array([[10, 10], [45, 12], [45, 30], [10, 28]], np.float32)
        return Sample(self.name(index), image, [word], [False])
