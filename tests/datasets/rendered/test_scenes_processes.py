"""Tests of samples that other processes make: the same ones, with the same errors, and nothing is left running."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import numpy as np
import pytest

from configs import common
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset
from input_pipeline.datasets.sample import Sample
from input_pipeline.datasets.wrappers.in_processes import InProcesses
from input_pipeline.from_config import open_split
from tests.helpers.numbered import Numbered
from tests.helpers.paths import ROOT
from tests.helpers.problems import said
from tests.helpers.scenes import same


class Picky(Numbered):
    """A data set whose third picture is bad and whose last two take their process down, one in the midst of telling."""

    def __init__(self):
        super().__init__(5)
        self.problems = [Problem("labels.txt:1", "odd")]

    def name(self, index):
        return f"picture_{index}"

    def __getitem__(self, index):
        if index == 2:
            raise BadPicture("picture_2: cut short")
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 4:
            Connection._send = send_half
        return Sample(self.name(index), np.full((2, 2, 3), os.getpid() % 251, np.uint8), [], [])


def send_half(connection, message):
    os.write(connection.fileno(), message[: len(message) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def scenes():
    return SceneDataset(12, size=(128, 160), fonts="builtin", seed=5)


def test_samples_are_the_same_from_any_thread(scenes):
    pooled = InProcesses(scenes, 2)
    assert len(pooled) == 12
    assert said(pooled) == said(scenes)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(pooled.__getitem__, range(12)))
    for index, sample in enumerate(made):
        assert sample.name == pooled.name(index)
        assert same(sample, scenes[index])
    with pytest.raises(IndexError, match="12"):
        pooled[12]
    pooled.close()


def test_errors_come_back():
    pooled = InProcesses(Picky(), 1)
    assert pooled[0].image[0, 0, 0] != os.getpid() % 251 or os.getpid() % 251 == 0
    with pytest.raises(BadPicture, match="picture_2: cut short"):
        pooled[2]
    assert pooled[1].name == "picture_1"
    pooled.close()


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals processes as POSIX does")


@posix
@pytest.mark.parametrize("index", [3, 4], ids=["at work", "while it answers"])
def test_a_lost_process_is_told_at_once_and_to_all_who_wait(index):
    pooled = InProcesses(Picky(), 1)
    told = []

    def ask():
        try:
            pooled[index]
        except RuntimeError as error:
            told.append(str(error))

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(20)
    assert len(told) == 3
    assert all(f"render_processes` ended (exit code -9) while it made sample {index}" in error for error in told)
    pooled.close()


@posix
def test_signals_to_all_processes_of_a_run_are_the_asking_ones():
    pooled = InProcesses(Picky(), 2)
    # At once, when they import what they need, and when they wait for a question.
    for index in range(2):
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGTERM)
            os.kill(worker.pid, signal.SIGINT)
        with ThreadPoolExecutor(2) as threads:
            assert [made.name for made in threads.map(pooled.__getitem__, [index] * 6)] == [f"picture_{index}"] * 6
    assert len(multiprocessing.active_children()) == 2
    pooled.close()
    assert not multiprocessing.active_children()


def test_a_data_set_that_is_let_go_ends_its_processes():
    pooled = InProcesses(Picky(), 1)
    assert pooled[0].name == "picture_0"
    del pooled
    assert not multiprocessing.active_children()


def test_no_processes_are_refused(scenes):
    with pytest.raises(ValueError, match=r"render_processes` \(=0\)"):
        InProcesses(scenes, 0)


PROGRAM = """
import multiprocessing, sys, time
from input_pipeline.datasets.wrappers.in_processes import InProcesses
from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset
from input_pipeline.from_config import open_split

if __name__ == "__main__":
    pooled = InProcesses(SceneDataset(4, size=(128, 128), fonts="builtin"), 1)
    pooled[0]
    print(multiprocessing.active_children()[0].pid, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
"""


@posix
@pytest.mark.parametrize("ending", ["by itself", "killed"])
def test_nothing_is_left_running(tmp_path, ending):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), "wait" if ending == "killed" else "end"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Python's own tidying up after a process that was killed says so.
    errors = subprocess.DEVNULL if ending == "killed" else None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as running:
        assert running.stdout is not None
        worker = int(running.stdout.readline())
        if ending == "killed":
            running.kill()
    assert running.returncode == (-signal.SIGKILL if ending == "killed" else 0)
    deadline = time.monotonic() + 20
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(worker)


def is_running(process):
    """Whether it is there and no zombie that nobody waits for."""
    status = pathlib.Path(f"/proc/{process}/stat")
    if status.parent.parent.joinpath("self").exists():
        return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_config_says_how_many():
    config = common.get_config()
    config.data.update(
        {"name": "scenes", "fonts": "builtin", "picture_size": (128, 128), "train_pictures": 2, "eval_split": "test"}
    )
    config.data.render_processes = 1
    opened = open_split(config, "train")
    assert isinstance(opened, InProcesses)
    assert len(opened) == 2
    assert not isinstance(open_split(config, "eval"), InProcesses)
    opened.close()
