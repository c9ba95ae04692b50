"""Damaged checkpoints give way to the next one, and nothing is called saved that is not."""

import errno
import json
import math
import os
import pathlib
import shutil
import time

import jax
import numpy as np
import pytest

from dbnet_jax.train import saved_if_it_fails
from dbnet_jax.training import checkpoint_files, checkpoint_reading
from dbnet_jax.training.checkpoint import CheckpointNotSaved, Checkpoints
from dbnet_jax.training.checkpoint_files import DamagedCheckpoint
from dbnet_jax.training.log import FiniteCheck, TrainLog
from dbnet_jax.training.state import TrainState
from tests.training.test_checkpoint import state


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.glob("*/**/*") if path.is_file() and path.stat().st_size)


def flip(file: pathlib.Path, rng: np.random.Generator) -> None:
    """Flips one bit of a file."""
    content = bytearray(file.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    file.write_bytes(content)


def empty(folder: pathlib.Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def cut(folder: pathlib.Path) -> None:
    for file in files(folder):
        os.truncate(file, min(10, file.stat().st_size - 1))


def zeros(folder: pathlib.Path) -> None:
    for file in files(folder):
        file.write_bytes(bytes(file.stat().st_size))


DAMAGES = {
    "an empty folder": empty,
    "cut": cut,
    "zeros": zeros,
    "no data": lambda folder: [file.unlink() for file in folder.rglob("d/*")],
    "no average": lambda folder: shutil.rmtree(folder / "average"),
    "no digests": lambda folder: (folder / "digests.json").write_text("{"),
    "another score": lambda folder: (folder / "metrics/metrics").write_text('{"hmean": 0.99}'),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}
OF_EARLIER_VERSIONS = ("an empty folder", "cut", "zeros", "no data", "no average")
CASES = [(name, True) for name in DAMAGES] + [(name, False) for name in OF_EARLIER_VERSIONS]


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> pathlib.Path:
    """A run with checkpoints of the steps 1, 2 and 3, which is the best one."""
    folder = tmp_path_factory.mktemp("three")
    with Checkpoints(folder, keep=3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(state(step, average=True), step / 10)
    return folder


@pytest.fixture
def run(three, tmp_path) -> pathlib.Path:
    return shutil.copytree(three, tmp_path / "run")


def without_digests(run: pathlib.Path) -> None:
    """As an earlier version saved them."""
    for file in list(run.rglob("digests.json")):
        file.unlink()


@pytest.mark.parametrize(("damage", "digests"), CASES)
def test_the_one_before_is_used_and_the_damaged_step_is_saved_again(run, damage, digests, caplog):
    if not digests:
        without_digests(run)
    DAMAGES[damage](run / "checkpoints/3")
    with Checkpoints(run) as checkpoints:
        variables, step = checkpoints.restore_variables(state(0).variables)
    assert step == 2
    np.testing.assert_array_equal(variables["params"]["kernel"], 2.5)
    assert checkpoint_files.saved_steps(run / "checkpoints") == [3, 2, 1]  # who only reads leaves all as it was
    before = [record.getMessage() for record in caplog.records]
    assert len(before) == 2
    assert "the checkpoint of step 3 in" in before[0]
    assert before[1] == "the checkpoint of step 2 is used"
    with Checkpoints(run) as checkpoints:
        restored = checkpoints.restore(state(0, average=True))
        checkpoints.save(state(3, average=True))
    jax.tree.map(np.testing.assert_array_equal, restored, state(2, average=True))
    assert (run / "checkpoints/3.damaged").exists()
    with Checkpoints(run) as checkpoints:
        assert int(checkpoints.restore(state(0, average=True)).step) == 3


def test_no_flipped_bit_is_read(run):
    rng, saved = np.random.default_rng(0), files(run / "checkpoints/3")
    assert {file.relative_to(run / "checkpoints/3").parts[0] for file in saved} == {
        *("model", "average", "training", "metrics")
    }
    for file in [saved[index] for index in rng.permutation(len(saved))[:20]]:
        whole = file.read_bytes()
        flip(file, rng)
        with pytest.raises(DamagedCheckpoint, match=file.name):
            checkpoint_files.check_files(run / "checkpoints/3", ("model", "average", "training"))
        file.write_bytes(whole)
    checkpoint_files.check_files(run / "checkpoints/3", ("model", "average", "training"))


def test_checkpoints_of_earlier_versions_load_without_digests(run):
    without_digests(run)
    with Checkpoints(run) as checkpoints:
        assert checkpoints.restore_variables(state(0).variables)[1] == 3
        restored = checkpoints.restore(state(0, average=True))
    jax.tree.map(np.testing.assert_array_equal, restored, state(3, average=True))
    assert checkpoint_files.saved_steps(run / "checkpoints") == [3, 2, 1]


@pytest.mark.parametrize("digests", [True, False])
def test_weights_without_the_optimisers_state_are_enough_to_detect_with(run, digests):
    if not digests:
        without_digests(run)
    shutil.rmtree(run / "checkpoints/3/training")
    with Checkpoints(run) as checkpoints:
        assert checkpoints.restore_variables(state(0).variables)[1] == 3
        assert int(checkpoints.restore(state(0, average=True)).step) == 2


def test_where_all_are_damaged_each_is_listed_and_no_run_begins_anew(run):
    for step in (1, 2, 3):
        (run / f"checkpoints/{step}/training/_METADATA").write_bytes(b"\0")
    for step in (1, 2):
        (run / f"checkpoints/{step}/average/_METADATA").unlink()
    with Checkpoints(run) as checkpoints:
        with pytest.raises(DamagedCheckpoint, match=r"(?s)3: training/_METADATA has.*2: average.*missing.*1: average"):
            checkpoints.restore(state(0, average=True))
        # The optimiser's state is nothing to detect with.
        assert checkpoints.restore_variables(state(0).variables)[1] == 3
    assert checkpoint_files.saved_steps(run / "checkpoints") == [3, 2, 1]


def test_a_damaged_step_beside_one_that_was_damaged_before(run):
    for name in ("3.damaged", "3.damaged-2"):
        (run / "checkpoints" / name).mkdir()
    empty(run / "checkpoints/3")
    with Checkpoints(run) as checkpoints:
        checkpoints.restore(state(0, average=True))
    assert (run / "checkpoints/3.damaged-3").is_dir()


def test_the_only_checkpoint_gets_its_score_and_is_never_deleted(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state(1))
        checkpoints.wait()
        before = (tmp_path / "checkpoints/1/model").stat().st_ino
        checkpoints.save(state(1), 0.7)
        assert (tmp_path / "checkpoints/1/model").stat().st_ino == before
        assert checkpoints.is_scored(1)
        checkpoints.save(state(2))
        checkpoints.save(state(2), 0.5)  # while it is being written
    assert checkpoint_files.saved_steps(tmp_path / "checkpoints") == [2, 1]
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.restore_variables(state(0).variables)[1] == 1
        assert int(checkpoints.restore(state(0)).step) == 2
        assert checkpoints.is_scored(2)
        assert not checkpoints.damaged


def test_a_score_that_is_no_number_is_no_damage_and_not_the_best(tmp_path):
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for step, score in ((1, 0.1), (2, 0.2), (3, math.nan)):
            checkpoints.save(state(step), score)
        assert checkpoints.restore_variables(state(0).variables)[1] == 2
        assert not checkpoints.damaged


class Messages(TrainLog):
    """A log that keeps what it prints, with the checkpoints that there are at the time."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.lines = folder, []

    def message(self, text: str) -> None:
        self.lines.append(f"{text} {checkpoint_files.saved_steps(self.folder / 'checkpoints')}")


def no_space(folder: pathlib.Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_saved_is_printed_when_it_is_true(tmp_path, monkeypatch):
    write = checkpoint_files.write_digests
    monkeypatch.setattr(checkpoint_files, "write_digests", lambda folder: (time.sleep(0.3), write(folder)))
    messages = Messages(tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        for step in (3, 4):
            with (
                pytest.raises(ValueError, match="bad"),
                saved_if_it_fails(checkpoints, state(step), FiniteCheck(), messages),
            ):
                raise ValueError("bad")
            monkeypatch.setattr(checkpoint_files, "write_digests", no_space)
    assert messages.lines[0] == "stopped: step 3 is saved, and the same command goes on from there [3]"
    assert messages.lines[1].endswith(f"step 4 is not saved in {tmp_path / 'checkpoints'}: No space left on device [3]")
    assert len(messages.lines) == 2


def test_a_save_that_failed_is_an_error_in_one_line_and_leaves_what_was_there(tmp_path, monkeypatch, capfd, caplog):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1))
    monkeypatch.setattr(checkpoint_files, "write_digests", no_space)
    line = r"^step 2 is not saved in [^\n]*checkpoints: No space left on device$"

    def save(*states: TrainState, error: BaseException | None = None) -> None:
        with Checkpoints(tmp_path) as checkpoints:
            for each in states:
                checkpoints.save(each)
            if error:
                raise error

    for states in ([state(2)], [state(2), state(3)]):
        with pytest.raises(CheckpointNotSaved, match=line):
            save(*states)
    with pytest.raises(KeyError):  # the error that ends a run is not hidden
        save(state(2), error=KeyError())
    assert [record.getMessage().split(" in ")[0] for record in caplog.records] == ["step 2 is not saved"]
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.undo()
    with Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore(state(0)).step) == 1
        checkpoints.save(state(2))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1", "2"]


def test_the_digests_can_be_checked_by_other_programs(three):
    digests = json.loads((three / "checkpoints/3/digests.json").read_text())
    assert {name.partition("/")[0] for name in digests} == {"model", "average", "training", "metrics"}
    assert all(len(digest) == 64 for digest in digests.values())


def test_processes_that_read_other_steps_stop_and_nothing_is_renamed(run, monkeypatch):
    empty(run / "checkpoints/3")
    with Checkpoints(run) as checkpoints:
        for others, listed in ((3, "process 0: 3, process 1: 2"), (None, "process 0: none, process 1: 2")):
            monkeypatch.setattr(checkpoint_reading, "gather", lambda rows, step=others: [{"step": step}, *rows])
            for read in (
                lambda: checkpoints.restore(state(0, average=True)),
                lambda: checkpoints.restore_variables(state(0).variables),
            ):
                with pytest.raises(OSError, match=rf"different steps in {run}/checkpoints \({listed}\): every host"):
                    read()
    assert checkpoint_files.saved_steps(run / "checkpoints") == [3, 2, 1]
    monkeypatch.setattr(checkpoint_reading, "gather", lambda rows: [{"step": 3}, *rows])
    with pytest.raises(OSError, match="process 0: 3, process 1: none"), Checkpoints(run / "none") as checkpoints:
        checkpoints.restore(state(0))
