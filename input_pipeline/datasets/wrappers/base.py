"""The text of a picture that is not decoded, from data sets that can tell it."""

from input_pipeline.datasets.parsing.annotations import Annotation
from input_pipeline.datasets.sample import Dataset


def annotation_alone(dataset: Dataset, index: int) -> Annotation | None:
    """What the annotation of picture `index` says; None where the set knows it only with the picture.

    Sets that can tell it have a method `annotation`, and so have those around other sets.

    **Raises:** BadPicture when the picture cannot be used.
    """
    read = getattr(dataset, "annotation", None)
    return read(index) if read else None
