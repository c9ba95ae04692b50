"""Training examples by position: the same position gives the same example, whoever asks, whenever, in any order."""

import abc
import dataclasses
import functools
from itertools import compress
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.augment import Augmentation, sample_placement
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.device_geometry import DeviceGeometry
from input_pipeline.labels import make_labels

Example = dict[str, np.ndarray | str]
LABELS = ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
# A skipped picture's place is taken by another, and that one's by a third; a set of only bad ones ends somewhere.
REPLACEMENTS = 20


class ShuffledExamples(abc.ABC):
    """Makes the training example at a position of the endless, shuffled sequence of samples.

    Position p lies in epoch p // n; each epoch is a permutation of the n pictures that follows from the seed. A
    killed run needs no state to go on: it asks for the next position.

    **Arguments:**

    - `dataset`: the samples; at least one.
    - `seed`: of the permutations and of every augmentation.
    - `bad_samples`: takes what is wrong with the data.
    """

    def __init__(self, dataset: Dataset, seed: int, bad_samples: BadSamples):
        self._dataset, self._seed, self._bad_samples = dataset, seed, bad_samples
        self._permutation = functools.lru_cache(maxsize=2)(self._make_permutation)

    def _make_permutation(self, epoch: int) -> Int[np.ndarray, "n"]:
        return np.random.default_rng((self._seed, 1, epoch)).permutation(len(self._dataset))

    def index(self, position: int) -> int:
        """Which picture stands at `position`."""
        epoch, place = divmod(position, len(self._dataset))
        return int(self._permutation(epoch)[place])

    def __getitem__(self, position: int) -> Example:
        """The example at `position`: `name`, the sample's, and arrays.

        **Raises:** TooManyBadSamples when the share of pictures that cannot be used passes its limit; NothingToLearn
        when a whole pass of pictures had no text that counts, and `bad_samples` needs some.
        """
        rng = np.random.default_rng((self._seed, 2, position))
        index = self.index(position)
        for _ in range(REPLACEMENTS):
            try:
                sample = _without_placeless(self._dataset[index])
                example = self._make(rng, index, sample)
            except BadPicture as error:
                self._bad_samples.add(self._dataset.name(index), str(error), self._dataset.origin(index))
                index = int(rng.integers(len(self._dataset)))
                continue
            self._bad_samples.add_problems(sample.problems)
            self._bad_samples.add_example(has_text=not all(sample.ignore))
            return example
        raise BadPicture(
            f"{REPLACEMENTS} pictures in a row cannot be used:\n{self._bad_samples.report(everything=True)}"
        )

    @abc.abstractmethod
    def _make(self, rng: np.random.Generator, index: int, sample: Sample) -> Example:
        """The example of sample `index`."""


class Examples(ShuffledExamples):
    """Examples to train a detector: `image` uint8 [height, width, 3] RGB and the four label maps of `make_labels`,
    float32 [height, width]; or the arrays of `DeviceGeometry`.

    **Arguments:**

    - `dataset`, `seed`, `bad_samples`: see `ShuffledExamples`.
    - `augmentation`: how pictures vary.
    - `label_options`: `shrink_ratio`, `threshold_min`, … of `make_labels`.
    - `device`: describes an example whose pixels and label maps are made on the device; None makes them here.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        augmentation: Augmentation,
        label_options: dict[str, Any],
        bad_samples: BadSamples,
        device: DeviceGeometry | None = None,
    ):
        super().__init__(dataset, seed, bad_samples)
        self._augmentation, self._label_options, self._device = augmentation, label_options, device

    def _make(self, rng: np.random.Generator, index: int, sample: Sample) -> Example:
        height, width = self._augmentation.crop
        image_size = (sample.image.shape[0], sample.image.shape[1])
        augmentation = self._augmentation
        if sample.zoom != 1:
            smallest, largest = augmentation.scale
            augmentation = dataclasses.replace(augmentation, scale=(sample.zoom * smallest, sample.zoom * largest))
        placement = sample_placement(rng, image_size, sample.polygons, sample.ignore, augmentation)
        if self._device is not None:
            return {**self._device(index, sample, placement), "name": sample.name}
        image = cv2.warpAffine(sample.image, placement.matrix, (width, height), flags=cv2.INTER_LINEAR)
        if self._augmentation.jitter:
            image = cv2.transform(image, placement.color)
        labels = make_labels(placement.polygons, placement.ignore, height, width, **self._label_options)
        return {"image": image, **labels, "name": sample.name}


def _without_placeless(sample: Sample) -> Sample:
    """The sample without polygons that have no place in the picture; its problems list them.

    The readers leave such polygons out; other data sets may not.
    """
    kept = [len(polygon) > 0 and bool(np.isfinite(polygon).all()) for polygon in sample.polygons]
    if all(kept):
        return sample
    problems = [
        Problem(sample.name, f"outline {i} has no vertices or one that is not finite")
        for i, keep in enumerate(kept)
        if not keep
    ]
    return dataclasses.replace(
        sample,
        polygons=list(compress(sample.polygons, kept)),
        ignore=list(compress(sample.ignore, kept)),
        texts=list(compress(sample.texts, kept)),
        scripts=list(compress(sample.scripts, kept)),
        problems=[*sample.problems, *problems],
    )
