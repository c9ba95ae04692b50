"""Tests of samples that other processes make: the same ones, with the same errors, and nothing is left running."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from configs import common
from dbnet_jax.decode import BadPicture
from input_pipeline.datasets.in_processes import InProcesses
from input_pipeline.datasets.sample import Sample
from input_pipeline.datasets.scenes.dataset import SceneDataset
from input_pipeline.from_config import open_split


class Picky:
    """A data set whose third picture is bad and whose fourth takes its process down."""

    problems = ("labels.txt:1: odd",)

    def __len__(self):
        return 4

    def name(self, index):
        return f"picture_{index}"

    def __getitem__(self, index):
        if index == 2:
            raise BadPicture("picture_2: cut short")
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return Sample(self.name(index), np.full((2, 2, 3), os.getpid() % 251, np.uint8), [], [])


@pytest.fixture(scope="module")
def scenes():
    return SceneDataset(12, size=(128, 160), fonts="builtin", seed=5)


def test_samples_are_the_same_from_any_thread(scenes):
    pooled = InProcesses(scenes, 2)
    assert len(pooled) == 12
    assert pooled.problems == scenes.problems
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(pooled.__getitem__, range(12)))
    for index, sample in enumerate(made):
        expected = scenes[index]
        assert sample.name == pooled.name(index) == expected.name
        np.testing.assert_array_equal(sample.image, expected.image)
        assert list(map(bytes, sample.polygons)) == list(map(bytes, expected.polygons))
        assert (sample.texts, sample.ignore) == (expected.texts, expected.ignore)
    with pytest.raises(IndexError, match="12"):
        pooled[12]
    pooled.close()


def test_errors_come_back_and_a_lost_process_is_told():
    pooled = InProcesses(Picky(), 1)
    assert pooled[0].image[0, 0, 0] != os.getpid() % 251 or os.getpid() % 251 == 0
    with pytest.raises(BadPicture, match="picture_2: cut short"):
        pooled[2]
    assert pooled[1].name == "picture_1"
    with pytest.raises(RuntimeError, match="process"):
        pooled[3]
    pooled.close()


def test_no_processes_are_refused(scenes):
    with pytest.raises(ValueError, match=r"render_processes` \(=0\)"):
        InProcesses(scenes, 0)


PROGRAM = """
import sys, time
from input_pipeline.datasets.in_processes import InProcesses
from input_pipeline.datasets.scenes.dataset import SceneDataset
from input_pipeline.from_config import open_split

if __name__ == "__main__":
    pooled = InProcesses(SceneDataset(4, size=(128, 128), fonts="builtin"), 1)
    pooled[0]
    print(*pooled._pool._processes, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks for processes as POSIX does")
@pytest.mark.parametrize("ending", ["by itself", "killed"])
def test_nothing_is_left_running(tmp_path, ending):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), "wait" if ending == "killed" else "end"]
    root = pathlib.Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
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
