"""What data sets around another data set share."""

from input_pipeline.datasets.sample import Annotation, Dataset, Sample


class Wrapper(Dataset):
    """Returns what another data set returns; a class changes the part that it is for.

    **Arguments:** `dataset`: the other data set.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.problems = dataset.problems

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[index]

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def annotation(self, index: int) -> Annotation | None:
        return self.dataset.annotation(index)

    def origin(self, index: int) -> tuple[str, int]:
        return self.dataset.origin(index)

    @property
    def pass_length(self) -> int:
        return self.dataset.pass_length
