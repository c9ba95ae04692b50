"""The benchmarks as TensorFlow Datasets: `scene_text/icdar2015`, `scene_text/msra_td500`,
`scene_text/total_text`.

With this module imported, TFDS's own tools know them; `manual_dir` is where the owner's files are:

    config = tfds.download.DownloadConfig(manual_dir="data/icdar2015")
    tfds.load("scene_text/icdar2015", download_and_prepare_kwargs={"download_config": config})

The only module beside the pipeline that imports TensorFlow.
"""

import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from dbnet_jax.decode import BadPicture, decode_image
from input_pipeline.datasets import BENCHMARKS
from input_pipeline.datasets.annotations import Annotation, make_sample
from input_pipeline.datasets.benchmark import Benchmark
from input_pipeline.datasets.sample import Sample

_STORED_SPLITS = ("train", "validation", "test")


class SceneText(tfds.core.GeneratorBasedBuilder):
    """One configuration a benchmark, over the plain readers; the splits are theirs, in their order.

    A feature `image` holds the owner's file byte for byte, and a picture that cannot be used is kept with the
    reason in `error`: nothing is decided at preparation that reading the files would decide otherwise.
    """

    name = "scene_text"
    # TFDS 4.9.10 would find it with `importlib_resources`, which neither it nor etils 1.15 installs.
    code_path = pathlib.Path(__file__)
    VERSION = tfds.core.Version("1.1.0")
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name=name, version="1.1.0", description=reader.title)
        for name, reader in BENCHMARKS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack a benchmark in its owner's layout; `manual_dir` is that folder.\n"
        + "\n".join(f"{reader.title}: {reader.source}\n{reader.layout}" for reader in BENCHMARKS.values())
    )

    def _info(self) -> tfds.core.DatasetInfo:
        reader = BENCHMARKS[self.builder_config.name]
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Text outlines of {reader.title}.",
            homepage=reader.source.split()[0],
            features=tfds.features.FeaturesDict(
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
            ),
            # Position i is the reader's picture i.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        readers = _open_splits(self.builder_config.name, pathlib.Path(dl_manager.manual_dir))
        return {split: self._generate_examples(reader) for split, reader in readers.items()}

    def _generate_examples(self, reader: Benchmark) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(len(reader)):
            yield index, _example(reader, index)


class PreparedDataset:
    """A benchmark read from the copy that TFDS prepared; the samples of the plain reader, one for one.

    The first use prepares. The copy lies in a folder under `tfds_dir` named after a digest of the names,
    sizes and modification times of the owner's files: where these change, a new copy is made, so that a stale
    one is never read. Old copies are left; remove them at will.

    **Arguments:**

    - `name`: one of `BENCHMARKS`.
    - `folder`: where the benchmark was unpacked.
    - `split`: as for the plain readers.
    - `tfds_dir`: where prepared copies are kept; None is TFDS's own place (`TFDS_DATA_DIR`,
        ~/tensorflow_datasets).

    **Raises:** as the plain readers do.
    """

    def __init__(
        self,
        name: str,
        folder: str | os.PathLike[str],
        split: str = "train",
        *,
        tfds_dir: str | os.PathLike[str] | None = None,
    ):
        if name not in BENCHMARKS:
            raise ValueError(f"`name` (={name!r}) has no TFDS builder; those of {', '.join(BENCHMARKS)} exist")
        # Its checks and messages come first; it knows the names, and reads no more than the listing of the
        # folder.
        self._reader = BENCHMARKS[name](folder, split)
        self.problems = self._reader.problems
        builder = prepare(name, folder, tfds_dir)
        wanted = ("train", "validation") if split == "trainval" else (split,)
        decoders = {"image": tfds.decode.SkipDecoding()}
        self._sources = {
            part: builder.as_data_source(part, decoders=decoders) for part in wanted if part in builder.info.splits
        }

    def __len__(self) -> int:
        return len(self._reader)

    def name(self, index: int) -> str:
        """The file name of picture `index`, without reading it."""
        return self._reader.name(index)

    def annotation(self, index: int) -> Annotation:
        """The text of picture `index`. **Raises:** `BadPicture` if it has no annotation file."""
        return _annotation(self._example(index))

    def __getitem__(self, index: int) -> Sample:
        """**Raises:** `BadPicture` if the picture or its annotation file was missing or cannot be used."""
        example = self._example(index)
        name = self.name(index)
        return make_sample(name, decode_image(example["image"], name), _annotation(example))

    def _example(self, index: int) -> dict[str, Any]:
        part, position = self._reader.place(index)
        return self._sources[part][position]


def prepare(
    name: str, folder: str | os.PathLike[str], tfds_dir: str | os.PathLike[str] | None = None
) -> tfds.core.DatasetBuilder:
    """The builder of a benchmark whose copy is prepared, now if need be; see `PreparedDataset`."""
    folder = pathlib.Path(folder).absolute()
    # epath, because the copies of a job in the cloud lie in a bucket.
    root = epath.Path(tfds_dir or tfds.core.constants.DATA_DIR).expanduser()
    data_dir = root / f"{name}-{_digest(name, folder)}"
    builder = SceneText(config=name, data_dir=data_dir)
    # Its nested bars are unreadable in a log.
    tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False),
            file_format="array_record",
        )
    except OSError:
        # Another process of this run was faster: its finished copy stood where ours was to go.
        if not builder.data_path.exists():
            raise
    # Opened anew, so that the first run and every later one read in the same way.
    return SceneText(config=name, data_dir=data_dir)


def _open_splits(name: str, folder: pathlib.Path) -> dict[str, Benchmark]:
    """A reader for each split that the folder holds.

    **Raises:** `FileNotFoundError` if it holds none.
    """
    readers: dict[str, Benchmark] = {}
    missing: list[FileNotFoundError] = []
    for split in _STORED_SPLITS:
        try:
            readers[split] = BENCHMARKS[name](folder, split)
        except FileNotFoundError as error:
            missing.append(error)
    if not readers:
        raise missing[0]
    return readers


def _digest(name: str, folder: pathlib.Path) -> str:
    lines = []
    for reader in _open_splits(name, folder).values():
        for path in reader.files():
            try:
                state = path.stat()
            except OSError as error:  # a dangling link: a bad sample, found when it is read
                lines.append(f"{path.relative_to(folder)}\t{error.errno}")
            else:
                lines.append(f"{path.relative_to(folder)}\t{state.st_size}\t{state.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _example(reader: Benchmark, index: int) -> dict[str, Any]:
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
        "problems": annotation.problems,
        "error": error,
    }


def _annotation(example: dict[str, Any]) -> Annotation:
    if example["error"]:
        raise BadPicture(example["error"].decode())
    return Annotation(
        polygons=[np.asarray(polygon, np.float32) for polygon in example["polygons"]],
        ignore=[bool(ignored) for ignored in example["ignore"]],
        texts=[text.decode() for text in example["text"]],
        problems=[problem.decode() for problem in example["problems"]],
        scripts=[script.decode() for script in example["script"]],
    )
