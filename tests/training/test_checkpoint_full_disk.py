"""A checkpoint that the disk does not take: one line, an end at once, and the checkpoint before it."""

import errno
import os
import pathlib
import threading
import time

import pytest

from dbnet_jax.commands.interrupts import ctrl_c_ends
from dbnet_jax.training import checkpoint
from dbnet_jax.training.checkpoint import CheckpointNotSaved, Checkpoints
from tests.helpers.full_disk import files_of_at_most
from tests.training.test_checkpoint import kept, state

make_folder = os.mkdir


@pytest.fixture
def saved(tmp_path):
    """A run with a checkpoint of step 1."""
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1))
    return tmp_path


@ctrl_c_ends()
def save(workdir: pathlib.Path) -> None:
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(state(2, width=5000, average=True))
        checkpoints.wait()


def waiting_threads() -> set[threading.Thread]:
    """Those of Orbax, which are of its own classes. Plain ones are of pools, which end with the process."""
    return {thread for thread in threading.enumerate() if type(thread) is not threading.Thread}


def no_room_for_a_folder(path: str, *arguments: object, **options: object) -> None:
    if "orbax-checkpoint-tmp/" in os.fspath(path):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), path)
    make_folder(path, *arguments, **options)


def test_a_full_disk_is_met_before_anything_is_written(saved, monkeypatch):
    asked = []

    def lacking(folder: pathlib.Path, size: int, count: int) -> str:
        asked.append(size)
        return "9 MB are needed, and 4 MB are free"

    monkeypatch.setattr(checkpoint, "lacking_room", lacking)
    line = rf"^step 2 is not saved in {saved}/checkpoints: 9 MB are needed, and 4 MB are free\. Make room, and start"
    with pytest.raises(CheckpointNotSaved, match=line):
        save(saved)
    assert asked[0] >= 3 * 5000 * 4  # kernel, momentum, average
    assert [path.name for path in (saved / "checkpoints").iterdir()] == ["1"]


@pytest.mark.parametrize("size", [0, 300, 3000])
def test_a_disk_that_gets_full_meanwhile_is_one_line_too(saved, capfd, size):
    threads, start = waiting_threads(), time.monotonic()
    with files_of_at_most(size), pytest.raises(CheckpointNotSaved, match=r"^step 2 is not saved in [^\n]*$"):
        save(saved)
    assert time.monotonic() - start < 10
    assert waiting_threads() <= threads
    assert capfd.readouterr().err == ""
    # There is room again.
    save(saved)
    assert kept(saved) == [1, 2]
    assert all(path.name in ("1", "2") for path in (saved / "checkpoints").iterdir())


def test_no_thread_waits_for_a_folder_that_cannot_be_made(saved, monkeypatch):
    threads = waiting_threads()
    monkeypatch.setattr(os, "mkdir", no_room_for_a_folder)
    with pytest.raises(CheckpointNotSaved, match="Disk quota exceeded"):
        save(saved)
    assert waiting_threads() <= threads
    assert int(Checkpoints(saved).restore(state(0)).step) == 1
