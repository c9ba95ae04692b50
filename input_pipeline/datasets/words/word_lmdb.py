"""Word crops in an LMDB, as MJSynth and SynthText are published for recognition."""

import functools
import os
import pathlib
from typing import Any

from dbnet_jax.images.decode import BadPicture, decode_image
from dbnet_jax.messages import Problem, check_choice
from dbnet_jax.paths import in_bucket
from input_pipeline.datasets.benchmarks.base import VALIDATION_EVERY
from input_pipeline.datasets.sample import Dataset, Sample, whole_picture


class WordLmdb(Dataset):
    """A folder with `data.mdb`: "num-samples", and "image-000000001", "label-000000001" of each crop.

    A folder of several such databases, as `MJ/MJ_train` and `ST`, is read as one, in the order of their names. Every
    tenth crop is "validation" and the others are "train".

    **Arguments:** `folder`; `split`: "train", "validation" or "trainval". The others do not apply.

    **Raises:** ImportError without the package lmdb; FileNotFoundError where no database is there; ValueError where one
    cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        split: str = "train",
        *,
        labels: str = "",
        eval_labels: str = "",
        follow_exif: bool = True,
        max_pixels: int | None = None,
    ):
        check_choice("split", split, ("train", "validation", "trainval"))
        if in_bucket(folder):
            raise ValueError(
                f"`config.data.dir` (={os.fspath(folder)!r}) must be on a disk: LMDB maps files into memory"
            )
        self._files = sorted(file.parent for file in pathlib.Path(folder).rglob("data.mdb"))
        if not self._files:
            raise FileNotFoundError(f"`config.data.dir` (={os.fspath(folder)!r}) holds no LMDB: no data.mdb is there")
        counts = [self._count(file) for file in self._files]
        places = [(file, number) for file, count in zip(self._files, counts, strict=True) for number in range(count)]
        self._places = [
            place
            for position, place in enumerate(places)
            if split == "trainval" or (position % VALIDATION_EVERY == 0) == (split == "validation")
        ]
        self.problems: list[Problem] = []

    def _count(self, file: pathlib.Path) -> int:
        count = self._read(file, b"num-samples")
        if not count.isdigit():
            raise ValueError(f"{file}: num-samples (={count[:40]!r}) must be a number")
        return int(count)

    def _read(self, file: pathlib.Path, key: bytes) -> bytes:
        try:
            import lmdb
        except ImportError as error:
            raise ImportError("word_lmdb needs the package lmdb: pip install 'dbnet_jax[lmdb]'") from error
        try:
            with _environment(os.getpid(), file.resolve()).begin() as transaction:
                value = transaction.get(key)
        except lmdb.Error as error:
            raise BadPicture(f"{file}: the LMDB cannot be read ({error})") from error
        if value is None:
            raise BadPicture(f"{file.name}: {key.decode()} is missing")
        return bytes(value)

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        file, number = self._places[index]
        return f"{file.name}-{number + 1:09}"

    def __getitem__(self, index: int) -> Sample:
        file, number = self._places[index]
        image = decode_image(self._read(file, b"image-%09d" % (number + 1)), self.name(index))
        text = self._read(file, b"label-%09d" % (number + 1)).decode("utf-8", "replace")
        return Sample(self.name(index), image, [whole_picture(image)], [False], [text])


@functools.cache
def _environment(process: int, file: pathlib.Path) -> Any:
    """The open environment of a database.

    A process must not open it twice, for example for both splits, nor use one that was opened before it was forked.
    """
    import lmdb

    return lmdb.open(str(file), readonly=True, lock=False, readahead=False, max_readers=64)
