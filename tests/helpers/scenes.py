"""Rendered data sets: what two samples share, and what every one of them does."""

import numpy as np
import pytest

from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset

SIZE = (256, 320)


def open_scenes(count, **options):
    return SceneDataset(count, **{"size": SIZE, "fonts": "builtin", **options})


def same(first, second):
    """Whether two samples are equal to the bit."""
    return (
        np.array_equal(first.image, second.image)
        and len(first.polygons) == len(second.polygons)
        and all(map(np.array_equal, first.polygons, second.polygons))
        and (first.name, first.texts, first.ignore, first.scripts)
        == (second.name, second.texts, second.ignore, second.scripts)
    )


def mean_height(polygon):
    half = len(polygon) // 2
    return np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=1).mean()


def check_opens_by_name(name, **options):
    """Three pictures come, with their names, and then IndexError."""
    dataset = open_dataset(name, "", "test", count=3, seed=1, size=(128, 140), **options)
    assert len(dataset) == 3
    assert [sample.name for sample in dataset] == [dataset.name(index) for index in range(3)]
    assert dataset[2].image.shape == (128, 140, 3)
    with pytest.raises(IndexError, match="3"):
        dataset[3]
