"""Opens the data that the config of an experiment describes."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from dbnet_jax.characters import load_characters
from dbnet_jax.messages import check_choice, first_lines
from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples
from input_pipeline.batches.tf_data import Batch, train_batches
from input_pipeline.batches.threads import thread_batches
from input_pipeline.datasets import (
    BENCHMARKS,
    CROPS,
    OWN_DATA,
    RENDERED,
    WORD_DATA,
    WORD_QUADS,
    WORDS_ALONE,
    open_dataset,
)
from input_pipeline.datasets.sample import GRANULARITIES, Dataset
from input_pipeline.datasets.wrappers.cached import CachedDataset, memory_for_cache
from input_pipeline.datasets.wrappers.in_processes import InProcesses
from input_pipeline.datasets.wrappers.lines_from_words import JoinedWords
from input_pipeline.datasets.wrappers.mixed import MixedDataset, Part, labels_of, parse_mix
from input_pipeline.datasets.wrappers.on_device import StoredDataset
from input_pipeline.datasets.wrappers.words_of import WordsOf
from input_pipeline.device_geometry import DeviceGeometry
from input_pipeline.examples import Examples
from input_pipeline.word_examples import WordExamples


def open_split(config: ConfigDict, purpose: str) -> Dataset:
    """The data set to train on (`purpose` "train") or to score on ("eval").

    **Raises:** FileNotFoundError, with the expected layout, when the data is not there; ValueError when the name
    is unknown or the data set is empty.
    """
    data = config.data
    if not data.name:
        raise ValueError(
            "`config.data.name` is empty: take a file of configs/, or name a data set "
            "(--config.data.name=icdar2015 --config.data.dir=DIR).\nYour own pictures, as docs/own_data.md says: "
            f"{', '.join(OWN_DATA)}\nBenchmarks: {', '.join(BENCHMARKS)}\nRendered: {', '.join(RENDERED)}"
        )
    parts = parse_mix(data.mix) if purpose == "train" else []
    dataset = _open(config, purpose, sets=1 + len(parts))
    if parts:
        dataset = _mix(config, dataset, parts)
    if purpose == "train" and data.cache == "device":
        return StoredDataset(dataset, tuple(data.canvas))
    return dataset


def _open(config: ConfigDict, purpose: str, sets: int, joined: bool = False) -> Dataset:
    """The set of `config.data.name` alone, one of `sets` that are mixed; its words `joined` to lines, if so asked."""
    data = config.data
    split = {"train": data.train_split, "eval": data.eval_split}[purpose]
    if data.name in RENDERED:  # nothing of these is held out
        split = {"trainval": "train", "validation": "test"}.get(split, split)
    folder = os.path.expanduser(data.dir) or "(`config.data.dir` is not set)"
    check_choice("config.data.granularity", data.granularity, GRANULARITIES)
    if data.granularity == "line" and data.name in WORDS_ALONE:
        raise ValueError(f"`config.data.granularity` (='line'): {data.name} has words alone, and no lines")
    if joined and data.name not in WORD_QUADS:
        raise ValueError(f"`config.data.mix`: {data.name}+lines joins words, which these have: {', '.join(WORD_QUADS)}")
    dataset = open_dataset(data.name, folder, split, source=data.source, **_options(config, purpose))
    if joined or (data.name == "icdar2015" and data.granularity == "line"):
        dataset = JoinedWords(dataset)
    if not len(dataset):
        raise ValueError(f"split {split!r} of `config.data.dir` (={data.dir!r}) is empty")
    if purpose == "train" and data.name in RENDERED and data.render_processes:
        dataset = InProcesses(dataset, data.render_processes)
    if config.task == "recognition" and data.name not in CROPS:
        # They are kept whatever `cache` says, beside those of the other split: one word costs a whole picture.
        dataset = WordsOf(dataset, load_characters(config.model.characters), memory_for_cache() / (2 * sets))
        if not len(dataset):
            why = "\n".join(first_lines(dataset.problems)) or "no word that counts has a text"
            raise ValueError(f"split {split!r} of `config.data.dir` (={data.dir!r}) has no word to read:\n{why}")
        return dataset
    # Pictures that are rendered beside photographs are too many to keep, and each is used once.
    if purpose == "train" and data.cache == "host" and not (sets > 1 and data.name in RENDERED):
        return CachedDataset(dataset, memory_for_cache() / sets)
    return dataset


def _options(config: ConfigDict, purpose: str) -> dict[str, Any]:
    """What a data set takes beside its folder and split."""
    data = config.data
    if data.source == "files":
        if data.name in RENDERED:
            count = {"train": data.train_pictures, "eval": data.eval_pictures}[purpose]
            if data.name == "words":
                letters = load_characters(config.model.characters).characters
                drawn = {"count": count, "seed": config.seed, "characters": letters, "vocabulary": data.vocabulary}
                return drawn | {"backgrounds": data.backgrounds, "fonts": data.fonts}
            drawn = {"count": count, "seed": config.seed, "size": tuple(data.picture_size)}
            scenes = {key: data[key] for key in ("granularity", "backgrounds", "layouts", "fonts")}
            return drawn if data.name == "synthetic" else drawn | scenes
        if data.name not in (*OWN_DATA, *WORD_DATA):
            return {}
        granularity = {"granularity": data.granularity} if data.name == "hiertext" else {}
        given = map(os.path.expanduser, (data.train_labels, data.eval_labels))
        labels = dict(zip(("labels", "eval_labels"), given, strict=True))
        pixels = {name: config.predict[name] for name in ("follow_exif", "max_pixels")}
        return {**labels, **pixels, **granularity}
    if data.name in (*OWN_DATA, *WORD_DATA, *RENDERED):
        raise ValueError(
            f"`config.data.source` (={data.source!r}) must be 'files': only the benchmarks can be prepared"
        )
    return {"tfds_dir": data.tfds_dir} if data.source == "tfds" else {}


def _mix(config: ConfigDict, dataset: Dataset, parts: Sequence[Part]) -> Dataset:
    """The training set with the sets of `config.data.mix`, each with its own training pictures."""
    added = []
    for part in parts:
        changed = config.copy_and_resolve_references()
        alone = {"source": "files", "train_labels": "", "eval_labels": ""}
        changed.data.update({"name": part.name, "dir": part.folder, **alone})
        added.append(_open(changed, "train", sets=1 + len(parts), joined=part.joined))
    own = Part(config.data.name, config.data.dir)
    weights, zooms = [1.0, *(part.weight for part in parts)], [1.0, *(part.zoom for part in parts)]
    return MixedDataset([dataset, *added], weights, zooms, labels_of([own, *parts]))


def make_examples(config: ConfigDict, dataset: Dataset, bad_samples: BadSamples) -> Examples:
    """The training examples of `dataset`, varied and labelled as `config.data` says."""
    data = config.data
    bad_samples.add_problems(dataset.problems)
    augmentation = Augmentation(
        tuple(data.crop), data.flip, data.rotation, tuple(data.scale), short_side=data.short_side, jitter=data.jitter
    )
    labels = {
        k: data[k] for k in ("shrink_ratio", "threshold_min", "threshold_max", "min_text_size", "threshold_distance")
    }
    device = None
    if data.pixels == "device":
        device = DeviceGeometry(
            tuple(data.canvas),
            tuple(data.crop),
            shrink_ratio=data.shrink_ratio,
            min_text_size=data.min_text_size,
            max_instances=data.max_instances,
            max_vertices=data.max_vertices,
            stored=data.cache == "device",
        )
    return Examples(dataset, config.seed, augmentation, labels, bad_samples, device)


def make_word_batches(
    config: ConfigDict, dataset: Dataset, bad_samples: BadSamples, first_step: int
) -> Iterator[tuple[Batch, list[str]]]:
    """This process's share of a recogniser's training batches from `first_step` on; see `WordExamples`."""
    return thread_batches(make_word_examples(config, dataset, bad_samples), **_share(config, first_step))


def make_word_examples(config: ConfigDict, dataset: Dataset, bad_samples: BadSamples) -> WordExamples:
    """A recogniser's training examples of `dataset`, as `config` says."""
    bad_samples.add_problems(dataset.problems)
    return WordExamples(
        dataset,
        config.seed,
        bad_samples,
        characters=load_characters(config.model.characters),
        size=tuple(config.data.crop),
        max_length=config.model.max_length,
        jitter=config.data.jitter,
        aligned=config.model.decoder == "ctc",
    )


def make_batches(
    config: ConfigDict, dataset: Dataset, bad_samples: BadSamples, first_step: int
) -> Iterator[tuple[Batch, list[str]]]:
    """This process's share of the training batches from `first_step` on; see `train_batches`.

    By tf.data where the host makes the pixels; by threads where the device does, and TensorFlow need not be there.
    """
    examples = make_examples(config, dataset, bad_samples)
    share = _share(config, first_step)
    if config.data.pixels == "device":
        return thread_batches(examples, **share)
    return train_batches(examples, crop=tuple(config.data.crop), **share)


def _share(config: ConfigDict, first_step: int) -> dict[str, int]:
    return {
        "batch_size": config.train.batch_size,
        "first_step": first_step,
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
