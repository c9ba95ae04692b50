"""One of many processes: how it ends, and what it says of the others."""

import os
import pathlib
import signal

import jax
import pytest

from dbnet_jax.commands import hosts, main, options
from dbnet_jax.training.preemption import Preemption


@pytest.fixture
def one_of_many(monkeypatch):
    """As if `jax.distributed` had this process joined to others; `os._exit` raises its code."""

    def leave(code: int) -> None:
        raise SystemExit(f"left with {code}")

    monkeypatch.setattr(hosts, "joined", lambda: True)
    monkeypatch.setattr(os, "_exit", leave)


GLOO = ValueError("UNKNOWN: Gloo all-reduce failed: Read error [10.0.0.2]:13209: Connection reset by peer")


@pytest.mark.usefixtures("one_of_many")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GLOO, 1, "LostProcess: another process of this run has ended or cannot be reached"),
        (RuntimeError(f"{GLOO}"), 1, "LostProcess: another process of this run has ended or cannot be reached"),
        (ValueError("no data"), 1, "ValueError: no data"),
        (RuntimeError("a fault"), 1, "Traceback"),
        (KeyboardInterrupt(), 130, "interrupted: the command is not done"),
    ],
)
def test_one_of_many_ends_at_once_with_one_message(monkeypatch, capsys, error, code, said):
    def fail(options: object) -> None:
        raise error

    monkeypatch.setattr(main, "dispatch", fail)
    with pytest.raises(SystemExit, match=f"left with {code}"):
        main.run(["predict", "photo.jpg"], pathlib.Path())
    printed = capsys.readouterr().err
    assert printed.startswith(said)
    assert printed.count("\n") == 1 or said == "Traceback"


def test_alone_the_words_of_an_error_stay(monkeypatch):
    def fail(options: object) -> None:
        raise GLOO

    monkeypatch.setattr(main, "dispatch", fail)
    with pytest.raises(SystemExit, match=r"^ValueError: UNKNOWN: Gloo"):
        main.run(["predict", "photo.jpg"], pathlib.Path())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--num_processes=4"], "--num_processes=4 needs --coordinator: without it, this process is a run of its own"),
        (["--process_id=0"], "--process_id=0 needs --coordinator"),
        (["--coordinator=", "--num_processes=2", "--process_id=0"], "--coordinator= must be HOST:PORT"),
        (["--coordinator=10.0.0.2", "--num_processes=2", "--process_id=0"], "--coordinator=10.0.0.2 must be HOST:PORT"),
        (["--coordinator=a:1", "--num_processes=2", "--process_id=2"], "--process_id=2 must be 0 or more, and less"),
        (["--coordinator=a:1", "--num_processes=2", "--process_id=-1"], "--process_id=-1 must be 0 or more"),
        (["--coordinator=a:1", "--num_processes=0", "--process_id=0"], "--num_processes=0 must be 1 or more"),
        (["--coordinator=auto"], "--coordinator=auto found no cluster .*: give --coordinator=HOST:PORT"),
        (["--coordinator=a:1", "--process_id=0"], "--coordinator=a:1 found no cluster .*processes.*: give --coord"),
    ],
)
def test_flags_that_join_no_run_are_refused_before_anything_starts(monkeypatch, flags, said):
    def initialize(address: str | None, **how: object) -> None:
        raise ValueError("the number of processes must be defined")  # as JAX does outside of a cluster

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(SystemExit, match=said):
        main.run(["train", "--config=configs/quickstart.py", *flags], pathlib.Path())


def test_all_three_flags_are_taken_as_they_are_and_auto_leaves_the_choice_to_jax(monkeypatch):
    """On Slurm, JAX would take one GPU of the host for this process."""
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda address, **how: asked.append({"address": address} | how))
    for flags in (["--coordinator=a:1", "--num_processes=2", "--process_id=1"], ["--coordinator=auto"]):
        hosts.join(options.parse(["train", "--config=x.py", *flags], pathlib.Path()))
    assert [one["address"] for one in asked] == ["a:1", None]
    assert [one["num_processes"] for one in asked] == [2, None]
    assert [one["process_id"] for one in asked] == [1, None]
    assert [one["cluster_detection_method"] for one in asked] == ["deactivate", None]


def test_ctrl_c_on_one_host_tells_all_of_them(monkeypatch, capfd):
    sent = []
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
    with Preemption(lambda step: step >= 7) as preemption:
        signal.raise_signal(signal.SIGINT)
        assert sent == [(os.getpid(), signal.SIGTERM)]
        assert "told once more, it ends" in capfd.readouterr().err
        # All save at the step on which they agree, and not each at its own.
        preemption.stop_here()
        assert [preemption.reached(step) for step in (6, 7)] == [False, True]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
