"""Scores of texts that were read: word accuracy and character error rate."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from dbnet_jax.characters import composed


@dataclass(frozen=True)
class WordScores:
    """Scores of words that were read.

    - `accuracy`: the share that is right, of letters and digits alone and without regard to case, as the field reports
        it.
    - `accuracy_case_sensitive`: the share that is right to the character.
    - `cer`: the character error rate: edits that make the readings of the truths, as a share of the truths' characters.
    """

    accuracy: float
    accuracy_case_sensitive: float
    cer: float


def evaluate_words(predictions: Sequence[str], truths: Sequence[str]) -> WordScores:
    """Scores readings of words. All texts count in Unicode's composed form.

    **Raises:** ValueError if there are not as many predictions as truths, or none.
    """
    if len(predictions) != len(truths) or not truths:
        raise ValueError(f"`predictions` ({len(predictions)}) and `truths` ({len(truths)}) must be as many, at least 1")
    pairs = [(composed(found), composed(truth)) for found, truth in zip(predictions, truths, strict=True)]
    edits = sum(edit_distance(found, truth) for found, truth in pairs)
    return WordScores(
        accuracy=sum(plain(found) == plain(truth) for found, truth in pairs) / len(pairs),
        accuracy_case_sensitive=sum(found == truth for found, truth in pairs) / len(pairs),
        cer=edits / max(sum(len(truth) for _, truth in pairs), 1),
    )


def plain(text: str) -> str:
    """Letters and digits of a composed text in lower case."""
    # Marks are vowels in many scripts, and `\w` has none of them.
    return "".join(one for one in text if unicodedata.category(one)[0] in "LNM").lower()


def edit_distance(first: str, second: str) -> int:
    """How many characters must be inserted, deleted or replaced to make one text of the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
