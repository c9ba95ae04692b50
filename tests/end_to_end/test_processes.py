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


def test_two_processes_train_what_one_does_and_a_second_pair_goes_on_until_one_is_told_to_stop(tmp_path):
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
    assert_a_signal_to_one_saves_on_both(tmp_path / "two")


def assert_a_signal_to_one_saves_on_both(workdir: pathlib.Path) -> None:
    """A pair goes on from the three steps of the last one; by the path without TensorFlow, which that did not take."""
    # Nothing but the signal makes it save.
    never = "steps=100000,checkpoint_every=100000,evaluate_every=100000,picture_every=100000"
    pair = start_pair(workdir, f"{EXTRA},{never},pixels=device,canvas=(64,64)")
    while len(tiny.losses(workdir)) < 5:
        assert all(process.poll() is None for process in pair), [process.communicate()[0] for process in pair]
        time.sleep(0.05)
    pair[1].send_signal(signal.SIGINT)  # it tells both by SIGTERM
    outputs = [tiny.finish(process, code=143) for process in pair]
    saved = max(int(folder.name) for folder in (workdir / "checkpoints").glob("[0-9]*"))
    assert f"step {saved} is saved" in outputs[0]
    assert [line["step"] for line in tiny.losses(workdir)] == list(range(1, saved + 1))
    assert all(np.isfinite(array).all() for array in tiny.weights(workdir))


def test_a_process_that_is_killed_ends_the_others_and_all_resume_with_the_same_steps(tmp_path):
    command = [sys.executable, "-m", "tests.helpers.toy_task", str(tmp_path)]
    launch = subprocess.Popen(
        [sys.executable, "scripts/launch_local.py", "--restarts=1", "2", *command],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "TOY_SECONDS": "0.1"},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert launch.stderr is not None
    processes = launch.stderr.readline().removeprefix("launch: processes ").split()
    while not (tmp_path / "metrics.jsonl").exists() or len(before := tiny.losses(tmp_path)) < 7:
        assert launch.poll() is None, launch.stderr.read()
        time.sleep(0.02)
    os.kill(int(processes[1]), signal.SIGKILL)
    _, printed = launch.communicate(timeout=240)
    assert launch.returncode == 0, printed
    assert printed.count("launch: processes ") == 1
    after = tiny.losses(tmp_path)
    assert [line["step"] for line in after] == list(range(1, 25))
    # Not a bit differs in the steps that were taken twice.
    assert [line["loss"] for line in after[: len(before)]] == [line["loss"] for line in before]
