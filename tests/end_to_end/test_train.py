"""Whole runs: what they leave, how they stop, and that a killed one ends as if nothing had happened."""

import json
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from dbnet_jax.detector import Detector
from dbnet_jax.evaluation.evaluator import Evaluator
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training import checkpoint_files
from dbnet_jax.training.checkpoint import Checkpoints, has_checkpoint
from dbnet_jax.training.log import NonFiniteLoss, TrainLog
from dbnet_jax.training.preemption import Preemption
from dbnet_jax.weights.run_folder import load_config
from input_pipeline import from_config
from tests.helpers import tiny_run as tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    workdir = tmp_path_factory.mktemp("run")
    train_and_evaluate(tiny.config("evaluate_every=3"), workdir)
    return workdir


def test_a_run_leaves_its_config_metrics_scores_checkpoints_and_page(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert {"probability", "binary", "threshold", "learning_rate", "images_per_second"} <= lines[0].keys()
    assert [line["step"] for line in lines if "evaluation/hmean" in line] == [3, 6]
    summary = json.loads((run / "evaluation.json").read_text())
    assert summary.keys() == {
        *("precision", "recall", "hmean", "protocol", "images"),
        *("skipped", "problems", "messages"),
        *("by_size", "by_shape", "sweep", "best_box_threshold", "measured_with"),
    }
    assert summary["images"] == 4
    page = (run / "predictions/index.html").read_text()
    assert page.count("<article") == 2
    assert len(list((run / "checkpoints").glob("[0-9]*"))) in (2, 3)
    assert list((run / "tensorboard").iterdir())
    assert load_config(run).to_dict() == tiny.config("evaluate_every=3").to_dict()


def test_a_finished_run_started_again_only_scores(run):
    before = (run / "metrics.jsonl").read_text()
    assert train_and_evaluate(tiny.config("evaluate_every=3"), run) == json.loads((run / "evaluation.json").read_text())
    assert (run / "metrics.jsonl").read_text() == before


def test_another_architecture_is_refused_and_leaves_the_run_as_it_was(run):
    before = (run / "config.json").read_text()
    with pytest.raises(ValueError, match=r"(?s)another architecture.*bn1/mean: \(4,\) found, \(8,\) wanted"):
        train_and_evaluate(tiny.config("width=8"), run)
    assert (run / "config.json").read_text() == before


def test_the_detector_comes_back_from_the_workdir(run):
    detector = Detector.from_checkpoint(run, box_threshold=0.0, threshold=0.01, checkpoint="latest")
    found = detector.detect(np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8))
    assert len(found.polygons) == len(found.scores)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(detector._variables), tiny.weights(run))
    with pytest.raises(ValueError, match="box_treshold"):
        Detector.from_checkpoint(run, box_treshold=0.5)
    with pytest.raises(FileNotFoundError, match="no run"):
        Detector.from_checkpoint(run / "nowhere")


def test_a_loss_that_is_not_finite_stops_names_the_pictures_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(NonFiniteLoss, match=r"step [2-6]: .*synthetic_train_0000\d\d"):
        train_and_evaluate(tiny.config("learning_rate=1e25,checkpoint_every=1"), tmp_path)
    assert all(np.isfinite(array).all() for array in tiny.weights(tmp_path))


def test_the_path_without_tensorflow_learns_the_same(run, tmp_path):
    train_and_evaluate(tiny.config("pixels=device,canvas=(64,64)"), tmp_path)
    ours, theirs = ([line["loss"] for line in tiny.losses(folder)] for folder in (tmp_path, run))
    assert len(ours) == len(theirs) == 6
    # From the same weights: the losses differ by what borders and rounding differ.
    np.testing.assert_allclose(ours, theirs, rtol=0.05)


def test_a_killed_run_without_tensorflow_ends_with_the_weights_of_one_that_was_not(tmp_path):
    """In processes in which nobody has TensorFlow; the killed one goes on from pictures in the device's memory."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nfor name in ('tensorflow', 'tensorflow_datasets', 'array_record'):\n    sys.modules[name] = None\n"
    )
    # Checkpoints of odd steps hold a half-filled accumulation.
    extra = "steps=40,accumulate=2,checkpoint_every=7,pixels=device,canvas=(64,64)"

    def start(name: str, cache: str) -> subprocess.Popen[str]:
        path = {"PYTHONPATH": str(hidden)}
        return tiny.start(tmp_path / name, extra=f"{extra},cache={cache}", environment=path)

    killed = start("killed", "none")
    while not any((tmp_path / f"killed/checkpoints/{step}").exists() for step in (7, 14, 21)):
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert tiny.losses(tmp_path / "killed")[-1]["step"] < 40
    for process in (start("killed", "device"), start("whole", "none")):
        assert "hmean" in tiny.finish(process)
    whole_state, killed_state = (tiny.everything(tmp_path / name, extra) for name in ("whole", "killed"))
    assert len(whole_state) > 100
    jax.tree.map(np.testing.assert_array_equal, whole_state, killed_state)
    assert [line["step"] for line in tiny.losses(tmp_path / "killed")] == list(range(1, 41))


def test_sigterm_saves_and_the_same_command_goes_on_as_if_nothing_had_happened(run, tmp_path, monkeypatch, capsys):
    step_of = TrainLog.step

    def step_and_signal(self: TrainLog, step: int, *arguments: Any) -> None:
        step_of(self, step, *arguments)
        if step == 3:
            signal.raise_signal(signal.SIGTERM)

    def message(self: TrainLog, text: str) -> None:
        message_of(self, text)
        if "is saved" in text:
            assert has_checkpoint(tmp_path)

    message_of, write = TrainLog.message, checkpoint_files.write_digests
    monkeypatch.setattr(TrainLog, "step", step_and_signal)
    monkeypatch.setattr(TrainLog, "message", message)
    monkeypatch.setattr(checkpoint_files, "write_digests", lambda folder: (time.sleep(0.3), write(folder)))
    with pytest.raises(SystemExit) as stopped:
        train_and_evaluate(tiny.config("checkpoint_every=0"), tmp_path)
    assert stopped.value.code == 143
    assert "step 3 is saved" in capsys.readouterr().err
    assert [folder.name for folder in (tmp_path / "checkpoints").glob("[0-9]*")] == ["3"]
    train_and_evaluate(tiny.config("checkpoint_every=0"), tmp_path)
    assert "another config" not in capsys.readouterr().err
    assert [line["step"] for line in tiny.losses(tmp_path)] == [1, 2, 3, 4, 5, 6]
    jax.tree.map(np.testing.assert_array_equal, tiny.weights(run), tiny.weights(tmp_path))


def test_a_run_that_learned_nothing_leaves_no_checkpoint(tmp_path, monkeypatch):
    """Or the next one, with other initial weights, would go on from it."""

    def fail(*arguments: Any) -> Any:
        raise ValueError("no data")
        yield

    monkeypatch.setattr(from_config, "make_batches", fail)
    with pytest.raises(ValueError, match="no data"):
        train_and_evaluate(tiny.config(), tmp_path)
    assert not has_checkpoint(tmp_path)


def test_being_told_to_stop_is_acknowledged_at_once(capfd):
    with Preemption(lambda step: False) as preemption:
        signal.raise_signal(signal.SIGINT)
        assert "told once more, it ends" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert preemption.reached(1)
    assert preemption.exit_code == 130


def test_an_evaluation_that_fails_or_is_stopped_loses_no_step_and_is_made_up(run, tmp_path, monkeypatch):
    evaluate = Evaluator.run

    def fail(self: Evaluator, detector: Detector, between: Callable[[], None]) -> Any:
        raise RuntimeError("the evaluation failed")

    def stop(self: Evaluator, detector: Detector, between: Callable[[], None]) -> Any:
        signal.raise_signal(signal.SIGINT)
        return evaluate(self, detector, between)

    for how, error, text in ((fail, RuntimeError, "the evaluation failed"), (stop, SystemExit, "130")):
        monkeypatch.setattr(Evaluator, "run", how)
        with pytest.raises(error, match=text):
            train_and_evaluate(tiny.config("checkpoint_every=0,evaluate_every=3"), tmp_path)
        assert [folder.name for folder in (tmp_path / "checkpoints").glob("[0-9]*")] == ["3"]
    monkeypatch.setattr(Evaluator, "run", evaluate)
    train_and_evaluate(tiny.config("checkpoint_every=0,evaluate_every=3"), tmp_path)
    lines = list(map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()))
    assert [line["step"] for line in lines if "evaluation/hmean" in line] == [3, 6]
    with Checkpoints(tmp_path) as checkpoints:
        assert all(checkpoints.is_scored(step) for step in (3, 6))
    jax.tree.map(np.testing.assert_array_equal, tiny.weights(run), tiny.weights(tmp_path))


def test_an_unknown_protocol_is_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="protocol"):
        train_and_evaluate(tiny.config("protocol=IoU"), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()
