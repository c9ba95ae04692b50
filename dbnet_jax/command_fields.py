"""Which fields of a config a command line sets, and which of them weights decide themselves."""

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
