"""The command `bulk`: what it refuses before it works, and what ends it."""

import os
import pathlib
import signal

import pytest
from absl.app import UsageError

from dbnet_jax.commands import bulk
from dbnet_jax.commands.options import parse
from tests.helpers.bulk import Widths, write_pictures

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")


class Job(Widths):
    def options(self) -> dict[str, object]:
        return {}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setattr(bulk, "_models", lambda options: Job())
    return write_pictures(tmp_path / "photos", 5)


def run(tmp_path: pathlib.Path, *words: str) -> None:
    bulk.run(parse(["bulk", *words], tmp_path))


def test_sigterm_ends_the_command_as_ctrl_c_does_and_is_no_death(folder, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    look = Widths._find

    def find(self, sources):
        for record in look(self, sources):
            yield record
            if record["width"] == 42:
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Widths, "_find", find)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, str(folder), f"--output={tmp_path}/out")
    assert os.listdir(tmp_path / "out/tries") == []
    assert signal.getsignal(signal.SIGTERM) is before
    run(tmp_path, str(folder), f"--output={tmp_path}/out")
    assert {"part-00000.jsonl", "part-00000.parquet"} < set(os.listdir(tmp_path / "out"))


@pytest.mark.parametrize("flag", ["input", "output"])
def test_an_empty_path_is_not_the_current_folder(folder, tmp_path, monkeypatch, flag):
    monkeypatch.chdir(folder)
    before = os.listdir()
    paths = {"input": str(folder), "output": f"{tmp_path}/out", flag: ""}
    with pytest.raises(UsageError, match=f"--{flag}= is empty"):
        run(tmp_path, *(f"--{name}={path}" for name, path in paths.items()))
    assert os.listdir() == before
    assert not (tmp_path / "out").exists()


def test_columns_that_are_not_there_end_the_command_before_it_has_a_plan(folder, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"jpg": [b"1"]}), folder / "set.parquet")
    with pytest.raises(ValueError, match="'x' is none of jpg"):
        run(tmp_path, str(folder), f"--output={tmp_path}/out", "--columns=x")
    assert not (tmp_path / "out").exists()
