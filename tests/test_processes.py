"""Many hosts: two processes through `jax.distributed` are one run."""

import json
import pathlib
import signal
import subprocess
import time

import numpy as np
import tiny

from dbnet_jax.train import train_and_evaluate

# Plain SGD: AdamW divides by the root of tiny second moments, which blows the noise of a sum's order up.
EXTRA = "optimizer=sgd,learning_rate=0.001,ema_decay=0.0,steps=3"


def start_pair(workdir: pathlib.Path, extra: str) -> list[subprocess.Popen[str]]:
    """Two processes, one CPU device each, that share a workdir as two hosts share a bucket."""
    address = f"--coordinator=127.0.0.1:{tiny.free_port()}"
    return [
        tiny.start(workdir, address, "--num_processes=2", f"--process_id={index}", extra=extra) for index in range(2)
    ]


def test_two_processes_train_the_parameters_of_one_and_score_the_same(tmp_path):
    pair = start_pair(tmp_path / "two", EXTRA)
    for process in pair:
        tiny.finish(process)
    train_and_evaluate(tiny.config(EXTRA), tmp_path / "one")
    one, two = (tiny.weights(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    losses = [[json.loads(line)["loss"] for line in text if "loss" in line] for text in lines]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    scores = [json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two")]
    assert scores[0]["images"] == scores[1]["images"] == 4


def test_sigterm_to_one_process_saves_on_both_and_the_pair_resumes(tmp_path):
    # The path without TensorFlow, which starts sooner; the other test takes the other one.
    never = "checkpoint_every=100000,evaluate_every=100000,picture_every=100000,render=device,canvas=(64,64)"
    pair = start_pair(tmp_path, f"steps=100000,{never}")
    metrics = tmp_path / "metrics.jsonl"
    while not metrics.exists() or not metrics.read_text():
        assert all(process.poll() is None for process in pair), [process.communicate()[0] for process in pair]
        time.sleep(0.05)
    pair[1].send_signal(signal.SIGTERM)
    outputs = [tiny.finish(process, code=143) for process in pair]
    (saved,) = (int(folder.name) for folder in (tmp_path / "checkpoints").glob("[0-9]*"))
    assert f"step {saved} is saved" in outputs[0]
    for process in start_pair(tmp_path, f"steps={saved + 2},{never}"):
        tiny.finish(process)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines() if "loss" in line]
    assert steps == list(range(1, saved + 3))
