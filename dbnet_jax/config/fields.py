"""Config files, and how a command line changes their fields.

A field is set as `--config.train.batch_size=32`, or behind the name of the config file as in
`configs/icdar2015.py:cpu,steps=500`. A word without "=" is a variant, which the config file defines. The section may be
left out where only one section has the field; fields of `init` always need it.
"""

import ast
import contextlib
import difflib
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from dbnet_jax.config.defaults import default_config
from dbnet_jax.paths import in_bucket

# Fields with a default, in which None means another choice.
_NULLABLE = ("predict.size", "predict.max_pixels")


def read_config(name: str) -> ConfigDict:
    """The config that a config file returns.

    **Arguments:** `name`: the file, and what its `get_config` takes: "configs/icdar2015.py:cpu,steps=500".

    **Raises:** FileNotFoundError when there is no such file; ValueError when it has no function `get_config`, and as
    `apply_arg`.
    """
    if in_bucket(name):
        raise ValueError(f"--config={name} must be on a disk: it is a program")
    file, colon, arg = name.partition(":")
    path = pathlib.Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"--config={file} is not there{_near_files(path)}")
    folder = path.resolve().parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    sys.path.insert(0, str(folder))  # a config file of a package imports its neighbours
    try:
        loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.stem, loader))  # type: ignore[arg-type]
        loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    if not hasattr(module, "get_config"):
        raise ValueError(f"--config={file} has no function get_config")
    config: ConfigDict = module.get_config(arg) if colon else module.get_config()
    return config.lock()


def apply_arg(config: ConfigDict, arg: str | None, variants: Mapping[str, Callable[[ConfigDict], None]]) -> ConfigDict:
    """Changes `config` by the text behind the name of a config file: "cpu,backbone=resnet50".

    **Arguments:**

    - `config`: changed in place, and locked against new fields.
    - `arg`: variants and `key=value`, separated by commas. Fields are set after all variants.
    - `variants`: a function for each variant.

    **Returns:** `config`.

    **Raises:** ValueError when there is no such variant, and as `set_field`.
    """
    names, fields = split_arg(arg)
    for name in names:
        if name not in variants:
            raise ValueError(f"config variant {name!r} is unknown; there are {sorted(variants)}, and fields: key=value")
        variants[name](config)
    for key, text in fields:
        set_field(config, key, text)
    return config.lock()


def split_arg(arg: str | None) -> tuple[list[str], list[tuple[str, str]]]:
    """The variants, and the fields with their values, in the text behind the name of a config file."""
    # A comma between brackets belongs to a value: crop=(384,384).
    words = [word.strip() for word in re.findall(r"(?:\([^)]*\)|\[[^\]]*\]|[^,(\[])+", arg or "")]
    pairs = [word.partition("=") for word in words if "=" in word]
    return [word for word in words if "=" not in word], [(key.strip(), value.strip()) for key, _, value in pairs]


def find_field(config: ConfigDict, key: str) -> str:
    """The whole name of a field: "train.steps" of "steps".

    **Raises:** ValueError when there is no such field, or when several sections have it.
    """
    fields = {f"{section}.{name}" for section, part in config.items() if isinstance(part, ConfigDict) for name in part}
    fields |= {name for name, part in config.items() if not isinstance(part, ConfigDict)}
    named = [name for name in fields if name.endswith(f".{key}") and not name.startswith("init.")]
    found = [key] if key in fields else named
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"config field {key!r} may be any of {sorted(found)}")
    near = _near_fields(key, fields)
    hint = f"is it {' or '.join(near)}?" if near else "dbnet_jax/config/defaults.py lists every field"
    raise ValueError(f"config field {key!r} is unknown; {hint}")


def _near_fields(key: str, fields: Iterable[str]) -> list[str]:
    """The whole names of the fields that a wrong key may mean, the nearest first."""

    def alike(one: str, other: str) -> float:
        return difflib.SequenceMatcher(None, one, other).ratio()

    section, _, name = key.rpartition(".")
    ranks = {}
    for field in fields:
        its_section, _, its_name = field.rpartition(".")
        word = len(name) > 3 and name in its_name.split("_")  # "unclip" of "unclip_ratio"
        likeness = max(alike(name, its_name), 0.85 if word else 0)
        if likeness >= 0.75:
            ranks[field] = likeness + alike(section, its_section) / 5  # the section decides between like names
    near = sorted(ranks, key=lambda field: (-ranks[field], field))[:3]
    return [field for field in near if ranks[field] > ranks[near[0]] - 0.1]


def set_field(config: ConfigDict, key: str, text: str) -> None:
    """Sets the field that `key` names to the value that `text` writes. **Raises:** ValueError, which names the field.

    Values are written as in Python; `true` and `false` are allowed too, and strings need no quotes.
    """
    field = find_field(config, key)
    section, _, name = field.rpartition(".")
    part = config[section] if section else config
    kind = part.get_type(name)  # of a field that is None, too
    value: Any = text
    # A bare word stays a text; where none is expected, `assign` names the type.
    with contextlib.suppress(ValueError, SyntaxError):
        value = {"true": True, "false": False}[text] if text in ("true", "false") else ast.literal_eval(text)
    if kind is str and not isinstance(value, str):
        value = text
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    assign(part, name, value, field)


def assign(part: ConfigDict, name: str, value: Any, field: str) -> None:
    """Sets the field `name` of a section. A list stands for a tuple, and an integer for a float.

    **Arguments:** `part`, `name`, `value`; `field`, the whole name of the field.

    **Raises:** ValueError when the value is of another type than the field.
    """
    kind = part.get_type(name) if name in part else type(value)
    try:
        if value is None and not _may_be_none(field):  # ml_collections takes None for anything
            raise TypeError
        part[name] = kind(value) if (kind, type(value)) in ((float, int), (tuple, list)) else value
    except (TypeError, OverflowError) as error:
        raise ValueError(f"`config.{field}` (={value!r:.60}) must be of type {kind.__name__}") from error


def _may_be_none(field: str) -> bool:
    section, _, name = field.rpartition(".")
    known = default_config()
    return field in _NULLABLE or known.get(section, known).get(name) is None


def _near_files(path: pathlib.Path) -> str:
    """The config files that a wrong name may mean, as the end of a message."""
    for folder in (path.parent, pathlib.Path("configs")):
        names = sorted(file.name for file in folder.glob("[a-z]*.py") if "def get_config" in file.read_text("utf-8"))
        if names:
            near = difflib.get_close_matches(path.name, names, cutoff=0.6) or names
            return f"; {folder.resolve()} has {', '.join(near)}"
    return ""
