"""The folder of a run, and folders that are none."""

import json

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
