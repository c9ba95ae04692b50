"""`python run.py` in this process."""

import sys

import pytest
from absl import flags
from absl.testing import flagsaver

import run
from dbnet_jax.config.command_line import parse_flags


def call_run(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parses the flags and runs their mode, and forgets them."""
    monkeypatch.setattr("sys.argv", ["run.py", *words])  # where config_flags looks for fields
    before = set(flags.FLAGS)
    with flagsaver.flagsaver():
        try:
            parse_flags(sys.argv)
            run.main(["run.py"])
        finally:
            for name in set(flags.FLAGS) - before:  # one for each field of the config that was set
                delattr(flags.FLAGS, name)
