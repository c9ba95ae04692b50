"""One run at a time in a workdir."""

import errno
import fcntl
import os
import socket
import subprocess
import sys

import jax
import pytest

from dbnet_jax.commands.convert import convert_checkpoint
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.lock import LOCK, WorkdirInUse, only_run_in
from tests.helpers import tiny_run as tiny
from tests.helpers.paths import ROOT


def test_a_second_run_is_refused_with_the_host_and_the_process_of_the_first(tmp_path):
    workdir = tmp_path / "new/run"
    who = rf"`workdir` \(='{workdir}'\) is in use by another run, process {os.getpid()} on host {socket.gethostname()}"
    with only_run_in(workdir):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(WorkdirInUse, match=who):
            train_and_evaluate(tiny.config(), workdir)
        with pytest.raises(WorkdirInUse, match=who), only_run_in(workdir):
            pytest.fail("it went on")
        assert sorted(tmp_path.rglob("*")) == before
    with only_run_in(workdir):
        pass
    with pytest.raises(RuntimeError, match="the run failed"), only_run_in(workdir):
        raise RuntimeError("the run failed")
    with only_run_in(workdir):
        pass


def test_nothing_is_converted_into_the_folder_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("dbnet_jax.commands.convert.read_state_dict", lambda file: {})
    monkeypatch.setattr("dbnet_jax.commands.convert.load_torch_weights", lambda state, model: {})
    with only_run_in(tmp_path), pytest.raises(WorkdirInUse):
        convert_checkpoint("official.pth", tmp_path, tiny.config())
    assert [file.name for file in tmp_path.iterdir()] == [LOCK]


def test_a_killed_run_leaves_no_lock(tmp_path):
    program = (
        "import sys, time\nfrom dbnet_jax.training.lock import only_run_in\n"
        "with only_run_in(sys.argv[1]):\n    print('locked', flush=True)\n    time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "locked\n"
    with pytest.raises(WorkdirInUse, match=f"process {killed.pid} on host"), only_run_in(tmp_path):
        pytest.fail("it went on")
    killed.kill()
    killed.communicate()
    with only_run_in(tmp_path):
        pass


def test_of_many_hosts_only_the_first_locks(tmp_path, monkeypatch):
    with only_run_in(tmp_path):
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        with only_run_in(tmp_path):
            pass


def test_a_file_system_without_locks_is_named_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    def without_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with only_run_in(tmp_path):
        pass
    assert f"{tmp_path / LOCK} cannot be locked (No locks available)" in caplog.text


def test_an_owner_that_cannot_be_read_is_no_error(tmp_path):
    with only_run_in(tmp_path):
        (tmp_path / LOCK).write_bytes(b"\xff{")
        with pytest.raises(WorkdirInUse, match="just starting or ending"), only_run_in(tmp_path):
            pytest.fail("it went on")
