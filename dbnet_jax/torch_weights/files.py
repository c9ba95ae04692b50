"""PyTorch files and dictionaries → one flat dictionary of names and arrays."""

import os
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import jax.numpy as jnp  # also registers bfloat16 with NumPy, which safetensors relies on
import numpy as np
from safetensors.numpy import load_file

from dbnet_jax.paths import as_path, local_copy

# The keys under which training programs save the state dict. The averaged weights come first, because their run was
# evaluated with them.
WRAPPERS = ("state_dict_ema", "state_dict", "model_state_dict", "model", "net", "params")

_DEEPEST = 5  # wrappers in wrappers; the dictionary of a damaged file may contain itself
_IS_FOLDER = 0x10  # a bit of the attributes in a zip archive
_PIECE = 2**20  # bytes that are read at a time

PathOrStateDict = str | os.PathLike[str] | Mapping[str, Any]


def read_state_dict(path_or_state_dict: PathOrStateDict, name: str = "path") -> dict[str, Any]:
    """The state dict of a file or a dictionary, also inside a wrapping dictionary.

    Reading a PyTorch file runs no code from it. It needs torch, an optional requirement.

    **Arguments:**

    - `path_or_state_dict`: one of
        - a .safetensors file,
        - a PyTorch file with any other name (.pth, .pt, .tar; the official files have no suffix),
        - a dictionary of names to NumPy arrays or PyTorch tensors,
        - a dictionary with such a dictionary in "state_dict", "model", "model_state_dict" or "state_dict_ema". Other
          entries (epoch, optimizer, …) are left out.
    - `name`: the name of the path in errors.

    **Returns:** names to values; `as_array` makes arrays of the values.

    **Raises:** FileNotFoundError if the file does not exist; ValueError if it cannot be read; ImportError if torch is
    needed and not installed.
    """
    if not isinstance(path_or_state_dict, (str, os.PathLike, Mapping)):
        kind = type(path_or_state_dict).__name__
        raise TypeError(
            f"`path_or_state_dict` (={kind}) must be a path or a state dict: module.state_dict(), not module"
        )
    if isinstance(path_or_state_dict, Mapping):
        content: Any = path_or_state_dict
        where = "the state dict"
    else:
        content = _read_file(as_path(path_or_state_dict), name)
        where = repr(os.fspath(path_or_state_dict))
    for _ in range(_DEEPEST):
        wrapped = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping) and content[key]]
        content = wrapped[0] if wrapped else content
    emptied = any(isinstance(content.get(key), Mapping) for key in WRAPPERS)
    if not content or emptied or not all(isinstance(key, str) for key in content):
        raise ValueError(f"`path_or_state_dict`: {where} holds no state dict: a dictionary of names and tensors")
    return dict(content)


def check_file(path: str | os.PathLike[str], name: str) -> pathlib.Path:
    """The path, if it is a file. **Raises:** FileNotFoundError; `name` is the argument's name in the message."""
    path = as_path(path)
    if path.is_dir():
        hint = "; a run's workdir is for `config.init.checkpoint`" if (path / "config.json").is_file() else ""
        raise FileNotFoundError(f"`{name}` (={str(path)!r}) is a folder, not a file of weights{hint}")
    if not path.is_file():
        raise FileNotFoundError(f"`{name}` (={str(path)!r}) does not exist")
    return path


def _read_file(path: pathlib.Path, name: str) -> Mapping[Any, Any]:
    named = f"`{name}` (={str(path)!r})"
    path = local_copy(check_file(path, name))
    content = _read_safetensors(path, named) if path.suffix == ".safetensors" else _read_torch(path, named)
    if not isinstance(content, Mapping):
        raise ValueError(f"{named} holds a {type(content).__name__}, not a state dict")
    return content


def _read_safetensors(path: pathlib.Path, named: str) -> Mapping[str, np.ndarray]:
    try:
        return load_file(path)
    except OSError:  # the file cannot be opened
        raise
    except Exception as error:  # SafetensorError, and AttributeError for a type that NumPy lacks (float8)
        raise ValueError(f"{named} is no whole .safetensors file, or has a type that NumPy lacks: {error}") from error


def _read_torch(path: pathlib.Path, named: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{named} is a file of PyTorch: `pip install torch` (or 'dbnet_jax[torch]') reads it; a "
            ".safetensors file needs no torch"
        ) from error
    with path.open("rb") as file:
        try:
            _check_sums(file)
            return torch.load(file, map_location="cpu", weights_only=True)
        # Damaged bytes make torch's readers fail in every way: also by AssertionError, struct.error and OSError.
        except Exception as error:
            raise _torch_error(path, named, error) from error


def _check_sums(file: BinaryIO) -> None:
    """Compares the content of a zip archive with its checksums, which torch does not."""
    if zipfile.is_zipfile(file):  # files from before torch 1.6 are no archives and have no checksums
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.external_attr & _IS_FOLDER and not entry.is_dir():  # torch would read zeros
                    raise zipfile.BadZipFile(f"{entry.filename} is a file, and marked as a folder")
                # 0 means no checksum: the file was written with `torch.serialization.set_crc32_options(False)`.
                with archive.open(entry) as content:
                    while entry.CRC and content.read(_PIECE):
                        pass
    file.seek(0)


def _torch_error(path: pathlib.Path, named: str, error: Exception) -> ValueError:
    """What a person can do about an error of `torch.load`."""
    reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
    if not re.search(r"Unsupported (global|class).*", reason):
        kind = type(error).__name__
        return ValueError(f"{named} is damaged, or no file of PyTorch: copy or download it again ({kind}: {reason})")
    return ValueError(
        f"{named} holds more than tensors, and reading it would run code that it names: "
        f"{reason.split('was not an allowed')[0].strip()}\n"
        "If you trust who made it, save its state dict alone where that code is installed, and read that:\n"
        f"    content = torch.load({str(path)!r}, map_location='cpu', weights_only=False)\n"
        "    torch.save(content['state_dict'], 'x.pth')   # of a whole module: content.state_dict()"
    )


def as_array(value: Any) -> np.ndarray | None:
    """A tensor or array as a NumPy array, which may share its memory; floats become float32. None for other values."""
    if hasattr(value, "detach"):
        # A tensor, so torch is already imported. NumPy has no bfloat16.
        try:
            tensor = value.detach().cpu()
            return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        except (TypeError, RuntimeError):  # sparse or quantized, or on the device "meta"
            return None
    if not isinstance(value, (np.ndarray, np.generic)) and not hasattr(value, "__array__"):
        return None
    array = np.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    with np.errstate(over="ignore"):  # the caller checks for infinity
        return array.astype(np.float32, copy=False)
