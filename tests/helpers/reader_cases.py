"""A small data set for each reader whose label file is mutated, and what must hold of whatever is read of it."""

import collections

import numpy as np

from dbnet_jax.images.decode import BadPicture
from input_pipeline.augment import Augmentation, sample_placement
from input_pipeline.datasets import open_dataset
from input_pipeline.labels import make_labels
from tests.helpers import benchmark_labels, own_labels
from tests.helpers.problems import said

OWN, PUBLISHED = tuple(own_labels.FILES), tuple(benchmark_labels.FILES)
AUGMENTATION = Augmentation(crop=(48, 48))

Reading = collections.namedtuple("Reading", "texts problems error")


class Case:
    """A data set of two pictures: its folder, the label file to mutate, what that holds, and what is read of it."""

    def __init__(self, kind, folder):
        own = kind in OWN
        (own_labels if own else benchmark_labels).make(kind, folder, [1, 2])
        self.kind, self.folder = kind, folder
        self.path = folder / (own_labels.FILES[kind] if own else benchmark_labels.FILES[kind][1].format(1))
        self.good = self.path.read_bytes()
        self.expected = read(kind, folder)


def read(kind, folder):
    """The texts of every sample with their outlines, and all that is said to be wrong."""
    for index in folder.glob("*.index"):
        index.unlink()  # SynthText's, which is believed as long as its labels are no newer
    try:
        dataset = open_dataset(kind.split()[0], folder, "train" if kind == "mlt2017" else "trainval")
    except (ValueError, FileNotFoundError) as error:
        return Reading([], [str(error)], error=True)
    texts, problems = [], list(said(dataset))
    for index in range(len(dataset)):
        assert dataset.name(index)
        try:
            sample = dataset[index]
        except BadPicture as error:
            problems.append(str(error))
            continue
        problems += said(sample)
        labels_are_finite(sample)
        for polygon, ignore, text in zip(sample.polygons, sample.ignore, sample.texts, strict=True):
            assert polygon.dtype == np.float32
            assert polygon.shape[0] >= 3
            assert np.isfinite(polygon).all()
            texts.append((polygon.tolist(), ignore, text))
    for text in [*problems, *(text for *_, text in texts)]:
        text.encode()  # can be written to a log
    return Reading(texts, problems, error=False)


def labels_are_finite(sample):
    """What training makes of the outlines, as `Examples` does."""
    placement = sample_placement(
        np.random.default_rng(0), sample.image.shape[:2], sample.polygons, sample.ignore, AUGMENTATION
    )
    for polygons, ignore, size in (
        (sample.polygons, sample.ignore, sample.image.shape[:2]),
        (placement.polygons, placement.ignore, (48, 48)),
    ):
        assert all(np.isfinite(part).all() for part in make_labels(polygons, ignore, *size).values())


def check(case, data, *, may_lose=False):
    """The property, of a mutated label file; what `may_lose` is cut off without a trace."""
    case.path.write_bytes(data)
    try:
        found = read(case.kind, case.folder)
    finally:
        case.path.write_bytes(case.good)
    if found.error:
        assert case.path.name in said(found)[0] or "no trainval pictures" in said(found)[0]
    if len(found.texts) < len(case.expected.texts):
        assert may_lose or named(found)
    return found


def named(found):
    """What is said to be left out, or to be doubtful."""
    return [problem for problem in said(found) if "where the release has" not in problem]
