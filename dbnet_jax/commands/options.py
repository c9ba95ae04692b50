"""What a command line says: the command, its flags, and fields of the config."""

import argparse
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from absl.app import UsageError

COMMANDS = {
    "predict": ("PICTURE…", "finds text in pictures and PDF files, or in a folder of them"),
    "read": ("PICTURE…", "finds and reads text in pictures: JSON, text, hOCR, ALTO, PDF, a page"),
    "train": ("--config=FILE --workdir=DIR", "trains a detector, or continues a run"),
    "evaluate": ("--workdir=DIR", "scores a run, or --weights, on a data set"),
    "inspect": ("--config=FILE --output=DIR", "draws training examples, and measures their text"),
    "export": ("--workdir=DIR --output=FILE", "writes a run's weights, or its network as ONNX, StableHLO or LiteRT"),
    "convert": ("--input=FILE --workdir=DIR", "makes a run of a PyTorch checkpoint"),
    "serve": ("--port=8080", "finds and reads text in pictures that clients send by HTTP"),
    "bulk": ("INPUT… --output=DIR", "finds or reads text in very many pictures, in shards, on one or more machines"),
    "score": ("--detections=DIR --truth=DIR", "scores detections in files"),
}
"""Each command, with its usual arguments and with what it does."""
_OF_PICTURES = ("predict", "read", "bulk")  # commands whose words are pictures

HELP = (
    "usage: dbnet-jax COMMAND [FLAGS]\n\n"
    + "".join(f"  {name:8} {usual:29} {does}\n" for name, (usual, does) in COMMANDS.items())
    + "\n--config.SECTION.FIELD=VALUE sets a field of the config, in every command but score."
    + "\n`dbnet-jax COMMAND --help` prints the flags of a command."
)
_HINT = "`--help` lists the flags, and a field is set as --config.section.field=value"
_PATHS = ("workdir", "weights", "recognizer", "card", "input", "output", "detections", "truth", "int8")


class Flag(NamedTuple):
    """A flag.

    - `commands`: the commands that take it, separated by spaces; "" for all.
    - `kind`: makes its value of the text, or raises ValueError or ArgumentTypeError.
    """

    name: str
    commands: str
    metavar: str
    help: str
    kind: Callable[[str], Any] = str
    default: Any = None


def _size(text: str) -> tuple[int, int]:
    """ "736x1312" → (736, 1312)."""
    try:
        height, width = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be HEIGHTxWIDTH in pixels, as in 736x1312") from None
    return height, width


FLAGS = (
    Flag("config", "train evaluate predict inspect convert", "FILE", "An experiment: configs/NAME.py[:variant,…]."),
    Flag("workdir", "train evaluate predict read bulk inspect export convert serve", "DIR", "The folder of a run."),
    Flag(
        "recognizer",
        "read bulk evaluate serve",
        "NAME",
        "Shipped weights of a recogniser (small-latin), a file, a run.",
    ),
    Flag(
        "weights",
        "predict read bulk evaluate export serve",
        "NAME",
        "Shipped weights (small-word), or a file of export.",
    ),
    Flag("input", "predict read", "PATH", "A picture or a PDF, or a folder of them."),
    Flag("input", "bulk", "PATH", "A folder, a pattern, a .tar or .zip, a .parquet, or a list of them (.txt)."),
    Flag("input", "convert", "FILE", "A PyTorch checkpoint, .pth or .safetensors."),
    Flag(
        "output", "predict read bulk evaluate inspect", "DIR", "The folder for results, if not in --workdir or runs/."
    ),
    Flag("output", "export", "FILE", "The file, for example small-word.safetensors or small-word.onnx."),
    Flag("output", "score", "DIR", "A folder for results; without it, they are only printed."),
    Flag("formats", "predict read", "NAMES", "The kinds of results, as in json,page; all without it."),
    Flag(
        "format",
        "export",
        "NAME",
        "safetensors, the weights; or the network: onnx, stablehlo, litert.",
        str,
        "safetensors",
    ),
    Flag("size", "export", "HEIGHTxWIDTH", "The size of a picture for litert, as in 736x1312.", _size),
    Flag("int8", "export", "DIR", "Pictures with which the network for --format=onnx is quantised to int8."),
    Flag("card", "export", "FILE", "A JSON file with more fields of the model card."),
    Flag(
        "engine", "bulk", "NAME", "local, this process (the default); or ray, the machines of a cluster.", str, "local"
    ),
    Flag("workers", "bulk", "N", "How many processes of ray; one a machine, or one a GPU, without it.", int),
    Flag("shard_size", "bulk", "N", "How many pictures a part of the results has (100).", int, 100),
    Flag("columns", "bulk", "BYTES,NAME", "Columns of Parquet files, if their names are not usual ones."),
    Flag("count", "inspect", "N", "How many training examples to draw (24).", int, 24),
    Flag("detections", "score", "PATH", "A folder, a zip archive or a detections.json."),
    Flag("truth", "score", "PATH", "A folder or a zip archive."),
    Flag("protocol", "score", "NAME", "iou, deteval, pascal, icdar2013 or td500.", str, "iou"),
    Flag("host", "serve", "ADDRESS", "The address to listen on (127.0.0.1: this machine alone).", str, "127.0.0.1"),
    Flag("port", "serve", "N", "The port to listen on (8080); 0 takes a free one.", int, 8080),
    Flag("max_megabytes", "serve", "N", "The most megabytes of a picture file (20).", float, 20.0),
    Flag("max_megapixels", "serve", "N", "The most million pixels of a picture (50).", float, 50.0),
    Flag("max_seconds", "serve", "N", "The most seconds until a picture has arrived (30).", float, 30.0),
    Flag("max_waiting", "serve", "N", "The most pictures that wait for the detector (64).", int, 64),
    Flag("max_requests", "serve", "N", "The most requests with a picture at a time (256).", int, 256),
    Flag("coordinator", "train evaluate", "HOST:PORT", "Many hosts: process 0, or 'auto' on Cloud TPU and Slurm."),
    Flag("num_processes", "train evaluate", "N", "Many hosts: how many processes.", int),
    Flag("process_id", "train evaluate", "N", "Many hosts: the number of this process, from 0.", int),
)
_INSTEAD = {
    ("config", "export"): "the run has its own; --config.predict.FIELD=VALUE changes a field",
    ("config", "score"): "score reads no config; --protocol chooses the protocol",
    ("weights", "train"): "training starts from --config.init.checkpoint=FILE",
    ("output", "train"): "--workdir is the folder for results",
    ("output", "convert"): "--workdir is the folder for results",
}
"""Flags that another command has, and what to do there instead."""


class Options(argparse.Namespace):
    """The values of all `FLAGS` by their names, None for the flags of other commands, and besides:

    - `mode`: the command; None where only help is wanted and no command is given.
    - `inputs`: the words that are no flags, then `--input`.
    - `fields`: of each `--config.KEY=TEXT` the key and the text, in their order.
    - `runs`: the folder for results of commands without `--workdir` and `--output`.
    """

    def paths(self) -> list[str]:
        """The files and folders that the flags name; names of shipped weights are among them."""
        named = (getattr(self, name) for name in _PATHS)
        return [*(path for path in named if path is not None), *self.inputs]


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that leaves the end of the process to its caller."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {_HINT}")


def make_parser(command: str) -> argparse.ArgumentParser:
    """The flags of a command."""
    usual, does = COMMANDS[command]
    fields = "" if command == "score" else "--config.SECTION.FIELD=VALUE sets a field of the config."
    parser = _Parser(
        "dbnet-jax",
        f"dbnet-jax {command} {usual} [FLAGS]",
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=fields,
        allow_abbrev=False,
        add_help=False,
    )
    pictures = "Pictures, or folders of them." if command in _OF_PICTURES else argparse.SUPPRESS
    parser.add_argument("inputs", nargs="*", metavar="PICTURE", help=pictures)
    for flag in FLAGS:
        if command in flag.commands.split():
            name = f"--{flag.name}"
            parser.add_argument(name, metavar=flag.metavar, help=flag.help, type=flag.kind, default=flag.default)
    parser.add_argument("--mode", choices=COMMANDS, help="The command, where the first word does not name it.")
    parser.add_argument("--traceback", action="store_true", help="Shows where in the code an error came from.")
    parser.add_argument("-h", "--help", action="store_true", help="Prints this.")
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
    first = rest.pop(0) if rest and rest[0] in COMMANDS else None
    given = _mode(rest)
    if first and given not in (first, None):
        raise UsageError(f"--mode={given} contradicts the command {first}")
    given = first or given
    everything = dict.fromkeys(flag.name for flag in FLAGS)
    if not {"-h", "--help"}.isdisjoint(rest):
        return Options(**everything, runs=runs, mode=given, help=True)
    command = given or "train"
    _check_takers([*rest, *(["--config"] if fields and command == "score" else [])], given)
    parsed = vars(make_parser(command).parse_intermixed_args(rest))
    options = Options(
        **everything | parsed | {"mode": command}, runs=runs, fields=[(key, text) for key, _, text in fields]
    )
    if options.inputs and command not in _OF_PICTURES:
        raise UsageError(f"unknown argument {options.inputs[0]!r}; the commands are {', '.join(COMMANDS)}; {_HINT}")
    if given is None and options.config is None:
        raise UsageError(f"the command is missing: --mode={'|'.join(COMMANDS)}; without it, --config=FILE is trained")
    if without := [key for key, equals, _ in fields if not equals]:
        raise UsageError(f"--config.{without[0]} has no value: --config.{without[0]}=VALUE")
    for name in _PATHS:
        if (path := getattr(options, name)) is not None:  # behind an equals sign shells leave ~ alone
            setattr(options, name, os.path.expanduser(path))
    options.inputs += [options.input] if options.input is not None else []
    if options.output is not None and command != "export" and os.path.isfile(options.output):
        raise UsageError(f"--output={options.output} is a file: a folder is needed, and is made where there is none")
    return options


def _mode(words: Sequence[str]) -> str | None:
    """The value of `--mode`; None without it."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("--mode", choices=COMMANDS)
    command: str | None = parser.parse_known_args(words)[0].mode
    return command


def _check_takers(words: Sequence[str], given: str | None) -> None:
    """**Raises:** UsageError for a flag of other commands than the `given` one; without one, than train."""
    command = given or "train"
    for word in words:
        name = word.removeprefix("--").partition("=")[0] if word.startswith("--") else ""
        takers = " ".join(flag.commands for flag in FLAGS if flag.name == name).split()
        if not takers or command in takers:
            continue
        if given is None:
            raise UsageError(
                f"the command is missing: --{name} is for {_listed(takers)}; --mode={takers[0]} chooses it"
            )
        if (name, command) in _INSTEAD:
            raise UsageError(f"--{name} is refused: {_INSTEAD[name, command]}")
        raise UsageError(f"--{name} is for {_listed(takers)}; {command} does not take it")


def _listed(names: Sequence[str]) -> str:
    """ "predict, read and convert"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
