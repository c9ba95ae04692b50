"""CTC decoding against sums over all alignments."""

import itertools

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dbnet_jax.recognition import decoding


def by_alignments(logs: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each text: the sum over all rows of classes that give it."""
    found: dict[tuple[int, ...], float] = {}
    steps, classes = logs.shape
    for row in itertools.product(range(classes), repeat=steps):
        text = tuple(one for one, before in zip(row, (0, *row[:-1]), strict=True) if one and one != before)
        found[text] = found.get(text, 0.0) + float(np.exp(sum(logs[i, one] for i, one in enumerate(row))))
    return found


@pytest.fixture(params=range(4))
def logs(request):
    logits = np.random.default_rng(request.param).normal(0, 1.5, (5, 3))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_a_wide_beam_finds_the_likeliest_text(logs):
    texts = by_alignments(logs)
    best = max(texts, key=texts.__getitem__)
    found, score = decoding.beam(logs, 50)
    assert found == best
    assert score == pytest.approx(texts[best])


def test_the_probability_of_a_text_is_the_sum_over_its_alignments(logs):
    texts = by_alignments(logs)
    for text in ((), (1,), (1, 1), (2, 1, 2)):
        assert decoding.text_log_probability(logs, text) == pytest.approx(np.log(texts[text]))
    padded = np.zeros((1, 4), int)
    padded[0, :3] = 2, 1, 2
    loss = optax.ctc_loss(
        jnp.asarray(logs[None]), jnp.zeros((1, 5)), jnp.asarray(padded), jnp.asarray(padded == 0, float)
    )
    assert float(loss[0]) == pytest.approx(-np.log(texts[2, 1, 2]), rel=1e-5)


def test_greedy_merges_repeats_and_drops_blanks():
    best = np.array([0, 1, 1, 0, 1, 2, 2, 0])
    text, score = decoding.greedy(best, np.full(8, 0.5))
    assert text == (1, 1, 2)
    assert score == pytest.approx(0.5**8)
    assert decoding.greedy(np.array([], int), np.array([])) == ((), 0.0)
