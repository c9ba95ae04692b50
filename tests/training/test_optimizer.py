"""The schedule and the optimiser against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import common
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.train import make_schedule


def test_the_poly_schedule_is_the_papers():
    schedule = poly_schedule(0.007, 100)
    for step in (0, 1, 50, 99):
        assert float(schedule(step)) == pytest.approx(0.007 * (1 - step / 100) ** 0.9, rel=1e-5)
    assert float(schedule(100)) == 0
    assert float(schedule(1000)) == 0


def test_the_warm_up_rises_linearly_to_the_schedule():
    schedule, plain = poly_schedule(1.0, 100, warmup=4), poly_schedule(1.0, 100)
    ratios = [float(schedule(step)) / float(plain(step)) for step in range(6)]
    np.testing.assert_allclose(ratios, [0.2, 0.4, 0.6, 0.8, 1.0, 1.0], rtol=1e-5)


def test_the_schedule_by_epochs_is_the_official_codes():
    """Three epochs of seven batches: its rate in epoch e is 0.007 · (1 − e / (3 + 1))^0.9."""
    train = common.get_config().train
    train.schedule = "epoch"
    schedule = make_schedule(train, total_steps=21, steps_per_epoch=7)
    for step in range(21):
        assert float(schedule(step)) == pytest.approx(0.007 * (1 - (step // 7) / 4) ** 0.9, rel=1e-5)
    train.accumulate = 2
    halved = make_schedule(train, total_steps=21, steps_per_epoch=7)
    for step in range(10):
        assert float(halved(step)) == float(schedule(2 * step))


@pytest.mark.parametrize(
    "bad", [{"base": 0.0}, {"steps": 0}, {"every": 0}, {"warmup": 100}, {"warmup": -1}, {"power": 0.0}]
)
def test_a_schedule_that_cannot_work_is_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name):
        poly_schedule(**{"base": 0.1, "steps": 100} | bad)


def test_sgd_decays_before_the_momentum_as_pytorch_does():
    optimizer = make_optimizer(poly_schedule(0.1, 10**9), momentum=0.9, weight_decay=0.01)
    weight, velocity = 2.0, 0.0
    params = jnp.array(weight)
    state = optimizer.init(params)
    for gradient in (1.0, -0.5, 0.25):
        updates, state = optimizer.update(jnp.array(gradient), state, params)
        params = params + updates
        velocity = 0.9 * velocity + gradient + 0.01 * weight
        weight -= 0.1 * velocity
        assert float(params) == pytest.approx(weight, rel=1e-5)


def test_accumulated_batches_make_one_step_of_their_mean_gradient():
    schedule = poly_schedule(0.1, 10)
    params = jnp.array([1.0, 2.0])
    gradients = jax.random.normal(jax.random.key(0), (2, 2))
    whole, parts = make_optimizer(schedule), make_optimizer(schedule, accumulate=2)
    expected, _ = whole.update(gradients.mean(axis=0), whole.init(params), params)
    state = parts.init(params)
    first, state = parts.update(gradients[0], state, params)
    second, state = parts.update(gradients[1], state, params)
    np.testing.assert_array_equal(first, 0)
    np.testing.assert_allclose(second, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="accumulate"):
        make_optimizer(schedule, accumulate=0)


def test_muon_moves_every_direction_of_a_kernel_as_far_as_adamw_and_the_rest_by_adamw():
    shapes = {"kernel": (3, 3, 4, 16), "one_map": (2, 2, 8, 1), "scale": (16,)}
    keys = jax.random.split(jax.random.key(0), len(shapes))
    params = {name: jnp.ones(shape) for name, shape in shapes.items()}
    gradients = {name: jax.random.normal(key, shapes[name]) for name, key in zip(shapes, keys, strict=True)}
    # One direction has most of the gradient.
    gradients["kernel"] = gradients["kernel"] * 0.2 + 1.0
    muon = make_optimizer(poly_schedule(0.1, 10), kind="muon", weight_decay=0.0)
    adamw = optax.nadamw(0.1, weight_decay=0.0)
    updates, by_adamw = (one.update(gradients, one.init(params), params)[0] for one in (muon, adamw))
    assert float(jnp.sqrt(jnp.mean(updates["kernel"] ** 2))) == pytest.approx(0.2 * 0.1, rel=0.3)
    directions = jnp.linalg.svd(updates["kernel"].reshape(-1, 16), compute_uv=False)
    assert float(directions.max() / directions.min()) < 2
    assert float(jnp.vdot(updates["kernel"], gradients["kernel"])) < 0
    for name in ("one_map", "scale"):
        np.testing.assert_allclose(updates[name], by_adamw[name], rtol=1e-5)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match=r"`optimizer` \(='adam'\) must be one of 'sgd', 'adamw', 'muon'"):
        make_optimizer(poly_schedule(0.1, 10), kind="adam")
