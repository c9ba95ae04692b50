"""The weights that ship with the package, by their names."""

import difflib
import importlib.resources
import os
import pathlib

from dbnet_jax.weights_file import SUFFIX

FOLDER = pathlib.Path(str(importlib.resources.files("dbnet_jax"))) / "weights"
DEFAULT = "small-word"


def pretrained_names() -> list[str]:
    """What there is, as in "small-word"."""
    return sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}"))


def pretrained_path(name: str) -> pathlib.Path:
    """The file of shipped weights. **Raises:** ValueError, with the names that there are, when `name` is none."""
    names = pretrained_names()
    if name in names:
        return FOLDER / f"{name}{SUFFIX}"
    if not names:
        raise ValueError(
            f"`name` (={name!r}): this copy of dbnet_jax has no trained weights, {FOLDER} holds no {SUFFIX} file. "
            "Train a detector (`make quickstart` takes minutes) and name its folder (--workdir, "
            "Detector.from_checkpoint), or a file that --mode=export wrote (--weights)"
        )
    near = difflib.get_close_matches(name, names)
    hint = f"; is it {' or '.join(near)}?" if near else ""
    raise ValueError(f"`name` (={name!r}) must be one of the shipped weights {names}{hint}")


def find_weights(name_or_file: str | os.PathLike[str]) -> pathlib.Path:
    """The file that is there under this name, or else the shipped weights of it.

    **Raises:** FileNotFoundError when it must be a file, as its form says, and is not there; otherwise as
    `pretrained_path`.
    """
    path = pathlib.Path(name_or_file)
    if path.is_file():
        return path
    if path.suffix == SUFFIX or len(path.parts) > 1:
        raise FileNotFoundError(f"`weights` (={os.fspath(name_or_file)!r}) is not there, or not a file")
    return pretrained_path(os.fspath(name_or_file))
