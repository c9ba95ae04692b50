"""One step on eight devices is the step of one device, and it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dbnet_jax.mesh import data_mesh, to_global
from dbnet_jax.models import create_model
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.train_state import TrainState, create_state
from dbnet_jax.train_step import make_train_step

MODEL = create_model("resnet18", width=4, inner_channels=8)


def random_batch(size: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (size, 64, 64)
    shrink = np.zeros(shape, np.float32)
    shrink[:, 20:40, 10:50] = 1
    image = (shrink[..., None] * 150 + rng.integers(0, 100, (*shape, 3))).astype(np.uint8)
    return {
        "image": image,
        "shrink_map": shrink,
        "shrink_mask": np.ones(shape, np.float32),
        "threshold_map": rng.uniform(0.3, 0.7, shape).astype(np.float32),
        "threshold_mask": shrink,
    }


def run(devices: int, steps: int, **options: float) -> tuple[TrainState, list[float]]:
    mesh = data_mesh(jax.devices()[:devices])
    optimizer = make_optimizer(poly_schedule(0.02, 100))
    state = create_state(MODEL, optimizer, 0, average=bool(options), mesh=mesh)
    step = make_train_step(
        MODEL, optimizer, mesh, normalization="imagenet", loss_options={"min_negatives": 100}, **options
    )
    batch, losses = to_global(mesh, random_batch()), []
    for _ in range(steps):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    return state, losses


def test_eight_devices_compute_the_step_of_one():
    assert len(jax.devices()) == 8
    (one, (loss_1,)), (eight, (loss_8,)) = run(1, 1), run(8, 1)
    assert loss_8 == pytest.approx(loss_1, rel=1e-5)
    for a, b in zip(jax.tree.leaves(one.variables), jax.tree.leaves(eight.variables), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_few_steps_on_one_batch_lower_the_loss_and_the_average_follows():
    state, losses = run(1, 12, ema_decay=0.9)
    assert losses[-1] < 0.8 * losses[0]
    assert int(state.step) == 12
    fresh, _ = run(1, 0, ema_decay=0.9)
    moved = {
        name: sum(
            np.abs(a - b).sum() for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(fresh.variables), strict=True)
        )
        for name, tree in (("weights", state.variables), ("average", state.average))
    }
    assert 0 < moved["average"] < moved["weights"]
    # The first step: rate 1 − min(0.9, (1 + 0) / (10 + 0)) = 0.9 of the way from the initial weights.
    first, _ = run(1, 1, ema_decay=0.9)
    for old, new, mean in zip(*map(jax.tree.leaves, (fresh.variables, first.variables, first.average)), strict=True):
        np.testing.assert_allclose(mean, old + 0.9 * (new - old), rtol=1e-5, atol=1e-6)
    assert state.inference_variables() is state.average


def test_the_state_is_donated():
    mesh = data_mesh(jax.devices()[:1])
    optimizer = make_optimizer(poly_schedule(0.02, 100))
    state = create_state(MODEL, optimizer, 0, average=False, mesh=mesh)
    step = make_train_step(MODEL, optimizer, mesh, normalization="imagenet", loss_options={})
    step(state, to_global(mesh, random_batch(1)))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.variables))


def test_a_bfloat16_step_keeps_the_state_in_float32_and_its_loss_close():
    mesh = data_mesh(jax.devices()[:1])
    optimizer = make_optimizer(poly_schedule(0.02, 100))
    losses = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        model = create_model("resnet18", width=4, inner_channels=8, dtype=dtype)
        state = create_state(model, optimizer, 0, average=False, mesh=mesh)
        step = make_train_step(model, optimizer, mesh, normalization="imagenet", loss_options={})
        state, metrics = step(state, to_global(mesh, random_batch(2)))
        losses[dtype] = float(metrics["loss"])
        kinds = {leaf.dtype for leaf in jax.tree.leaves((state.variables, state.opt_state))}
        assert kinds <= {jnp.dtype("float32"), jnp.dtype("int32")}
    assert losses[jnp.bfloat16] == pytest.approx(losses[jnp.float32], rel=0.05)
