"""The folder of a run, and folders that are none."""

import errno
import json
import pathlib

import pytest

from dbnet_jax.weights.run_folder import check_workdir
from tests.helpers import tiny_run as tiny


@pytest.mark.parametrize("content", ["{}", json.dumps({"architectures": ["Bert"]}), "[]", "mine"])
def test_a_config_of_another_program_is_refused(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(FileExistsError, match=r"`workdir` .* overwrite them: config\.json"):
        check_workdir(tmp_path)


def test_a_run_that_has_saved_nothing_goes_on(tmp_path):
    tiny.save_config(tiny.config(), tmp_path)
    check_workdir(tmp_path)


def test_a_config_that_cannot_be_read_is_not_called_a_persons(tmp_path, monkeypatch):
    tiny.save_config(tiny.config(), tmp_path)

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(pathlib.Path, "read_text", fail)
    with pytest.raises(OSError, match="Input/output error"):
        check_workdir(tmp_path)
