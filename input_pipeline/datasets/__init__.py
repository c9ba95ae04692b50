"""The data sets, by name."""

import os
from typing import Any

from input_pipeline.datasets.benchmarks import BENCHMARKS
from input_pipeline.datasets.own_data import OWN_DATA
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.words import WORD_DATA

__all__ = [
    "BENCHMARKS",
    "CROPS",
    "DATASETS",
    "OWN_DATA",
    "RENDERED",
    "WORDS_ALONE",
    "WORD_QUADS",
    "Dataset",
    "Sample",
    "open_dataset",
]

RENDERED = ("synthetic", "scenes", "words")
WORDS_ALONE = (
    "total_text",
    "mlt2017",
    "synthtext",
    "synthetic",
    "textocr",
    "coco_text",
)  # no lines
WORD_QUADS = ("icdar2015", *OWN_DATA)
"""The sets whose polygons may be quads of words, from the top left of their letters on."""
CROPS = ("words", "word_lmdb")
"""The sets whose samples are words, too many to list."""
DATASETS = (*BENCHMARKS, *OWN_DATA, *WORD_DATA, *RENDERED)


def open_dataset(
    name: str, folder: str | os.PathLike[str], split: str, *, source: str = "files", **options: Any
) -> Dataset:
    """Opens a data set.

    **Arguments:**

    - `name`: one of `DATASETS`.
    - `folder`: where it was unpacked, in its owner's layout; unused for `RENDERED`.
    - `split`: "train", "validation", "trainval" (both of them) or "test"; see `base.Benchmark`.
        `RENDERED` sets have "train" and "test".
    - `source`: "files" reads the owner's files; "tfds" reads a copy prepared by TensorFlow Datasets, which
        the first call makes (option `tfds_dir`; see `scene_text.PreparedDataset`). Both give the same
        samples.
    - `options`: for the data set: "synthetic", "scenes" and "words" take `count` and `seed`, the first two `size`,
        "scenes" `granularity`, `backgrounds`, `layouts` and `fonts`, "words" `backgrounds`, `fonts`, `characters` and
        `vocabulary`; those of `OWN_DATA` and `WORD_DATA` take `labels`, `eval_labels`, `follow_exif` and `max_pixels`,
        "hiertext" `granularity` too.

    **Raises:** `ValueError` if a name is not known; `FileNotFoundError` if the folder does not hold the data
    set.
    """
    if name not in DATASETS:
        raise ValueError(f"`name` (={name!r}) must be one of {', '.join(DATASETS)}")
    if source not in ("files", "tfds"):
        raise ValueError(f"`source` (={source!r}) must be files or tfds")
    # Imported where needed: TensorFlow takes ten seconds.
    if source == "tfds":
        from input_pipeline.datasets.tfds.scene_text import PreparedDataset

        return PreparedDataset(name, folder, split, **options)
    if name == "synthetic":
        from input_pipeline.datasets.rendered.synthetic.dataset import SyntheticDataset

        return SyntheticDataset(**{"split": split, **options})
    if name == "scenes":
        from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset

        return SceneDataset(**{"split": split, **options})
    if name == "words":
        from input_pipeline.datasets.rendered.scenes.words import WordImages

        return WordImages(**{"split": split, **options})
    if name in OWN_DATA:
        return OWN_DATA[name](folder, split, **options)
    if name in WORD_DATA:
        return WORD_DATA[name](folder, split, **options)
    return BENCHMARKS[name](folder, split, **options)
