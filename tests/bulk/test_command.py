"""The command `bulk`: what it refuses before it works, and what ends it."""

import os
import pathlib
import signal

import pytest

from dbnet_jax.commands import bulk
from dbnet_jax.commands.options import parse
from tests.helpers.bulk import Widths, write_pictures

pytest.importorskip("pyarrow")


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
