"""What a recogniser's training would see, before it trains: crops with their texts, and the lengths of all texts."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ml_collections import ConfigDict

from dbnet_jax.characters import composed, load_characters
from dbnet_jax.files import check_files
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.inspection.words import InspectedWord, WordStatistics
from dbnet_jax.messages import Problem
from dbnet_jax.pages.inspection import Inspection, held_out, title_of
from dbnet_jax.pages.page import PAGE, command_line, problem_list
from dbnet_jax.pages.word_inspection import WordExample, write_word_inspection_page
from dbnet_jax.training.task import task_of
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.sample import Dataset
from input_pipeline.from_config import make_word_examples, open_split
from input_pipeline.word_examples import WordExamples, columns_for

MOST_WORDS = 2_000
"""Words that are read for the statistics."""


def inspect_words(config: ConfigDict, folder: str | os.PathLike[str], count: int = 24) -> Inspection:
    """Draws the first training examples of a recogniser's `config`, and measures the texts of its training words.

    Writes `<folder>/index.html` and its pictures.

    **Arguments:** `config`; `folder`: takes the page; `count`: examples to draw, from the first of the first batch on.

    **Raises:** FileNotFoundError when the data is not there; ValueError when the config cannot work or no word can be
    read; FileExistsError when the folder contains a page that no run wrote.
    """
    task_of(config).check(config)
    check_files(folder, {"page": [PAGE]}, "folder")
    config = config.copy_and_resolve_references()
    config.data.cache = "none"
    dataset = open_split(config, "train")
    bad_samples = BadSamples(len(dataset), config.data.max_bad_share, stop=False)
    examples = make_word_examples(config, dataset, bad_samples)
    statistics = _measure(config, dataset, examples, bad_samples)
    stops = _why_nothing_is_scored(config, bad_samples)
    page = write_word_inspection_page(
        folder,
        title_of(config),
        statistics,
        _first_examples(config, examples, count),
        lambda: problem_list(bad_samples.headline(), bad_samples.found()),
        {"not shown here": held_out(config), "command": command_line()},
    )
    if not any(word.usable for word in statistics.words):
        stops = f"none of the {statistics.tried:,} words that were read can be used"
    return Inspection(page, statistics, bad_samples.headline(), bad_samples.found(), bad_samples.stops or stops)


def _measure(config: ConfigDict, dataset: Dataset, examples: WordExamples, bad_samples: BadSamples) -> WordStatistics:
    def measure(position: int) -> InspectedWord | None:
        index = examples.index(position)
        try:
            sample = dataset[index]
        except BadPicture as error:
            bad_samples.add(dataset.name(index), str(error), dataset.origin(index))
            return None
        bad_samples.add_problems(sample.problems)
        if problem := examples.why_unusable(sample):
            bad_samples.add(dataset.name(index), problem, dataset.origin(index))
        text, width = composed(sample.texts[0]), examples.width(sample)
        return InspectedWord(text, width, columns_for(text), examples.columns(sample), not problem)

    tried = min(len(dataset), MOST_WORDS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(measure, range(tried)))
    words = [word for word in found if word is not None]
    characters = load_characters(config.model.characters).characters
    return WordStatistics(len(dataset), tried, tried - len(words), words, config.model.max_length, characters)


def _why_nothing_is_scored(config: ConfigDict, bad_samples: BadSamples) -> str:
    """The message with which training would end where the split that is scored cannot be opened; "" where it can."""
    split = config.data.eval_split
    if split == config.data.train_split:
        return ""
    try:
        open_split(config, "eval")
    except (OSError, ValueError) as error:
        first, *_ = str(error).splitlines()
        bad_samples.add_problems([Problem(f"split {split!r}, which is scored", first)])
        return str(error)
    return ""


def _first_examples(config: ConfigDict, examples: WordExamples, count: int) -> Iterator[WordExample]:
    """The first examples of training; of a set without any usable word there are none."""
    characters = load_characters(config.model.characters)
    for position in range(count):
        try:
            example = examples[position]
        except BadPicture:
            return
        image, classes = np.asarray(example["image"]), np.asarray(example["text"])
        crop = image[:, : int(example["width"])]
        yield WordExample(
            str(example["name"]), position // config.train.batch_size + 1, crop, characters.decode(classes.tolist())
        )
