"""The parts that all pages share."""

import sys

import pytest

from dbnet_jax.pages.page import command_line


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["run.py", "--input=a b.jpg"], "python run.py '--input=a b.jpg'"),
        (["tools/run.py"], "python tools/run.py"),
        (["{folder}/dbnet-jax", "inspect", "--output=out"], "dbnet-jax inspect --output=out"),
        (["-c"], "python -c"),
    ],
)
def test_the_command_line_is_what_a_person_types(words, typed, tmp_path, monkeypatch):
    (tmp_path / "dbnet-jax").write_text("#!/usr/bin/python")
    monkeypatch.setattr(sys, "argv", [word.format(folder=tmp_path) for word in words])
    assert command_line() == typed
