"""Who asks hears when XLA compiles, and the step computes after that."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dbnet_jax.backends import steps
from dbnet_jax.backends.compilation import compiled_before, compiling, telling_of_compilation
from dbnet_jax.config.recognition import recognition_config
from tests.helpers import tiny_run as tiny


@pytest.fixture
def events():
    """What happened, in order: True and False of `telling_of_compilation`, and each program that XLA compiled."""
    found: list[object] = []

    def note(name: str, seconds: float, **about: object) -> None:
        if name.endswith("backend_compile_duration"):
            found.append("compiled")

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def step(variables, images, names):
    return {name: variables * images.astype(jnp.float32) for name in names}


def test_a_new_shape_is_compiled_before_the_step_computes_and_only_once(events):
    run, weight, names = compiled_before(jax.jit(step, static_argnums=2)), jnp.float32(3), ("map",)
    small, wide = np.ones((2, 4), np.uint8), np.ones((2, 6), np.uint8)
    events.clear()
    assert run(weight, small, names)["map"].sum() == 24
    events.clear()
    with telling_of_compilation(events.append):
        for images in (small, wide, wide):
            answer = run(weight, images, names)["map"]
            events.append(float(np.asarray(answer).sum()))
        assert events == [24, True, "compiled", False, 36, 36]
        run(weight, wide, ("map", "other"))
        assert events[-3:] == [True, "compiled", False]
    events.clear()
    run(weight, wide[:1], names)
    assert events == ["compiled"]


def test_threads_that_compile_at_once_are_told_of_as_one(events):
    both = threading.Barrier(2)

    def work() -> None:
        with compiling():
            both.wait(10)

    with telling_of_compilation(events.append):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert events == [True, False]


@pytest.mark.parametrize("task", ["detection", "recognition"])
def test_the_steps_of_detectors_and_recognisers_say_it(events, monkeypatch, task):
    plain = jax.jit(step, static_argnums=2)
    if task == "detection":
        monkeypatch.setattr(steps, "make_eval_step", lambda *_: plain)
        run = steps.detection_step(tiny.config())
    else:
        run = steps.recognition_step(recognition_config(), nn.Dense(1), lambda: plain)
    with telling_of_compilation(events.append):
        run(np.float32(1), np.ones((1, 5), np.uint8), ("map",))
    assert [event for event in events if event != "compiled"] == [True, False]
