"""`python run.py` in this process."""

import pathlib

from dbnet_jax.commands.main import dispatch
from dbnet_jax.commands.options import parse


def call_run(*words: str, runs: pathlib.Path = pathlib.Path("runs")) -> None:
    """Runs a command line; `runs` takes results that no flag places."""
    dispatch(parse(words, runs))
