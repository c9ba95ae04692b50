"""Which checkpoints stay, which one is the best, and what comes back."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dbnet_jax.optimizer import KINDS, make_optimizer, poly_schedule
from dbnet_jax.sharding import data_mesh, replicated
from dbnet_jax.training.checkpoint import Checkpoints
from dbnet_jax.training.state import TrainState


def state(step: int, *, average: bool = False, width: int = 3, devices: int = 1) -> TrainState:
    """A state that remembers its step in every array."""
    variables = {"params": {"kernel": jnp.full(width, float(step))}, "batch_stats": {"mean": jnp.full(1, float(step))}}
    opt_state = optax.sgd(0.1, momentum=0.9).init(variables["params"])
    mean = jax.tree.map(lambda a: a + 0.5, variables) if average else None
    sharding = replicated(data_mesh(jax.devices()[:devices]))
    return jax.device_put(TrainState(jnp.int32(step), variables, opt_state, mean), sharding)


@contextlib.contextmanager
def recorded(compiled: list[str]) -> Iterator[None]:
    """What XLA compiles meanwhile, by jax's own count."""

    def note(event: str, *_: object, **__: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def kept(folder) -> list[int]:
    return sorted(int(path.name) for path in (folder / "checkpoints").glob("[0-9]*"))


def test_the_latest_and_the_best_stay_also_for_a_reader_that_comes_later(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, hmean in ((1, 0.2), (2, 0.5), (3, 0.3), (4, None), (5, 0.1), (6, 0.4)):
            checkpoints.save(state(step), hmean)
    assert kept(tmp_path) == [2, 5, 6]
    with Checkpoints(tmp_path) as checkpoints:
        best, step = checkpoints.restore_variables(state(0).variables, "best")
        latest, last = checkpoints.restore_variables(state(0).variables, "latest")
    assert (step, last) == (2, 6)
    np.testing.assert_array_equal(best["params"]["kernel"], 2)
    np.testing.assert_array_equal(latest["batch_stats"]["mean"], 6)


def test_a_run_that_was_never_scored_gives_its_latest(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(7))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_variables(state(0).variables, "best")[1] == 7


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimisers_state_comes_back(tmp_path, kind):
    optimizer = make_optimizer(poly_schedule(0.1, 10), kind=kind, accumulate=2)
    params = {"kernel": jnp.ones((3, 3, 2, 4)), "bias": jnp.ones(4)}
    fresh = optimizer.init(params)
    _, trained = optimizer.update(jax.tree.map(lambda a: a * 0.5, params), fresh, params)
    sharding = replicated(data_mesh(jax.devices()[:1]))
    saved, empty = (
        jax.device_put(TrainState(jnp.int32(1), {"params": params}, one, None), sharding) for one in (trained, fresh)
    )
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(saved)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(empty)
    assert restored is not None
    assert jax.tree.structure(restored) == jax.tree.structure(saved)
    jax.tree.map(np.testing.assert_array_equal, restored, saved)


def test_the_whole_state_comes_back_and_detection_takes_the_average(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(3, average=True))
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(state(0, average=True))
        variables, _ = checkpoints.restore_variables(state(0).variables, "latest")
    assert restored is not None
    assert jax.tree.structure(restored) == jax.tree.structure(state(3, average=True))
    jax.tree.map(np.testing.assert_array_equal, restored, state(3, average=True))
    np.testing.assert_array_equal(variables["params"]["kernel"], 3.5)


def test_eight_devices_save_without_compiling_anything_and_it_all_comes_back(tmp_path):
    # A width that no other test has: its programs are not compiled yet.
    saved = state(3, width=8 * 977, devices=8)
    compiled = []
    with Checkpoints(tmp_path) as checkpoints, recorded(compiled):
        checkpoints.save(saved)
    assert compiled == []
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(state(0, width=8 * 977, devices=8))
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(saved), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.sharding == b.sharding


def test_what_is_not_there_or_does_not_fit_is_named(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(state(0)) is None
        with pytest.raises(FileNotFoundError, match="no checkpoint"):
            checkpoints.restore_variables(state(0).variables)
        checkpoints.save(state(1))
        checkpoints.restore_variables(state(0).variables, "latest")
        with pytest.raises(ValueError, match=r"kernel: \(3,\) found, \(5,\) wanted"):
            checkpoints.restore(state(0, width=5))
        with pytest.raises(ValueError, match="'newest'"):
            checkpoints.restore_variables(state(0).variables, "newest")
