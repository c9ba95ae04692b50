"""Which config a command line names, which of its fields it sets, and which of them weights decide themselves."""

import difflib
import os
import pathlib
import sys

from absl import app, flags
from ml_collections import ConfigDict, config_flags


def fields_of_command(flag: flags.Flag, config: ConfigDict) -> dict[str, str]:
    """The fields that a parsed command line sets, each with the word that sets it.

    **Arguments:**

    - `flag`: of `DEFINE_config_file`; fields may stand behind the file's name, or be flags of their own.
    - `config`: its value.
    """
    found = {field: f"--{flag.name}.{field}" for field in config_flags.get_override_values(flag)}
    sections = {name: part for name, part in config.items() if isinstance(part, ConfigDict) and name != "init"}
    for word in config_flags.get_config_filename(flag).partition(":")[2].split(","):
        key, equals, _ = (part.strip() for part in word.partition("="))
        # As configs.common reads it: a bare name is that of the one section that has it, and never of `init`.
        section = [name for name, part in sections.items() if key in part]
        if equals:
            found[".".join([*section, key])] = f"{word.strip()!r} in --{flag.name}"
    return found


def refuse_fields_of_weights(flag: flags.Flag, config: ConfigDict) -> None:
    """**Raises:** UsageError when the command line sets a field that a file of weights carries."""
    for field, word in fields_of_command(flag, config).items():
        theirs = field == "data.normalization" or field.startswith(("model.", "predict."))
        if theirs and field != "predict.follow_exif":  # the data's labels decide it
            raise app.UsageError(f"{word} has no say in weights, which carry their own: say it with --set")


def parse_flags(arguments: list[str]) -> list[str]:
    """Parses the command line. **Raises:** ValueError when a config is not there, or has no such field."""
    for word in arguments[1:]:
        file = word.removeprefix("--config=").partition(":")[0]
        if word.startswith("--config=") and file.endswith(".py") and not os.path.isfile(os.path.expanduser(file)):
            raise ValueError(f"--config={file} is not there{_near_configs(file)}")
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        # A mistake behind the file's name comes wrapped in the traceback of the file's execution.
        lines = [line for line in str(error).splitlines() if line.startswith(("ValueError: ", "TypeError: "))]
        raise ValueError(f"--config: {lines[-1].partition(': ')[2]}" if lines else str(error)) from error
    except (AttributeError, KeyError) as error:
        # The one often wraps the other, whose text names the field and what it may have been meant to be.
        text = error.args[0].args[0] if isinstance(error.args[0], KeyError) else error.args[0]
        documented = "dbnet_jax/config/defaults.py documents every field"
        raise ValueError(f"--config, no such field: {text}\n{documented}") from error


def _near_configs(file: str) -> str:
    """The configs that a file's name may have been meant to be, as the end of a message."""
    folder = pathlib.Path(sys.argv[0]).resolve().parent / "configs"
    names = sorted(path.name for path in folder.glob("[a-z]*.py") if path.name != "common.py")
    near = difflib.get_close_matches(os.path.basename(file), names, cutoff=0.6) or names
    return f"; {folder} has {', '.join(near)}" if near else ""
