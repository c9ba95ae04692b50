"""The shipped weights, by name."""

import difflib
import importlib.resources
import os
import pathlib

from dbnet_jax.paths import as_path
from dbnet_jax.weights.file import SUFFIX

FOLDER = pathlib.Path(str(importlib.resources.files("dbnet_jax"))) / "weights/files"
DEFAULT = "small-word"


def pretrained_names() -> list[str]:
    """The names of the shipped weights, for example "small-word"."""
    return sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}"))


def pretrained_path(name: str, argument: str = "name") -> pathlib.Path:
    """The file of shipped weights.

    **Arguments:** `name`; `argument`: its name in messages.

    **Raises:** ValueError if the name is unknown. The error lists the known names.
    """
    names = pretrained_names()
    if name in names:
        return FOLDER / f"{name}{SUFFIX}"
    if not names:
        raise ValueError(
            f"`{argument}` (={name!r}): this copy of dbnet_jax has no trained weights, {FOLDER} holds no {SUFFIX} "
            "file. Train a detector (`make quickstart` takes minutes) and name its folder (--workdir, "
            "Detector.from_checkpoint), or a file that --mode=export wrote (--weights)"
        )
    near = difflib.get_close_matches(str(name), names)
    hint = f"; is it {' or '.join(near)}?" if near else ""
    if _is_path(str(name)):
        hint = "; Detector.from_checkpoint takes a file, or a run's folder"
    raise ValueError(f"`{argument}` (={name!r}) must be one of the shipped weights {names}{hint}")


def find_weights(name_or_file: str | os.PathLike[str], argument: str = "weights") -> pathlib.Path:
    """The path of a weights file: an existing file, or shipped weights by name.

    **Arguments:** `name_or_file`; `argument`: its name in messages.

    **Raises:** FileNotFoundError if it has the form of a path and does not exist; ValueError if it is a folder;
    otherwise as `pretrained_path`.
    """
    name, path = os.fspath(name_or_file), as_path(name_or_file)
    if path.is_file():
        return path
    if path.is_dir() and name not in pretrained_names():
        raise ValueError(f"`{argument}` (={name!r}) is a folder: --workdir takes that of a run")
    if _is_path(name):
        raise FileNotFoundError(f"`{argument}` (={name!r}) is not there")
    return pretrained_path(name, argument)


def _is_path(name: str) -> bool:
    """Whether the text has the form of a path and not of a name."""
    path = pathlib.PurePath(name)
    return path.suffix == SUFFIX or len(path.parts) > 1
