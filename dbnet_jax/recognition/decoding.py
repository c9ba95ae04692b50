"""From the classes of feature columns to texts: CTC's greedy and beam decoding, and a lexicon."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from dbnet_jax.characters import BLANK

Classes = tuple[int, ...]


def greedy(best: Int[np.ndarray, "steps"], probabilities: Float[np.ndarray, "steps"]) -> tuple[Classes, float]:
    """The best class of each column, repeats merged and blanks dropped.

    **Arguments:** `best`: the likeliest class of each column; `probabilities`: its probability there.

    **Returns:** the classes of the text, and the probability of this alignment: at most that of the text.
    """
    if not len(best):
        return (), 0.0
    first = np.concatenate([[True], best[1:] != best[:-1]])
    return tuple(best[first & (best != BLANK)].tolist()), float(np.prod(probabilities, dtype=np.float64))


def beam(log_probabilities: Float[np.ndarray, "steps classes"], width: int) -> tuple[Classes, float]:
    """The likeliest text by a prefix beam search (Hannun et al., arXiv 1408.2873, without a language model).

    **Arguments:** `log_probabilities`: of each class at each column; `width`: prefixes that are kept.

    **Returns:** the classes of the text, and its probability.
    """
    # Of each prefix the logarithms of its probability with a blank at the end, and without.
    beams: dict[Classes, tuple[float, float]] = {(): (0.0, -math.inf)}
    for row in log_probabilities:
        # Classes that no kept prefix could gain from.
        likely = np.flatnonzero(row > row.max() - 20)
        found: dict[Classes, list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (blank, letter) in beams.items():
            for one in likely.tolist():
                p = float(row[one])
                if one == BLANK:
                    _add(found[prefix], 0, np.logaddexp(blank, letter) + p)
                elif prefix and prefix[-1] == one:
                    _add(found[prefix], 1, letter + p)
                    _add(found[(*prefix, one)], 1, blank + p)
                else:
                    _add(found[(*prefix, one)], 1, np.logaddexp(blank, letter) + p)
        kept = sorted(found.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {prefix: (blank, letter) for prefix, (blank, letter) in kept}
    best, (blank, letter) = next(iter(beams.items()))
    return best, math.exp(float(np.logaddexp(blank, letter)))


def _add(sums: list[float], place: int, value: float) -> None:
    sums[place] = float(np.logaddexp(sums[place], value))


def text_log_probability(log_probabilities: Float[np.ndarray, "steps classes"], text: Sequence[int]) -> float:
    """The logarithm of a text's probability under CTC: the sum over all alignments (Graves et al. 2006)."""
    states = [BLANK]
    for one in text:
        states += [one, BLANK]
    alpha = np.full(len(states), -np.inf)
    alpha[0] = 0.0
    skips = np.array([i > 1 and states[i] != BLANK and states[i] != states[i - 2] for i in range(len(states))])
    for step, row in enumerate(log_probabilities):
        if step == 0:
            alpha = np.where(np.arange(len(states)) < 2, row[states], -np.inf)
            continue
        from_before = np.concatenate([[-np.inf], alpha[:-1]])
        from_two = np.where(skips, np.concatenate([[-np.inf, -np.inf], alpha[:-2]])[: len(states)], -np.inf)
        alpha = np.logaddexp(np.logaddexp(alpha, from_before), from_two) + row[states]
    return float(np.logaddexp(alpha[-1], alpha[-2])) if len(states) > 1 else float(alpha[-1])
