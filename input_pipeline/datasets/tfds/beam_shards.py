"""A prepared copy made by Apache Beam: each worker reads ranges of pictures and writes a file of records for each.

The only module that imports Apache Beam (`pip install -e '.[tfds]'`). TFDS's own Beam writer sends every record through
a shuffle to sort them, which on one machine means through its memory: here a range of positions is a file, and the
order is that of the files.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from etils import epath
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.splits import SplitInfo
from tensorflow_datasets.core.utils import incomplete_files
from tensorflow_datasets.core.writer import ExampleWriter

from input_pipeline.datasets.benchmarks import BENCHMARKS
from input_pipeline.datasets.benchmarks.base import Benchmark
from input_pipeline.datasets.tfds.records import Counts, make_example, make_features

_PICTURES = 5000  # of a file: some 240 MB of SynthText
_RESULTS = "shards.json"


@dataclasses.dataclass(frozen=True)
class _Shard:
    """The pictures from `start` to before `stop` of a split, and the file that they are written to."""

    split: str
    start: int
    stop: int
    path: str


def write_splits(
    builder: tfds.core.DatasetBuilder,
    folder: str,
    lengths: Mapping[str, int],
    config: tfds.download.DownloadConfig,
) -> tuple[list[SplitInfo], dict[str, Counts]]:
    """Writes the splits of a benchmark into the folder of its builder.

    Workers are sent names and positions. Each opens the reader for itself, so that SynthText's index is mapped there;
    `folder` and the builder's folder must be found under their names by all of them.

    **Arguments:**

    - `builder`: a `SceneText`.
    - `folder`: the owner's files.
    - `lengths`: how many pictures to take of each split.
    - `config`: `beam_runner`, `beam_options` and `num_shards` are followed.

    **Returns:** what TFDS has to know of each split, and what was counted in it.
    """
    templates = {split: builder._get_filename_template(split_name=split) for split in lengths}
    shards = []
    for split, length in lengths.items():
        files = min(config.num_shards or -(-length // _PICTURES), length)
        bounds = [length * i // files for i in range(files + 1)]
        for i, (start, stop) in enumerate(itertools.pairwise(bounds)):
            path = templates[split].sharded_filepath(shard_index=i, num_shards=files)
            shards.append(_Shard(split, start, stop, str(path)))
    results = builder.data_path / _RESULTS
    # Not the command line, which Beam reads where it is given no options: that is another program's.
    options = config.beam_options or PipelineOptions(flags=[])
    with beam.Pipeline(runner=config.beam_runner, options=options) as pipeline:
        _ = (
            pipeline
            | "Shards" >> beam.Create(shards)
            # Or a runner may give all of them to the worker that made them.
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.ParDo(_WriteShard(builder.builder_config.name, folder, builder.info.file_format.value))
            | "Collect" >> beam.combiners.ToList()
            | "Store" >> beam.Map(_store, path=str(results))
        )
    found = json.loads(results.read_text())
    results.unlink()
    infos, counts = [], {}
    for split, template in templates.items():
        written = [found[shard.path] for shard in shards if shard.split == split]
        lengths_of_files = [shard.stop - shard.start for shard in shards if shard.split == split]
        infos.append(SplitInfo(split, lengths_of_files, sum(entry["size"] for entry in written), template))
        counts[split] = sum((Counts.from_json(entry["counts"]) for entry in written), Counts())
    return infos, counts


class _WriteShard(beam.DoFn):
    """Reads the pictures of a shard and writes its file. **Returns:** its path, size in bytes and `Counts`."""

    def __init__(self, name: str, folder: str, file_format: str):
        super().__init__()
        self._name, self._folder, self._format = name, folder, file_format

    def setup(self) -> None:
        self._readers: dict[str, Benchmark] = {}
        self._features = make_features()
        self._serializer = ExampleSerializer(self._features.get_serialized_info())
        self._writer = ExampleWriter(file_format=tfds.core.FileFormat(self._format))

    def process(self, shard: _Shard) -> Iterator[tuple[str, int, dict[str, Any]]]:
        if shard.split not in self._readers:
            self._readers[shard.split] = BENCHMARKS[self._name](self._folder, shard.split)
        counts = Counts()

        def records() -> Iterator[tuple[int, bytes]]:
            nonlocal counts
            for index in range(shard.start, shard.stop):
                example = make_example(self._readers[shard.split], index)
                counts += Counts.of(example)
                yield index, self._serializer.serialize_example(self._features.encode_example(example))

        # A runner may try a shard again, or twice at once: the file appears whole.
        with incomplete_files(epath.Path(shard.path)) as temporary:
            self._writer.write(temporary, records())
        yield shard.path, epath.Path(shard.path).stat().length, counts.to_json()


def _store(written: list[tuple[str, int, dict[str, Any]]], path: str) -> None:
    found = {name: {"size": size, "counts": counts} for name, size, counts in written}
    epath.Path(path).write_text(json.dumps(found))
