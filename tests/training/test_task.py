"""The seam between tasks: a second task trains, is killed, resumes, is evaluated and exported by the same code."""

import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from dbnet_jax.export import export_run
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.checkpoint import Checkpoints
from dbnet_jax.training.task import get_task, task_of
from dbnet_jax.weights.file import load_weights
from dbnet_jax.weights.run_folder import load_config, restore_checkpoint
from tests.helpers import toy_task
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the toy task, in one go, and what it returned."""
    folder, config = tmp_path_factory.mktemp("toy"), toy_task.config()
    config.train.profile_steps = "3:5"
    return folder, train_and_evaluate(config, folder)


def start(folder):
    command = [sys.executable, "-m", "tests.helpers.toy_task", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"JAX_NUM_CPU_DEVICES": "8"})


def test_it_learns_and_its_best_checkpoint_is_by_its_own_metric(run):
    folder, found = run
    assert found["nearness"] > 0.8
    with Checkpoints(folder, metric="nearness") as checkpoints:
        scores = {step: checkpoints._manager.metrics(step)["nearness"] for step in (12, 24)}
        assert checkpoints._manager.best_step() == max(scores, key=scores.get)
    assert found["nearness"] == max(scores.values())
    assert list((folder / "tensorboard/plugins/profile/steps_4_5").glob("*.xplane.pb"))


def test_killed_and_started_again_it_ends_with_the_same_bits(run, tmp_path):
    killed = start(tmp_path)
    for _ in range(600):
        saved = any((tmp_path / "checkpoints" / str(step)).is_dir() for step in (4, 6, 8, 10, 12))
        if saved or killed.poll() is not None:
            break
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert start(tmp_path).wait(timeout=120) == 0
    variables = [restore_checkpoint(toy_task.config(), folder)[0] for folder in (run[0], tmp_path)]
    jax.tree.map(np.testing.assert_array_equal, *variables)


def test_its_weights_are_exported_with_its_config_and_a_card(run, tmp_path):
    folder, found = run
    config = load_config(folder)
    assert (task_of(config).name, config.model.slope) == ("toy", 2.0)
    exported = export_run(folder, tmp_path / "line.safetensors", config)
    weights = load_weights(exported.file)
    assert weights.config.task == "toy"
    assert weights.card.scores[0].metrics == {"nearness": found["nearness"]}
    assert f"| {found['nearness']:.3f} |" in exported.card.read_text()
    kernel = restore_checkpoint(config, folder)[0]["params"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(weights.variables["params"]["Dense_0"]["kernel"], kernel, rtol=1e-3)


def test_a_new_run_starts_from_its_weights(run, tmp_path):
    config = toy_task.config()
    config.init.checkpoint, config.train.steps, config.train.learning_rate = str(run[0]), 1, 1e-12
    train_and_evaluate(config, tmp_path)
    one, other = (restore_checkpoint(config, folder)[0]["params"]["Dense_0"]["bias"] for folder in (run[0], tmp_path))
    np.testing.assert_array_equal(one, other)


def test_what_its_config_cannot_do_and_unknown_tasks_are_refused(tmp_path):
    config = toy_task.config()
    config.model.slope = 0.0
    with pytest.raises(ValueError, match="slope"):
        train_and_evaluate(config, tmp_path)
    names = r"`config.task` \(='reading'\) must be one of \('detection', 'recognition', 'toy'\)"
    with pytest.raises(ValueError, match=names):
        get_task("reading")
