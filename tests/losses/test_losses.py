"""The losses against the official code's, by hand, and hard negative mining against a sort."""

import json

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dbnet_jax.losses import db_loss
from dbnet_jax.losses.hard_negatives import hard_negative_weights
from tests.helpers.official import LABELS, OUTPUTS
from tests.helpers.paths import DATA

PARTS = {"probability": "bce_loss", "binary": "thresh_loss", "threshold": "l1_loss"}


def squeeze(array: np.ndarray) -> jax.Array:
    return jnp.asarray(array.reshape(array.shape[0], *array.shape[-2:]), jnp.float32)


@pytest.mark.parametrize("index", range(6))
def test_values_and_gradients_equal_the_official_ones(index, request):
    here = DATA / f"losses_{index:02}.npz"  # two of the cases travel with the project
    arrays = np.load(here if here.exists() else request.getfixturevalue("shared") / "golden" / here.name)
    case = json.loads((DATA / "losses.json").read_text())[index]
    outputs = {ours: squeeze(arrays[theirs]) for ours, theirs in OUTPUTS.items()}
    labels = {ours: squeeze(arrays[theirs]) for ours, theirs in LABELS.items()}
    (total, parts), gradients = jax.value_and_grad(lambda o: db_loss(o, labels), has_aux=True)(outputs)
    assert float(total) == pytest.approx(case["total"], rel=1e-5)
    for ours, theirs in PARTS.items():
        assert float(parts[ours]) == pytest.approx(case[theirs], rel=1e-5, abs=1e-7)
    for ours, theirs in OUTPUTS.items():
        expected = squeeze(arrays[f"grad_{theirs}"])
        np.testing.assert_allclose(gradients[ours], expected, atol=1e-5 * max(1e-3, float(np.abs(expected).max())))


def sample(seed: int = 0, text: float = 0.2) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    rng = np.random.default_rng(seed)
    logits = jnp.asarray(rng.normal(size=(2, 16, 16)), jnp.float32)
    threshold = jnp.asarray(rng.uniform(0.3, 0.7, (2, 16, 16)), jnp.float32)
    probability = jax.nn.sigmoid(logits)
    outputs = {
        "probability_map": probability,
        "threshold_map": threshold,
        "binary_map": jax.nn.sigmoid(50 * (probability - threshold)),
    }
    shrink = jnp.asarray(rng.random((2, 16, 16)) < text, jnp.float32)
    ones = jnp.ones((2, 16, 16))
    labels = {"shrink_map": shrink, "shrink_mask": ones, "threshold_map": threshold * 0.9, "threshold_mask": ones}
    return outputs, labels


def test_the_parts_are_what_their_formulas_say():
    outputs, labels = sample()
    p, y = np.asarray(outputs["probability_map"], float), np.asarray(labels["shrink_map"])
    losses = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    positives = int(y.sum())
    hardest = np.sort(losses[y == 0])[::-1][: 3 * positives]
    _, parts = db_loss(outputs, labels)
    expected = (losses[y == 1].sum() + hardest.sum()) / (positives + len(hardest))
    assert float(parts["probability"]) == pytest.approx(expected, rel=1e-5)
    b = np.asarray(outputs["binary_map"])
    assert float(parts["binary"]) == pytest.approx(1 - 2 * (b * y).sum() / (b.sum() + y.sum()), rel=1e-5)
    t = np.asarray(outputs["threshold_map"])
    assert float(parts["threshold"]) == pytest.approx(0.1 * t.mean(), rel=1e-4)


def test_logits_give_the_same_loss_and_keep_a_gradient_where_the_map_saturates():
    outputs, labels = sample()
    logits = jnp.log(outputs["probability_map"] / (1 - outputs["probability_map"]))
    _, from_maps = db_loss(outputs, labels)
    _, from_logits = db_loss(outputs | {"probability_logits": logits}, labels)
    assert float(from_logits["probability"]) == pytest.approx(float(from_maps["probability"]), rel=1e-5)

    def loss(logits: jax.Array) -> jax.Array:
        maps = outputs | {"probability_map": jax.nn.sigmoid(logits), "probability_logits": logits}
        return db_loss(maps, labels, binary_weight=0.0)[0]

    gradient = jax.grad(loss)(jnp.where(labels["shrink_map"] > 0, -200.0, 0.0))
    assert (gradient[labels["shrink_map"] > 0] < 0).all()


@pytest.mark.parametrize(
    ("probability", "target", "loss"), [(0.0, 1.0, 100.0), (1.0, 0.0, 100.0), (2e-38, 1.0, 86.805)]
)
def test_a_logarithm_is_at_least_minus_100_as_in_pytorch(probability, target, loss):
    # One pixel of the other kind, without loss, lets the negative pixel count.
    maps = jnp.array([[[probability, 1 - target]]], jnp.float32)
    labels = {"shrink_map": jnp.array([[[target, 1 - target]]]), "shrink_mask": jnp.ones((1, 1, 2))}

    def mean(maps: jax.Array) -> jax.Array:
        return db_loss({"probability_map": maps}, labels)[1]["probability"]

    value, gradient = jax.value_and_grad(mean)(maps)
    assert float(value) * 2 == pytest.approx(loss, rel=1e-3)
    assert np.isfinite(gradient).all()


def test_a_batch_without_text_pushes_the_probability_map_down_where_asked():
    outputs, labels = sample(text=0.0)

    def gradient(**options: int) -> jax.Array:
        return jax.grad(lambda p: db_loss(outputs | {"probability_map": p}, labels, **options)[0])(
            outputs["probability_map"]
        )

    assert not gradient().any()  # the official code's
    pushed = gradient(min_negatives=100)
    assert (pushed >= 0).all()
    assert int((pushed > 0).sum()) == 100


def test_the_papers_cross_entropy_on_the_binary_map_is_a_choice():
    outputs, labels = sample()
    _, parts = db_loss(outputs, labels, binary_loss="cross_entropy")
    swapped = outputs | {"probability_map": outputs["binary_map"]}
    assert float(parts["binary"]) == pytest.approx(float(db_loss(swapped, labels)[1]["probability"]), rel=1e-5)
    with pytest.raises(ValueError, match="focal"):
        db_loss(outputs, labels, binary_loss="focal")


@hypothesis.given(
    hnp.arrays(np.float32, st.integers(1, 60), elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 3e-39, 1e30, np.inf])),
    st.data(),
)
@hypothesis.settings(max_examples=60)
def test_hard_negatives_equal_sorting_ties_included(losses, data):
    candidates = data.draw(hnp.arrays(bool, losses.shape))
    count = data.draw(st.integers(0, int(candidates.sum())))
    weights = np.asarray(jax.jit(hard_negative_weights)(jnp.asarray(losses), jnp.asarray(candidates), jnp.int32(count)))
    assert weights[~candidates].sum() == 0
    assert weights.sum() == pytest.approx(count, abs=1e-4)
    expected = np.sort(losses[candidates])[::-1][:count]
    for value in np.unique(losses):
        # As many places for each value as the sort gives it, so that every sum is the sort's too.
        assert weights[losses == value].sum() == pytest.approx((expected == value).sum(), abs=1e-4)


def test_hard_negatives_equal_sorting_on_random_losses():
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=(4, 50, 60)).astype(np.float32)
    candidates = rng.random(losses.shape) < 0.9
    for count in (1, 777, int(candidates.sum())):
        weights = hard_negative_weights(jnp.asarray(losses), jnp.asarray(candidates), jnp.int32(count))
        chosen = np.zeros(losses.size, bool)
        chosen[np.argsort(np.where(candidates, losses, -1).ravel())[::-1][:count]] = True
        np.testing.assert_array_equal(np.asarray(weights).ravel(), chosen)
