"""Writes the weights of a run, its config and a model card into one file."""

from absl.app import UsageError

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import set_fields, workdir
from dbnet_jax.export.weights import export_run, read_words
from dbnet_jax.weights.run_folder import load_config


def run(options: Options) -> None:
    """The command `export`."""
    if options.output is None:
        raise UsageError("--output is missing: the file, for example small-word.safetensors")
    words = {} if options.card is None else read_words(options.card)
    config = set_fields(load_config(workdir(options)), options)
    exported = export_run(workdir(options), options.output, config, words)
    for note in exported.notes:
        print(note)
    print(f"results: {exported.file} and its card, {exported.card}")
