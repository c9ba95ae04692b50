"""What every experiment starts from, and how the command line changes it; the other files here change what they must.

`dbnet_jax/config/defaults.py` lists every field with its meaning and default. On the command line a field is set as
`--config.train.batch_size=32`, or behind the file's name as in `--config=configs/icdar2015.py:cpu,steps=500`: a bare
word is a variant that the file describes, `key=value` sets the field of that name (with its section,
`train.batch_size=4`, where two sections have one; those of `init` always).
"""

import ast
import difflib
import re
from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from dbnet_jax.config.defaults import default_config


def get_config(arg: str | None = None) -> ConfigDict:
    """The defaults: ResNet-18, the paper's recipe with the official code's losses."""
    config = default_config()
    return config if arg is None else apply_arg(config, arg, {})


def apply_arg(config: ConfigDict, arg: str | None, variants: Mapping[str, Callable[[ConfigDict], None]]) -> ConfigDict:
    """Changes `config` by what stands behind the file's name: "cpu,backbone=resnet50".

    **Arguments:**

    - `config`: changed in place and locked against new fields.
    - `arg`: bare words are variants, `key=value` sets a field; separated by commas, and the fields hold wherever they
        stand. A bare `backbone` or `checkpoint` is the model's and the prediction's; those of `init` are written whole.
    - `variants`: what each bare word does.

    **Returns:** `config`.

    **Raises:** ValueError when a word is no variant, a key names no field, or more than one, or a value is of another
    type.
    """
    # A comma inside of brackets belongs to a value: crop=(384,384).
    words = [word.strip() for word in re.findall(r"(?:\([^)]*\)|\[[^\]]*\]|[^,(\[])+", arg or "")]
    for name in (word for word in words if "=" not in word):
        if name not in variants:
            raise ValueError(f"config variant {name!r} is unknown; there are {sorted(variants)}, and fields: key=value")
        variants[name](config)
    for key, _, value in (word.partition("=") for word in words if "=" in word):
        _set_field(config, key.strip(), value.strip())
    return config.lock()


def _set_field(config: ConfigDict, key: str, text: str) -> None:
    fields = {f"{section}.{name}" for section, part in config.items() if isinstance(part, ConfigDict) for name in part}
    fields |= {name for name, part in config.items() if not isinstance(part, ConfigDict)}
    named = [name for name in fields if name.endswith(f".{key}") and not name.startswith("init.")]
    found = [key] if key in fields else named
    if len(found) != 1:
        near = difflib.get_close_matches(key, [*fields, *(name.split(".")[-1] for name in fields)])
        unknown = "is unknown" + (f"; is it {' or '.join(dict.fromkeys(near))}?" if near else "")
        raise ValueError(f"config field {key!r} " + (f"may be any of {sorted(found)}" if found else unknown))
    try:
        value = {"true": True, "false": False}.get(text) if text in ("true", "false") else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text  # a bare word is a string
    section, _, name = found[0].rpartition(".")
    part = config[section] if section else config
    kind = part.get_type(name)  # of a field that is None, too
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if (kind, type(value)) in ((float, int), (tuple, list)):
        value = kind(value)
    try:
        part[name] = value
    except TypeError as error:
        raise ValueError(f"config field {found[0]!r} (={text!r}) must be of type {kind.__name__}") from error
