"""The content of a prepared copy of a benchmark: a record for each picture, and counts."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.datasets.benchmarks import BENCHMARKS
from input_pipeline.datasets.benchmarks.base import Benchmark
from input_pipeline.datasets.sample import Annotation
from input_pipeline.datasets.tfds.publications import PUBLICATIONS

STORED_SPLITS = ("train", "validation", "test")


def open_splits(name: str, folder: str | os.PathLike[str]) -> tuple[dict[str, Benchmark], list[str]]:
    """A reader for each split that the folder holds.

    **Returns:** the readers by split, and a message for each other split that the benchmark has.

    **Raises:** `FileNotFoundError` if the folder holds none.
    """
    readers: dict[str, Benchmark] = {}
    missing: list[FileNotFoundError] = []
    for split in STORED_SPLITS:
        if split in BENCHMARKS[name].absent:
            continue
        try:
            readers[split] = BENCHMARKS[name](folder, split)
        except FileNotFoundError as error:
            missing.append(error)
    if not readers:
        raise missing[0]
    # The first line; the others say where to get it.
    return readers, [str(error).splitlines()[0] for error in missing]


def make_features() -> tfds.features.FeaturesDict:
    """The features of a record; see `make_example`."""
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3)),
            "polygons": tfds.features.Sequence(
                tfds.features.Sequence(tfds.features.Tensor(shape=(2,), dtype=np.float32))
            ),
            "ignore": tfds.features.Sequence(np.bool_),
            "text": tfds.features.Sequence(tfds.features.Text()),
            # Of each outline, or of none where the benchmark does not tell.
            "script": tfds.features.Sequence(tfds.features.Text()),
            "problems": tfds.features.Sequence(tfds.features.Text()),
            "error": tfds.features.Text(),
        }
    )


def make_example(reader: Benchmark, index: int) -> dict[str, Any]:
    """The record of a picture: its file byte for byte, and its `Annotation` or the reason in `error`."""
    error, image, annotation = "", b"", Annotation()
    try:
        annotation = reader.annotation(index)
    except BadPicture as bad:
        error = str(bad)
    try:
        image = reader.picture(index)
    except BadPicture as bad:
        error = error or str(bad)
    return {
        "name": reader.name(index),
        "image": image,
        "polygons": annotation.polygons,
        "ignore": annotation.ignore,
        "text": annotation.texts,
        "script": annotation.scripts,
        "problems": [str(problem) for problem in annotation.problems],
        "error": error,
    }


def read_annotation(example: Mapping[str, Any]) -> Annotation:
    """The annotation of a record as TFDS gives it back. **Raises:** `BadPicture` if it has an `error`."""
    if example["error"]:
        raise BadPicture(example["error"].decode())
    return Annotation(
        polygons=[np.asarray(polygon, np.float32) for polygon in example["polygons"]],
        ignore=[bool(ignored) for ignored in example["ignore"]],
        texts=[text.decode() for text in example["text"]],
        problems=[Problem("", problem.decode()) for problem in example["problems"]],
        scripts=[script.decode() for script in example["script"]],
    )


@dataclasses.dataclass(frozen=True)
class Counts:
    """What is in some records; `+` puts those of two sets together, in either order.

    **Arguments:**

    - `pictures`, `instances`, `ignored`: how many; `instances` include the ignored ones.
    - `unusable`: the pictures that have an `error` instead.
    - `problems`: how many lines of the annotations were left out or are doubtful.
    - `digest`: the sum, modulo 2²⁵⁶, of the SHA-256 of each record's picture and annotation: the same for the same
        data, wherever it lies and in whatever order it was read.
    """

    pictures: int = 0
    instances: int = 0
    ignored: int = 0
    unusable: int = 0
    problems: int = 0
    digest: int = 0

    @classmethod
    def of(cls, example: Mapping[str, Any]) -> "Counts":
        """The counts of one record of `make_example`."""
        outlines = [polygon.tolist() for polygon in example["polygons"]]
        said = [outlines, *(example[key] for key in ("name", "ignore", "text", "script", "error"))]
        checksum = hashlib.sha256(example["image"])
        checksum.update(json.dumps(said).encode())
        return cls(
            pictures=1,
            instances=len(outlines),
            ignored=sum(example["ignore"]),
            unusable=bool(example["error"]),
            problems=len(example["problems"]),
            digest=int.from_bytes(checksum.digest(), "big"),
        )

    def __add__(self, other: "Counts") -> "Counts":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        total = Counts(*(mine + others for mine, others in pairs))
        return dataclasses.replace(total, digest=total.digest % (1 << 256))

    def to_json(self) -> dict[str, int | str]:
        """The counts as JSON values, with the digest in hexadecimal digits."""
        return {**dataclasses.asdict(self), "digest": f"{self.digest:064x}"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Counts":
        """The reverse of `to_json`."""
        return cls(**{**values, "digest": int(values["digest"], 16)})


def compare_with_release(name: str, counts: Mapping[str, Counts]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """The numbers of the owner's release, and where the splits of a copy together differ from them.

    **Arguments:** `name`: one of `BENCHMARKS`; `counts`: by split.

    **Returns:** by official set, the known numbers of "pictures", "instances" and "ignored"; and the messages.
    """
    reader, publication = BENCHMARKS[name], PUBLICATIONS[name]
    known = {"pictures": reader.counts, "instances": publication.instances, "ignored": publication.ignored}
    released = {
        part: {what: numbers[part] for what, numbers in known.items() if part in numbers} for part in reader.counts
    }
    found: dict[str, Counts] = {}
    for split, count in counts.items():
        # What is held back of the training set goes back into it.
        part = "train" if split == "validation" and reader.validation_folders is None else split
        found[part] = found.get(part, Counts()) + count
    return released, [
        f"{getattr(found[part], what)} {part} {_WORDS[what]} where the release has {number}"
        for part, numbers in released.items()
        for what, number in numbers.items()
        if part in found and getattr(found[part], what) != number
    ]


_WORDS = {"pictures": "pictures", "instances": "instances", "ignored": "instances to ignore"}


def describe_copy(name: str, counts: Mapping[str, Counts], problems: Iterable[str]) -> dict[str, Any]:
    """The metadata of a copy, as JSON values.

    **Arguments:** `name`, `counts`: see `compare_with_release`; `problems`: what the readers found.

    **Returns:** `splits`, the counts of each; `released`, those of the owner's sets as far as they are known; and
    `problems`: where the two disagree, what is missing, and what the readers found.
    """
    released, disagreements = compare_with_release(name, counts)
    return {
        "splits": {split: count.to_json() for split, count in counts.items()},
        "released": released,
        # A miscount of pictures is among what the readers of both halves of a set found.
        "problems": list(dict.fromkeys([*problems, *disagreements])),
    }
