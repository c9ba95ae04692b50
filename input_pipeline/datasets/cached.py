"""A data set that is read once."""

from input_pipeline.datasets.sample import Dataset, Sample, origin, pass_length


class CachedDataset:
    """Keeps every sample of another data set in the host's memory, decoded, from its first reading on.

    A picture that cannot be used is tried again each time: its file may have been mended.
    """

    def __init__(self, dataset: Dataset):
        self._dataset = dataset
        self._samples: dict[int, Sample] = {}
        self.problems = dataset.problems

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self._samples:
            self._samples[index] = self._dataset[index]
        return self._samples[index]

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
