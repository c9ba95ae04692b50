"""A weights file: one .safetensors file whose header contains the config and the model card.

params/backbone/…         kernels in float16, arrays with one axis in float32
batch_stats/backbone/…    float32
__metadata__              format = "dbnet_jax", version, config and card as JSON, digest

Files of earlier versions have no digest. They load without the check.
"""

import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dbnet_jax.config.saved import config_from_json, unknown_fields, without_paths
from dbnet_jax.files import write_atomically
from dbnet_jax.models.variables import Shapes, Variables, differences, listed, shapes_of
from dbnet_jax.paths import as_path, local_copy
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.digest import KEY, weights_digest
from dbnet_jax.weights.model_card import ModelCard

SUFFIX = ".safetensors"
_FORMAT = "dbnet_jax"
_VERSION = 1
_DTYPES = ("float16", "float32")


class Weights(NamedTuple):
    """The content of a weights file. `variables` are NumPy float32, `params` and `batch_stats`."""

    config: ConfigDict
    variables: Variables
    card: ModelCard


def save_weights(
    path: str | os.PathLike[str], variables: Variables, config: ConfigDict, card: ModelCard, *, dtype: str = "float16"
) -> pathlib.Path:
    """Writes the file, and the card as NAME.md beside it.

    A float16 weight has 11 significant bits. These arrays stay float32: biases, batch statistics, and kernels whose
    largest weight is above 65504 or below 2⁻¹⁴, the range of float16. Of each path in the config, only the last name is
    kept.

    **Arguments:**

    - `path`: ends in .safetensors; its folder is created.
    - `variables`: of the network in `config.model`.
    - `config`: with all of its sections.
    - `card`: is written into the header and beside the file.
    - `dtype`: "float16", or "float32" for all arrays.

    **Returns:** the card's path.

    **Raises:** ValueError if the variables do not fit the config, a weight is not finite, or the path has another
    suffix; FileExistsError if NAME.md exists without the weights file, so that it is no card. Nothing is written then.
    """
    path = as_path(path)
    written = _card_beside(path)
    if dtype not in _DTYPES:
        raise ValueError(f"`dtype` (={dtype!r}) must be one of {_DTYPES}")
    arrays = _checked_arrays(variables, config)
    if dtype == "float16":
        arrays = {name: _halved(array) for name, array in arrays.items()}
    values = {"config": without_paths(config).to_dict(), "card": card.as_dict()}
    header = {"format": _FORMAT, "version": str(_VERSION)}
    header |= {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    header[KEY] = weights_digest(header, sorted(arrays.items()))
    content = save(arrays, header)
    parameters = sum(array.size for name, array in arrays.items() if name.startswith("params/"))
    size = f"{parameters:,} parameters, {len(content) / 1e6:.1f} MB"
    text = card.as_markdown(task_of(config).facts(config, size)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)  # `save_file` would let nobody else read it
    write_atomically(written, text)
    return written


def load_weights(path: str | os.PathLike[str]) -> Weights:
    """Reads config, variables and card from a file of `save_weights`.

    **Raises:** FileNotFoundError if the file does not exist; ValueError if it is no file of `save_weights`, is
    truncated or damaged, has a newer version, or has other arrays than its config describes. The error states what to
    do.
    """
    config, card = load_header(path)
    return Weights(config, load_variables(path, config), card)


def load_header(path: str | os.PathLike[str]) -> tuple[ConfigDict, ModelCard]:
    """Reads only the config and the card. **Raises:** as `load_weights`."""
    with _open(path) as file:
        metadata = _metadata(path, file)
    try:
        config = config_from_json(metadata["config"])
        known = {field: value for field, value in json.loads(metadata["card"]).items() if field in _CARD_FIELDS}
        card = ModelCard.from_dict(known)
        unknown = unknown_fields(config)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{_named(path)} has a damaged header ({type(error).__name__}: {error}): {_GET}") from error
    if unknown:
        raise ValueError(
            f"{_named(path)} was written by another version of dbnet_jax: this one does not know {', '.join(unknown)} "
            "of its config; update dbnet_jax"
        )
    return config, card


def load_variables(path: str | os.PathLike[str], config: ConfigDict) -> Variables:
    """Reads the arrays (NumPy float32) of the network in `config.model`. **Raises:** as `load_weights`."""
    with _open(path) as file:
        _metadata(path, file)
        names = list(file.keys())
        if odd := [name for name in names if file.get_slice(name).get_dtype() not in ("F16", "F32")]:
            raise ValueError(f"{_named(path)} holds arrays of another type than float16 or float32: {odd[0]}, …")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        try:
            wrong = differences(shapes, _wanted(config))
        except ValueError as error:
            raise ValueError(f"{_named(path)}: `config.model` describes no network: {error}") from error
        if wrong:
            raise ValueError(
                f"{_named(path)} holds another network than `config.model` describes; its header has its own config:"
                f"{listed(wrong)}"
            )
        arrays = {name: file.get_tensor(name).astype(np.float32) for name in names}
    if bad := _not_finite(arrays):
        raise ValueError(f"{_named(path)} holds numbers that are not finite: {bad}; {_GET}")
    return dict(unflatten_dict(arrays, sep="/"))


def is_weights_file(path: str | os.PathLike[str]) -> bool:
    """Whether `save_weights` wrote the file. False for a missing or truncated file."""
    try:
        with _open(path) as file:
            return _is_ours(file)
    except (ValueError, OSError):
        return False


_CARD_FIELDS = tuple(ModelCard.__dataclass_fields__)
_GET = "get or export it again"


def _named(path: str | os.PathLike[str]) -> str:
    return f"`path` (={os.fspath(path)!r})"


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Any]:
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{_named(path)} is {'a folder, not a file' if path.is_dir() else 'not there'}")
    try:
        opened = safe_open(local_copy(path), framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"{_named(path)} is no whole .safetensors file ({error}): {_GET}") from error
    with opened as file:
        yield file


def _is_ours(file: Any) -> bool:
    return (file.metadata() or {}).get("format") == _FORMAT


def _metadata(path: str | os.PathLike[str], file: Any) -> Mapping[str, str]:
    if not _is_ours(file):
        raise ValueError(
            f"{_named(path)} holds arrays, but no config of dbnet_jax in its header; where they are PyTorch's, "
            "`python run.py --mode=convert` makes a run's folder of them"
        )
    metadata: Mapping[str, str] = file.metadata()
    version = metadata.get("version", "")
    if not re.fullmatch("[0-9]{1,9}", version):
        raise ValueError(f"{_named(path)} has a damaged header (version {version!r:.60}): {_GET}")
    if int(version) > _VERSION:
        raise ValueError(
            f"{_named(path)} is of format version {version}, and this dbnet_jax reads up to {_VERSION}: update it"
        )
    arrays = ((name, file.get_tensor(name)) for name in sorted(file.keys()))
    # A flipped bit in the key of the digest leaves its text under another key.
    renamed = KEY not in metadata and any(text.startswith("sha256:") for text in metadata.values())
    if renamed or (KEY in metadata and metadata[KEY] != weights_digest(metadata, arrays)):
        raise ValueError(f"{_named(path)} is damaged, it has other bytes than were saved: {_GET}")
    return metadata


def _card_beside(path: pathlib.Path) -> pathlib.Path:
    """NAME.md of NAME.safetensors. **Raises:** an error if one of them would replace another kind of file."""
    if path.suffix != SUFFIX:
        raise ValueError(f"{_named(path)} must end in {SUFFIX}")
    if path.is_dir():
        raise IsADirectoryError(f"{_named(path)} is a folder: choose another name")
    written = path.with_suffix(".md")
    if written.exists() and not path.exists():
        raise FileExistsError(
            f"{_named(path)}: its card would replace {written}, which is of no file of weights: choose another name"
        )
    return written


def _checked_arrays(variables: Variables, config: ConfigDict) -> dict[str, np.ndarray]:
    """The variables by path, float32. **Raises:** ValueError if they do not fit the config or are not finite."""
    leaves = flatten_dict(variables, sep="/").items()
    arrays = {name: np.asarray(leaf, np.float32, order="C") for name, leaf in leaves}
    if wrong := differences({name: array.shape for name, array in arrays.items()}, _wanted(config)):
        raise ValueError(f"`variables` are not of the network that `config.model` describes:{listed(wrong)}")
    if bad := _not_finite(arrays):
        raise ValueError(f"`variables` hold numbers that are not finite: {bad}")
    return arrays


def _wanted(config: ConfigDict) -> Shapes:
    return shapes_of(task_of(config).shapes(config))


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """The names of the first arrays with a number that is not finite; "" if there is none."""
    return ", ".join([name for name, array in arrays.items() if not np.isfinite(array).all()][:5])


def _halved(array: np.ndarray) -> np.ndarray:
    """A kernel in float16, if its values are in the range of float16."""
    limits = np.finfo(np.float16)
    largest = float(np.abs(array).max(initial=0.0))
    fits = largest == 0 or float(limits.smallest_normal) <= largest <= float(limits.max)
    return array.astype(np.float16) if array.ndim > 1 and fits else array
