"""The benchmarks as TensorFlow Datasets: `scene_text/icdar2015`, `scene_text/synthtext` and so on; see docs/tfds.md.

With this module imported, TFDS's own tools know them; `manual_dir` is where the owner's files are:

    config = tfds.download.DownloadConfig(manual_dir="data/icdar2015")
    tfds.load("scene_text/icdar2015", download_and_prepare_kwargs={"download_config": config})

Beside the pipeline, the only module (with `records` and `beam_shards`, which are its own) that imports
TensorFlow.
"""

import hashlib
import importlib.util
import inspect
import os
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from absl import logging
from etils import epath

from input_pipeline.datasets.benchmarks import BENCHMARKS
from input_pipeline.datasets.benchmarks.base import Benchmark
from input_pipeline.datasets.sample import Annotation, Dataset, Sample
from input_pipeline.datasets.tfds.publications import PUBLICATIONS
from input_pipeline.datasets.tfds.records import (
    Counts,
    describe_copy,
    make_example,
    make_features,
    open_splits,
    read_annotation,
)

_FORMAT = "array_record"  # TFDS's format with random access that needs no other package
_OF_MANY = ("synthtext",)  # benchmarks that outgrow one machine


class SceneText(tfds.core.GeneratorBasedBuilder):
    """One configuration a benchmark, over the plain readers; the splits are theirs, in their order.

    A feature `image` holds the owner's file byte for byte, and a picture that cannot be used is kept with the
    reason in `error`: nothing is decided at preparation that reading the files would decide otherwise.

    `info.metadata` says what was found: see `records.describe_copy`. Whatever differs from the owner's
    release is logged as a warning, and prepared all the same.

    SynthText is prepared by Apache Beam where that is installed, as any configuration is after `with_beam = True`.
    Files are array_record ones unless another format is asked for; `tfds.data_source` and `tfds.load` read them.
    """

    name = "scene_text"
    # TFDS 4.9.10 would find it with `importlib_resources`, which neither it nor etils 1.15 installs.
    code_path = pathlib.Path(__file__)
    VERSION = tfds.core.Version("1.3.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.3.0": "A picture of whose labels nothing can be read has an error.",
        "1.2.0": "The metadata say what was found.",
    }
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name=name, description=reader.title) for name, reader in BENCHMARKS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack a benchmark in its owner's layout; `manual_dir` is that folder.\n"
        + "\n".join(f"{reader.title}: {reader.source}\n{reader.layout}" for reader in BENCHMARKS.values())
    )

    def __init__(self, *, file_format: str | tfds.core.FileFormat | None = None, **options: Any):
        super().__init__(file_format=file_format, **options)
        if file_format is None and not self.info.initialized:  # there is no copy yet
            self.info.set_file_format(_FORMAT, override=True)
        self.with_beam = self.builder_config.name in _OF_MANY
        self._counts: dict[str, Counts] = {}
        self._problems: list[str] = []

    def _info(self) -> tfds.core.DatasetInfo:
        reader, publication = BENCHMARKS[self.builder_config.name], PUBLICATIONS[self.builder_config.name]
        return tfds.core.DatasetInfo(
            builder=self,
            description=inspect.getdoc(reader),
            homepage=reader.source.split()[0],
            citation=publication.citation,
            license=publication.terms,
            metadata=tfds.core.MetadataDict(),
            features=make_features(),
            # Position i is the reader's picture i.
            disable_shuffling=True,
        )

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
    ) -> None:
        if self.with_beam and importlib.util.find_spec("apache_beam"):
            self._prepare_with_beam(dl_manager, download_config)
        else:
            if self.with_beam:
                logging.info("Apache Beam is not installed (pip install -e '.[tfds]'): this process does it alone")
            super()._download_and_prepare(dl_manager, download_config)
        found = describe_copy(self.builder_config.name, self._counts, self._problems)
        self.info.metadata.update(found)
        for problem in found["problems"]:
            logging.warning("%s: %s", self.info.full_name, problem)
        for split, counts in found["splits"].items():
            logging.info("%s: %s: %s", self.info.full_name, split, counts)

    def _prepare_with_beam(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
    ) -> None:
        from input_pipeline.datasets.tfds.beam_shards import write_splits

        readers, most = self._open(dl_manager), download_config.max_examples_per_split
        lengths = {split: len(reader) if most is None else min(most, len(reader)) for split, reader in readers.items()}
        if most != 0:
            infos, self._counts = write_splits(self, _manual_dir(dl_manager), lengths, download_config)
            self.info.set_splits(tfds.core.splits.SplitDict(infos))

    def _open(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Benchmark]:
        readers, missing = open_splits(self.builder_config.name, _manual_dir(dl_manager))
        self._counts = {}
        self._problems = [*missing, *(str(problem) for reader in readers.values() for problem in reader.problems)]
        return readers

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        return {split: self._generate_examples(split, reader) for split, reader in self._open(dl_manager).items()}

    def _generate_examples(self, split: str, reader: Benchmark) -> Iterator[tuple[int, dict[str, Any]]]:
        counts = Counts()
        for index in range(len(reader)):
            example = make_example(reader, index)
            counts += Counts.of(example)
            # After each picture, because TFDS may stop early.
            self._counts[split] = counts
            yield index, example

    def _as_dataset(
        self,
        split: Any,
        decoders: Any = None,
        read_config: tfds.ReadConfig | None = None,
        shuffle_files: bool = False,
    ) -> Any:
        """As a `tf.data.Dataset`, of array_record files too, which TFDS itself reads as data sources alone."""
        if self.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            return super()._as_dataset(split, decoders, read_config, shuffle_files)
        import tensorflow as tf

        read_config, features = read_config or tfds.ReadConfig(), self.info.features
        if read_config.add_tfds_id:
            raise ValueError("`add_tfds_id` (=True) needs a copy prepared with `--file_format=tfrecord`")
        if isinstance(decoders, tfds.decode.PartialDecoding):
            features, decoders = decoders.extract_features(features), decoders.decoders
        records = self.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        indices = tf.data.Dataset.range(len(records))
        if read_config.input_context:
            context = read_config.input_context
            indices = indices.shard(context.num_input_pipelines, context.input_pipeline_id)
        if shuffle_files:  # any record can be the next one
            again = read_config.shuffle_reshuffle_each_iteration
            indices = indices.shuffle(len(records), read_config.shuffle_seed, again)

        def read(index: Any) -> Any:
            record = tf.numpy_function(records.__getitem__, [index], tf.string)
            return features.deserialize_example(tf.ensure_shape(record, ()), decoders=decoders)

        return indices.map(read, read_config.num_parallel_calls_for_decode).with_options(read_config.options)


class PreparedDataset(Dataset):
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
        return self._reader.name(index)

    def annotation(self, index: int) -> Annotation:
        return read_annotation(self._example(index))

    def __getitem__(self, index: int) -> Sample:
        example = self._example(index)
        return self._reader.sample(self.name(index), example["image"], read_annotation(example))

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
    builder.with_beam = False  # a run that wants to train starts no pipeline, whatever is installed
    # Its nested bars are unreadable in a log.
    tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False),
            file_format=_FORMAT,
        )
    except OSError:
        # Another process of this run was faster: its finished copy stood where ours was to go.
        if not builder.data_path.exists():
            raise
    # Opened anew, so that the first run and every later one read in the same way.
    return SceneText(config=name, data_dir=data_dir)


def _digest(name: str, folder: pathlib.Path) -> str:
    lines = []
    for reader in open_splits(name, folder)[0].values():
        for path in reader.files():
            try:
                state = path.stat()
            except OSError as error:  # a dangling link: a bad sample, found when it is read
                lines.append(f"{path.relative_to(folder)}\t{error.errno}")
            else:
                lines.append(f"{path.relative_to(folder)}\t{state.st_size}\t{state.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _manual_dir(dl_manager: tfds.download.DownloadManager) -> str:
    return os.path.abspath(dl_manager.manual_dir)
