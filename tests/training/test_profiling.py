"""Profiles of training steps: which steps are in them, and that they are written however a run ends."""

import contextlib
import gzip
import json
import os
import pathlib

import jax
import jax.numpy as jnp
import pytest

from dbnet_jax.training.profiling import Profile, parse_window


@pytest.mark.parametrize("text", ["10", "0:5", "5:5", "6:5", "1:102", "1:2:3", " 1:2", "1.5:2", "-1:2", "1:", "²:³"])
def test_what_is_no_window_is_refused_with_the_field_and_its_value(text):
    with pytest.raises(ValueError, match=r"`config.train.profile_steps` \(='.*'\) must be START:END as in 10:15"):
        parse_window(text)


def test_windows():
    assert [parse_window(text) for text in ("", "10:15", "1:101")] == [None, (10, 15), (1, 101)]


def take_steps(profile: Profile, steps: range, stop: int | None = None) -> None:
    with profile:
        for step in steps:
            with profile.step(step):
                if step == stop:
                    raise SystemExit(143)
                jnp.ones(step).sum().block_until_ready()


def traced_steps(file: pathlib.Path) -> list[int]:
    """The numbers of the steps in a trace."""
    with gzip.open(file) as content:
        events = json.load(content)["traceEvents"]
    return [int(event["args"]["step_num"]) for event in events if event.get("name") == "train"]


@pytest.mark.parametrize("stop", [None, 43, 45])  # 43 is inside the window
def test_the_window_counts_the_steps_of_this_process_and_is_written_however_the_run_ends(tmp_path, stop):
    waits, messages = [], []
    profile = Profile(tmp_path, "2:4", lambda: waits.append(1), messages.append)
    with pytest.raises(SystemExit) if stop else contextlib.nullcontext():
        take_steps(profile, range(40, 50), stop)
    folder = tmp_path / "tensorboard/plugins/profile/steps_42_43"
    assert messages == [f"profile: {folder}"]
    assert list(folder.glob("*.xplane.pb"))
    (file,) = folder.glob("*.trace.json.gz")
    assert traced_steps(file) == [42, 43]
    # What the devices do of earlier steps must not be in it, and what they do of its own must.
    assert len(waits) == (1 if stop == 43 else 2)


def test_each_of_many_processes_writes_its_own(tmp_path, monkeypatch):
    """Those on one host would otherwise write the same file."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    take_steps(Profile(tmp_path, "1:2", lambda: None, print), range(1, 4))
    assert os.listdir(tmp_path / "tensorboard/plugins/profile") == ["steps_2_2_process_1"]


def test_a_run_that_ends_before_the_window_says_so(tmp_path):
    messages = []
    take_steps(Profile(tmp_path, "5:7", lambda: None, messages.append), range(1, 4))
    assert messages == ["no profile: the run took 3 steps, and the profile starts after more"]
    assert not os.listdir(tmp_path)
    take_steps(Profile(tmp_path, "", lambda: None, messages.append), range(1, 4))
    assert len(messages) == 1


def test_a_second_profile_at_a_time_is_a_warning_and_ends_no_training(tmp_path, caplog):
    jax.profiler.start_trace(tmp_path / "own")
    try:
        take_steps(Profile(tmp_path, "1:2", lambda: None, print), range(1, 4))
    finally:
        jax.profiler.stop_trace()
    assert "no profile" in caplog.text
    assert os.listdir(tmp_path) == ["own"]
