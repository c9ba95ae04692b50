"""The program: `dbnet-jax COMMAND`, and `python run.py --mode=COMMAND`."""

import errno
import importlib
import io
import pathlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

from absl import logging
from absl.app import UsageError

from dbnet_jax.commands import hosts
from dbnet_jax.commands.interrupts import ctrl_c_ends
from dbnet_jax.commands.options import HELP, Options, make_parser, parse
from dbnet_jax.paths import as_path
from dbnet_jax.training.checkpoint_files import check_place

# Errors whose message says to a person what to do.
_SPOKEN = (OSError, ValueError, FloatingPointError, ImportError)


def console() -> None:
    """The console script `dbnet-jax`: results go to runs/ in the current folder."""
    run(sys.argv[1:], pathlib.Path("runs"))


def run(words: Sequence[str], runs: pathlib.Path) -> None:
    """Runs a command line. An error ends the process with its message, and without a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a file may be no text, and is printed all the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    if not words:
        print(HELP)
        return
    logging.use_absl_handler()
    try:
        with ctrl_c_ends(), hosts.lost_processes():
            dispatch(parse(words, runs))
    except UsageError as error:
        _end(str(error))
    except KeyboardInterrupt:
        # Threads of JAX are in the middle of their work, and Python's own end crashes under them. A shell says 130 of a
        # command that Ctrl-C ended.
        hosts.end_at_once("interrupted: the command is not done", 130)
    except Exception as error:
        if "--traceback" in words or not isinstance(error, _SPOKEN):
            hosts.leave(traceback.format_exc())
            raise
        # The message says what to do; a traceback would bury it.
        _end(f"{type(error).__name__}: {error}{_make_room(error)}")


def _end(message: str) -> NoReturn:
    """Prints the message and ends the process."""
    hosts.leave(message)
    sys.exit(message)


def _make_room(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ". Make room, and start the same command again" if full else ""


def dispatch(options: Options) -> None:
    """Runs the command that the options name."""
    if options.help:
        print(make_parser(options.mode).format_help() if options.mode else HELP)
        return
    logging.set_verbosity(logging.WARNING)
    # Damage of a picture is found and listed; Pillow's own words of it come without the picture's name.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    if options.workdir is not None:
        check_place(options.workdir)
    for path in options.paths():
        as_path(path)  # a bucket that cannot be used ends the command before it has worked for hours
    hosts.join(options)
    # A command is imported when it runs: JAX and TensorFlow take seconds.
    importlib.import_module(f"dbnet_jax.commands.{options.mode}").run(options)
