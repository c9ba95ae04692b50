"""Sets of word crops with their texts, by name."""

from collections.abc import Callable

from input_pipeline.datasets.sample import Dataset
from input_pipeline.datasets.words.word_list import WordList
from input_pipeline.datasets.words.word_lmdb import WordLmdb

WORD_DATA: dict[str, Callable[..., Dataset]] = {"word_list": WordList, "word_lmdb": WordLmdb}
