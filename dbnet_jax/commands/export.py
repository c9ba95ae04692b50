"""Writes the weights of a run, or its network for other programs, into one file."""

import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from absl.app import UsageError

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.pictures import picture_files
from dbnet_jax.commands.sources import config_of_weights, set_fields, workdir, workdir_or_weights
from dbnet_jax.export import export_int8, export_litert, export_onnx, export_stablehlo, litert, onnx, stablehlo
from dbnet_jax.export.weights import export_run, read_words, run_weights
from dbnet_jax.images.decode import BadPicture, read_picture, reading_options
from dbnet_jax.messages import check_choice
from dbnet_jax.paths import as_path
from dbnet_jax.training.task import task_of
from dbnet_jax.typing import Image
from dbnet_jax.weights.file import SUFFIX, Weights, load_weights
from dbnet_jax.weights.run_folder import load_config

# Each format, with the end of its files and its function; the weights themselves have none.
FORMATS: dict[str, tuple[str, Callable[..., float] | None]] = {
    "safetensors": (SUFFIX, None),
    "onnx": (onnx.SUFFIX, export_onnx),
    "stablehlo": (stablehlo.SUFFIX, export_stablehlo),
    "litert": (litert.SUFFIX, export_litert),
}
_CALIBRATION = 60  # pictures; more change little


def run(options: Options) -> None:
    """The command `export`."""
    check_choice("--format", options.format, FORMATS)
    suffix, export = FORMATS[options.format]
    if options.output is None:
        raise UsageError(f"--output is missing: the file, for example small-word{suffix}")
    if pathlib.Path(options.output).suffix != suffix:
        others = [name for name, (end, _) in FORMATS.items() if end == pathlib.Path(options.output).suffix]
        hint = f", or --format={others[0]} is missing" if others else ""
        raise UsageError(f"--output={options.output} must end in {suffix}{hint}")
    if (options.size is None) == (options.format == "litert"):
        raise UsageError(
            "--size is missing: litert has one size, as in --size=736x1312"
            if options.size is None
            else f"--size is for litert: {options.format} takes every size"
        )
    if options.int8 == "":
        raise UsageError("--int8 is empty: it is a folder of pictures")
    if options.int8 is not None and options.format != "onnx":
        raise UsageError(f"--int8 is for --format=onnx: {options.format} has no int8")
    sizes = {} if options.size is None else {"size": options.size}
    words = {} if options.card is None else read_words(options.card)
    if export is None:
        if options.weights is not None:
            raise UsageError(
                f"--weights={options.weights} is a .safetensors file already. For other programs, write its network by "
                "--format=onnx, stablehlo or litert; --format=safetensors writes the weights of a --workdir"
            )
        config = set_fields(load_config(workdir(options)), options)
        exported = export_run(workdir(options), options.output, config, words)
        _print(exported.notes)
        print(f"results: {exported.file} and its card, {exported.card}")
        return
    weights, notes = _weights(options, words)
    if options.int8 is not None:
        difference = export_int8(weights, options.output, _calibration(options, weights, notes))
    else:
        difference = export(weights, options.output, **sizes)
    _print(notes)
    print(f"{'largest' if options.int8 is None else 'mean'} difference to JAX: {difference:.1e}")
    print(f"results: {options.output}")


def _weights(options: Options, words: dict[str, Any]) -> tuple[Weights, list[str]]:
    """The weights and the card of a run, or of a file, and notes on the card."""
    source = workdir_or_weights(options)
    if options.workdir is not None:
        config = set_fields(load_config(source), options)
        return run_weights(source, pathlib.Path(options.output).stem, config, words)
    loaded, config = load_weights(source), config_of_weights(source, options)
    task_of(config).check_predict(config)
    return loaded._replace(config=config, card=loaded.card.extended(words)), []


def _calibration(options: Options, weights: Weights, notes: list[str]) -> Iterator[Image]:
    """At most `_CALIBRATION` pictures, evenly chosen from those of --int8. Bad ones are added to `notes`."""
    files = picture_files(as_path(options.int8), as_path(options.output), "int8")
    for file in files[:: math.ceil(len(files) / _CALIBRATION)]:
        try:
            yield read_picture(file, **reading_options(weights.config.predict)).image
        except BadPicture as error:
            notes.append(str(error))


def _print(notes: list[str]) -> None:
    for note in notes:
        print(note)
