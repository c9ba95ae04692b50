"""A run's checkpoints and metrics in a bucket: what a kill leaves, and that nothing written is lost."""

import json

import jax
import numpy as np
import pytest

from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training import metrics as metrics_module
from dbnet_jax.training.checkpoint import Checkpoints, has_checkpoint
from dbnet_jax.training.metrics import MetricsLog
from tests.helpers import tiny_run as tiny
from tests.helpers.buckets import contents
from tests.training.test_checkpoint import kept, state
from tests.training.test_metrics import _events


def assert_restored(workdir, step: int) -> None:
    with Checkpoints(workdir) as checkpoints:
        found = checkpoints.restore(state(0))
    assert found is not None
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(found), jax.tree.leaves(state(step)))


def test_the_latest_and_the_best_stay_and_come_back(bucket):
    assert not has_checkpoint(bucket)
    for scores in (((1, 0.2), (2, 0.5), (3, 0.3)), ((4, None), (5, 0.1), (6, None))):  # in two processes
        with Checkpoints(bucket, keep=2) as checkpoints:
            for step, hmean in scores:
                checkpoints.save(state(step), hmean)
    assert kept(bucket) == [2, 5, 6]
    with Checkpoints(bucket) as checkpoints:
        checkpoints.restore(state(0))
        checkpoints.save(state(6), 0.9)  # adds its score
        best, step = checkpoints.restore_variables(state(0).variables, "best")
    assert step == 6
    np.testing.assert_array_equal(best["params"]["kernel"], 6)
    assert json.loads((bucket / "checkpoints/6/metrics/metrics").read_bytes()) == {"hmean": 0.9}
    assert_restored(bucket, 6)


def test_what_a_kill_left_of_a_save_is_no_checkpoint_and_the_next_save_removes_it(bucket):
    with Checkpoints(bucket) as checkpoints:
        checkpoints.save(state(1))
    checkpoints, whole = bucket / "checkpoints", contents(bucket / "checkpoints/1")
    # The marks of a complete checkpoint are written last.
    for name, content in whole.items():
        if name not in ("digests.json", "commit_success.txt"):
            (checkpoints / "2" / name).write_bytes(content)
    (checkpoints / "3/model/d/part").write_bytes(b"part")
    assert_restored(bucket, 1)
    with Checkpoints(bucket) as saving:
        saving.restore(state(0))
        saving.save(state(2))
    assert kept(bucket) == [1, 2]
    assert_restored(bucket, 2)


@pytest.mark.parametrize("damaged", ["model/d", "training/manifest.ocdbt"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_is_kept_aside(bucket, damaged, caplog):
    with Checkpoints(bucket) as checkpoints:
        for step in (1, 2):
            checkpoints.save(state(step))
    files = [name for name in contents(bucket / "checkpoints/2") if name.startswith(damaged)]
    (bucket / "checkpoints/2" / files[0]).unlink()
    before = contents(bucket / "checkpoints/2")
    assert_restored(bucket, 1)
    assert f"step 2 in {bucket}/checkpoints is damaged: {files[0]} is missing" in caplog.text
    assert contents(bucket / "checkpoints/2.damaged") == before
    with Checkpoints(bucket) as checkpoints:
        checkpoints.restore(state(0))
        checkpoints.save(state(2))
    assert_restored(bucket, 2)


def test_metrics_are_not_appended_to_and_a_kill_loses_no_line_of_a_checkpoint(bucket, monkeypatch):
    killed = MetricsLog(bucket, resume_step=0)
    for step in (1, 2, 3):
        killed.scalars(step, {"loss": step / 10})
    killed.flush()
    killed.scalars(4, {"loss": 0.4})  # and it is killed: nothing is closed
    monkeypatch.setattr(metrics_module, "_LARGE", 20)
    with MetricsLog(bucket, resume_step=2) as log:
        for step in (3, 4, 5):
            log.scalars(step, {"loss": 9.0})
    lines = [json.loads(line) for line in (bucket / "metrics.jsonl").read_bytes().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 0.1), (2, 0.2), (3, 9.0), (4, 9.0), (5, 9.0)]
    pytest.importorskip("tensorboardX")
    resumed = sorted((bucket / "tensorboard").glob("*.from2*"))
    assert len(resumed) > 1  # a large object is not written anew for ever
    shown = [event for file in resumed for event in _events(file) if event.summary.value]
    assert [(event.step, event.summary.value[0].simple_value) for event in shown] == [(3, 9.0), (4, 9.0), (5, 9.0)]


def test_training_in_another_bucket_is_refused_at_once():
    with pytest.raises(
        ValueError, match=r"`workdir` \(='s3://bucket/run'\).*Orbax saves no checkpoint.*copy it there afterwards"
    ):
        train_and_evaluate(tiny.config(), "s3://bucket/run")
