"""The program: `dbnet-jax COMMAND`, and `python run.py --mode=COMMAND`."""

import importlib
import io
import pathlib
import sys
from collections.abc import Sequence

from absl import logging
from absl.app import UsageError

from dbnet_jax.commands.options import HELP, Options, make_parser, parse


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
        dispatch(parse(words, runs))
    except UsageError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("interrupted: the command is not done", file=sys.stderr)
        sys.exit(130)  # as a shell says of a command that Ctrl-C ended
    except (OSError, ValueError, FloatingPointError, ImportError) as error:
        if "--traceback" in words:
            raise
        # The message says what to do; a traceback would bury it.
        sys.exit(f"{type(error).__name__}: {error}")


def dispatch(options: Options) -> None:
    """Runs the command that the options name."""
    if options.help:
        print(make_parser(options.mode).format_help() if options.mode else HELP)
        return
    logging.set_verbosity(logging.WARNING)
    if options.coordinator:
        import jax

        address = None if options.coordinator == "auto" else options.coordinator
        jax.distributed.initialize(address, num_processes=options.num_processes, process_id=options.process_id)
    # A command is imported when it runs: JAX and TensorFlow take seconds.
    importlib.import_module(f"dbnet_jax.commands.{options.mode}").run(options)
