"""Many hosts: two processes through `jax.distributed` are one run."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

from dbnet_jax.train import train_and_evaluate
from tests.helpers import tiny_run as tiny
from tests.helpers.paths import ROOT

# Plain SGD: AdamW divides by the root of tiny second moments, which blows the noise of a sum's order up.
EXTRA = "optimizer=sgd,learning_rate=0.001,ema_decay=0.0,steps=3"


def start_pair(workdir: pathlib.Path, extra: str) -> list[subprocess.Popen[str]]:
    """Two processes, one CPU device each, that share a workdir as two hosts share a bucket."""
    address = f"--coordinator=127.0.0.1:{tiny.free_port()}"
    return [
        tiny.start(workdir, address, "--num_processes=2", f"--process_id={index}", extra=extra) for index in range(2)
    ]


def test_two_processes_train_what_one_does_and_go_on_when_one_is_killed_or_told_to_stop(tmp_path):
    for process in start_pair(tmp_path / "two", EXTRA):
        tiny.finish(process)
    train_and_evaluate(tiny.config(EXTRA), tmp_path / "one")
    one, two = (tiny.weights(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    one, two = ([line["loss"] for line in tiny.losses(tmp_path / name)] for name in ("one", "two"))
    np.testing.assert_allclose(one, two, rtol=1e-5)
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two"))
    assert one["images"] == two["images"] == 4
    assert_a_kill_resumes_all_and_a_signal_to_one_saves_on_both(tmp_path / "two")


def assert_a_kill_resumes_all_and_a_signal_to_one_saves_on_both(workdir: pathlib.Path) -> None:
    """A pair goes on from the three steps of the last one; by the path without TensorFlow, which that did not take."""
    # Nothing but a signal makes it save.
    never = "steps=100000,checkpoint_every=100000,evaluate_every=100000,picture_every=100000"
    fields = f"{tiny.FIELDS},{EXTRA},{never},pixels=device,canvas=(64,64)"
    command = [sys.executable, "run.py", f"--config=configs/quickstart.py:{fields}", f"--workdir={workdir}"]
    launch = subprocess.Popen(
        [sys.executable, "scripts/launch_local.py", "--restarts=1", "2", *command],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    _, killed = reach(launch, workdir, steps=5)
    before = tiny.losses(workdir)
    os.kill(killed, signal.SIGKILL)
    _, told = reach(launch, workdir, steps=5)
    assert told != killed
    again = tiny.losses(workdir)
    # Not a bit differs in the steps that were taken twice.
    assert [line["loss"] for line in again[:5]] == [line["loss"] for line in before[:5]]
    os.kill(told, signal.SIGINT)  # it tells both by SIGTERM
    output = tiny.finish(launch, code=143)
    saved = max(int(folder.name) for folder in (workdir / "checkpoints").glob("[0-9]*"))
    assert f"step {saved} is saved" in output
    assert [line["step"] for line in tiny.losses(workdir)] == list(range(1, saved + 1))
    assert all(np.isfinite(array).all() for array in tiny.weights(workdir))


def reach(launch: subprocess.Popen[str], workdir: pathlib.Path, steps: int) -> list[int]:
    """The processes of the next attempt, when it has resumed and taken some steps."""
    assert launch.stdout is not None
    printed = []
    for line in launch.stdout:
        printed.append(line)
        if line.startswith("launch: processes "):
            processes = [int(word) for word in line.split()[2:]]
        if line.startswith("step 3/"):  # the lines of later steps are dropped by now
            break
    while len(tiny.losses(workdir)) < steps:
        assert launch.poll() is None, printed
        time.sleep(0.05)
    return processes
