"""What a command line says: the command, its flags, and fields of the config."""

import argparse
import os
import pathlib
from collections.abc import Sequence
from typing import NoReturn

from absl.app import UsageError

COMMANDS = {
    "predict": ("PICTURE…", "finds text in pictures, or in a folder of them"),
    "train": ("--config=FILE --workdir=DIR", "trains a detector, or continues a run"),
    "evaluate": ("--workdir=DIR", "scores a run, or --weights, on a data set"),
    "inspect": ("--config=FILE --output=DIR", "draws training examples, and measures their text"),
    "export": ("--workdir=DIR --output=FILE", "writes the weights of a run into one file"),
    "convert": ("--input=FILE --workdir=DIR", "makes a run of a PyTorch checkpoint"),
    "score": ("--detections=DIR --truth=DIR", "scores detections in files"),
}
"""Each command, with its usual arguments and with what it does."""

HELP = (
    "usage: dbnet-jax COMMAND [FLAGS]\n\n"
    + "".join(f"  {name:8} {usual:29} {does}\n" for name, (usual, does) in COMMANDS.items())
    + "\n--config.SECTION.FIELD=VALUE sets a field of the config, in every command but score."
    + "\n`dbnet-jax COMMAND --help` prints all flags."
)
_HINT = "`--help` lists the flags, and a field is set as --config.section.field=value"
_PATHS = ("workdir", "weights", "card", "input", "output", "detections", "truth")


class Options(argparse.Namespace):
    """The flags of `make_parser` by their names, and besides:

    - `inputs`: the words that are no flags, then `--input`.
    - `fields`: of each `--config.KEY=TEXT` the key and the text, in their order.
    - `runs`: the folder for results of commands without `--workdir` and `--output`.
    """


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that leaves the end of the process to its caller."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {_HINT}")


def make_parser() -> argparse.ArgumentParser:
    """The flags of all commands."""
    parser = _Parser("dbnet-jax", "dbnet-jax COMMAND [FLAGS]", allow_abbrev=False, add_help=False)
    add = parser.add_argument
    add("inputs", nargs="*", metavar="PICTURE", help="predict: pictures, or folders of them.")
    add("--config", metavar="FILE", help="An experiment: configs/NAME.py[:variant,key=value…].")
    add("--workdir", metavar="DIR", help="The folder of a run: checkpoints, metrics, results.")
    add("--weights", metavar="NAME", help="predict, evaluate: shipped weights (small-word), or a file of export.")
    add("--input", metavar="PATH", help="predict: a picture or a folder. convert: a PyTorch file.")
    add("--output", metavar="DIR", help="The folder for results; without it <workdir>, or runs/. export: the file.")
    add("--formats", metavar="NAMES", help="predict: the kinds of results, as in json,icdar,page; all without it.")
    add("--card", metavar="FILE", help="export: a JSON file with more fields of the model card.")
    add("--count", type=int, default=24, metavar="N", help="inspect: how many training examples to draw (24).")
    add("--detections", metavar="PATH", help="score: a folder, a zip archive or a detections.json.")
    add("--truth", metavar="PATH", help="score: a folder or a zip archive.")
    add("--protocol", default="iou", help="score: iou, deteval, pascal, icdar2013 or td500.")
    add("--coordinator", metavar="HOST:PORT", help="Many hosts: process 0, or 'auto' on Cloud TPU and Slurm.")
    add("--num_processes", type=int, metavar="N", help="Many hosts: how many processes.")
    add("--process_id", type=int, metavar="N", help="Many hosts: the number of this process, from 0.")
    add("--traceback", action="store_true", help="Shows where in the code an error came from.")
    add("--mode", choices=COMMANDS, default="train", help="The command, where the first word does not name it.")
    add("--help", action="store_true", help="Prints the flags.")
    return parser


def parse(words: Sequence[str], runs: pathlib.Path) -> Options:
    """The options that a command line gives.

    **Arguments:**

    - `words`: the command line without the program: "predict", "photo.jpg", or "--mode=predict", "--input=photo.jpg".
    - `runs`: see `Options`.

    **Raises:** UsageError when there is no such flag or command.
    """
    fields = [word.removeprefix("--config.").partition("=") for word in words if word.startswith("--config.")]
    rest = [word for word in words if not word.startswith("--config.")]
    if rest and rest[0] in COMMANDS:
        rest = [*rest[1:], f"--mode={rest[0]}"]
    options = make_parser().parse_intermixed_args(rest, Options(runs=runs))
    if options.inputs and options.mode != "predict":
        raise UsageError(f"unknown argument {options.inputs[0]!r}; the commands are {', '.join(COMMANDS)}; {_HINT}")
    if without := [key for key, equals, _ in fields if not equals]:
        raise UsageError(f"--config.{without[0]} has no value: --config.{without[0]}=VALUE")
    if options.mode == "score" and (fields or options.config is not None):
        raise UsageError("--config is refused: score reads no config; --protocol chooses the protocol")
    options.fields = [(key, text) for key, _, text in fields]
    for name in _PATHS:
        if (path := getattr(options, name)) is not None:  # behind an equals sign shells leave ~ alone
            setattr(options, name, os.path.expanduser(path))
    options.inputs += [options.input] if options.input is not None else []
    if options.output is not None and options.mode != "export" and os.path.isfile(options.output):
        raise UsageError(f"--output={options.output} is a file: a folder is needed, and is made where there is none")
    if options.weights is not None and options.mode not in ("evaluate", "predict"):
        raise UsageError("--weights is for evaluate and predict; training starts from --config.init.checkpoint=FILE")
    return options
