"""PyTorch weights → our variables and back: official, mmocr, torchvision and timm (`torch_weights.names`)."""

import re
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from dbnet_jax.models.recognition import Crnn
from dbnet_jax.models.variables import Variables, variable_shapes
from dbnet_jax.torch_weights.crnn import load_crnn
from dbnet_jax.torch_weights.files import PathOrStateDict, as_array, read_state_dict
from dbnet_jax.torch_weights.names import DETECTORS, SOURCES, NameTable, detect_backbone, detect_source, is_dead
from dbnet_jax.torch_weights.options import describe_arrays, hints_for, warn_of_offsets

_PREFIX = re.compile(r"((model|module)\.)*")


def load_torch_weights(path_or_state_dict: PathOrStateDict, model: nn.Module) -> Variables:
    """The weights of a whole PyTorch detector as variables of `model`.

    Input channels are never permuted. The official networks expect BGR − mean over 255. mmocr's networks expect RGB
    with ImageNet's mean and deviation (`dbnet_jax.images.normalization`).

    **Arguments:**

    - `path_or_state_dict`: a checkpoint of MhLiao/DB or mmocr, see `torch_weights.files.read_state_dict`. Prefixes
        `model.` and `module.` are removed. Arrays have any floating type.
    - `model`: from `create_model`, with the options that `describe` returns; or from `create_recognizer`, for a CRNN
        (see `torch_weights.crnn`).

    **Returns:** `{"params": …, "batch_stats": …}`, NumPy float32.

    **Raises:** ValueError that lists every array that is missing, unexpected, of a wrong shape, not finite or not of
    floating point. Arrays without use are not listed: classifiers, `backbone.smooth`, `num_batches_tracked`, and the
    threshold branch if the model has none. FileNotFoundError, ImportError as `read_state_dict`.
    """
    if isinstance(model, Crnn):
        return load_crnn(read_state_dict(path_or_state_dict), model)
    weights = _read(path_or_state_dict)
    return _fitted(weights, variable_shapes(model), model, whole=True)


def load_backbone_weights(path_or_state_dict: PathOrStateDict, model: nn.Module) -> Variables:
    """Only the backbone's weights, of an ImageNet classifier of torchvision or timm, or of a whole detector.

    torchvision's MobileNetV3 normalises with an epsilon of 1e-3, ours with 1e-5. The difference is added to the
    variances, so that inference gives the same numbers. Training continues with our epsilon. timm's own MobileNetV3 has
    1e-5. Do not use timm's `tf_` variants: they have the same names but another epsilon and another padding.

    **Arguments:** as in `load_torch_weights`.

    **Returns:** `{"params": {"backbone": …}, "batch_stats": {"backbone": …}}`, NumPy float32. If only the model's
    backbone is deformable, the offset convolutions are missing. The caller keeps their initial weights.

    **Raises:** as `load_torch_weights`.
    """
    weights = _read(path_or_state_dict)
    like = {collection: {"backbone": tree["backbone"]} for collection, tree in variable_shapes(model).items()}
    if weights.source in DETECTORS:
        arrays = {name: array for name, array in weights.arrays.items() if name.startswith("backbone.")}
        weights = weights._replace(arrays=arrays)
    if not any("offset" in name for name in weights.arrays):
        like = {collection: _without_offsets(tree) for collection, tree in like.items()}
    return _fitted(weights, like, model, whole=False)


def convert_state_dict(path_or_state_dict: PathOrStateDict, like: Variables, source: str | None = None) -> Variables:
    """A part of a detector, from a state dict of this part.

    **Arguments:**

    - `path_or_state_dict`: as in `load_torch_weights`; names begin at the detector ("decoder.in5.weight").
    - `like`: variables of the part, or their shapes, with their paths in `DBNet`.
    - `source`: one of `torch_weights.names.SOURCES`; None detects it.

    **Returns:** variables with the structure of `like`, NumPy float32.

    **Raises:** as `load_torch_weights`.
    """
    return _fitted(_read(path_or_state_dict, source), like, None, whole=True)


def export_torch_weights(variables: Variables, model: nn.Module, source: str = "official") -> dict[str, np.ndarray]:
    """Our variables as a PyTorch state dict: the inverse of `load_torch_weights`, by the same table.

    Arrays without use (the official `backbone.fc` and `backbone.smooth`, classifiers) are not written. A PyTorch model
    that has them loads the result with `strict=False`.

    **Arguments:**

    - `variables`: of `model`.
    - `model`: from `create_model`.
    - `source`: "official" or "mmocr" names the whole detector; "torchvision" or "timm" names the backbone.

    **Returns:** names to float32 arrays.

    **Raises:** ValueError if `variables` are of another model, or `source` is unknown or has no names for the model.
    """
    arrays = _flat(variables)
    have, wanted = _shapes(variables), _shapes(variable_shapes(model))
    if differing := [path for path in {**wanted, **have} if have.get(path) != wanted.get(path)]:
        raise ValueError(f"`variables` are not those of `model`: {', '.join(differing)}")
    table = NameTable(source, detect_backbone(arrays))
    exported, nameless = {}, []
    for path, array in arrays.items():
        if source not in DETECTORS and not path.startswith("backbone/"):
            continue
        if names := table.names(path):
            name, layout = names[0]
            exported[name] = np.ascontiguousarray(layout.to_theirs(np.asarray(array, np.float32)))
        else:
            nameless.append(path)
    if nameless:
        raise ValueError(f"`source` (={source!r}) has no names for {', '.join(nameless)}")
    return exported


def describe(path_or_state_dict: PathOrStateDict) -> dict[str, Any]:
    """The model of the weights, from their names and shapes.

    **Arguments:** as in `load_torch_weights`. For a backbone, only its own options are returned.

    **Returns:** options of `create_model`, "backbone" (the name), and "normalization" (of
    `dbnet_jax.images.normalization`). `k` cannot be found from the weights.

    **Raises:** ValueError if the names belong to no known model.
    """
    weights = _read(path_or_state_dict)
    whole = weights.source in DETECTORS and not all(name.startswith("backbone.") for name in weights.arrays)
    return describe_arrays(weights.source, weights.arrays, decoder=whole)


class _Weights(NamedTuple):
    """A state dict without the prefix of its names. A value that is no array is None in `arrays`."""

    source: str
    prefix: str
    arrays: dict[str, np.ndarray | None]
    doubled: list[str]


def _read(path_or_state_dict: PathOrStateDict, source: str | None = None) -> _Weights:
    state_dict = read_state_dict(path_or_state_dict)
    prefixes = set()
    arrays: dict[str, np.ndarray | None] = {}
    doubled = []
    for name, value in state_dict.items():
        bare = _PREFIX.sub("", name, count=1)
        prefixes.add(name.removesuffix(bare))
        if bare in arrays and not is_dead(bare):
            doubled.append(name)
        arrays[bare] = as_array(value)
    source = source or detect_source(arrays)
    if source is None:
        some = ", ".join(sorted(state_dict)[:5])
        raise ValueError(f"`path_or_state_dict` has names ({some}, …) of none of {', '.join(SOURCES)}")
    return _Weights(source, prefixes.pop() if len(prefixes) == 1 else "", arrays, doubled)


def _fitted(weights: _Weights, like: Variables, model: nn.Module | None, *, whole: bool) -> Variables:
    """The weights in the structure of `like`. **Raises:** ValueError that lists every difference."""
    found, problems = _convert(weights, _shapes(like))
    if problems:
        hints = [] if model is None else hints_for(weights.source, weights.arrays, model, whole=whole)
        raise ValueError("\n  ".join(["the weights do not fit the model:", *hints, *sorted(problems)]))
    if model is not None:
        warn_of_offsets(weights.source, weights.arrays, model)
    flat = {key: found["/".join(key[1:])] for key in flatten_dict(like)}
    return {collection: {} for collection in like} | dict(unflatten_dict(flat))


def _convert(weights: _Weights, wanted: dict[str, tuple[int, ...]]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays by our paths, and one line for each difference from the wanted shapes."""
    table = NameTable(weights.source, detect_backbone(wanted))
    adaptive = any(path.startswith("threshold_head/") for path in wanted)
    found: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}
    problems = [f"twice: {name}" for name in weights.doubled]
    for name, array in weights.arrays.items():
        full, (path, layout) = weights.prefix + name, table.path(name) or ("", None)
        if is_dead(name) or (path.startswith("threshold_head/") and not adaptive):
            continue
        if layout is None or path not in wanted:
            problems.append(f"unexpected: {full} {'' if array is None else array.shape}")
            continue
        if path in names:
            problems.append(f"twice: {names[path]} and {full}")
        names[path] = full
        shape = layout.their_shape(wanted[path])
        if array is None or array.dtype != np.float32:
            problems.append(f"not of floating point: {full} ({'no array' if array is None else array.dtype})")
        elif array.shape != shape:
            problems.append(f"misshapen: {full} is {array.shape}, {shape} is wanted ({path})")
        elif not np.isfinite(array).all():
            problems.append(f"not finite: {full} holds NaN or infinity")
        else:
            # A copy, because the caller may change the array, or a file may be mapped into memory.
            found[path] = np.array(layout.to_ours(array), order="C")
    problems += [_missing(path, wanted[path], table, weights) for path in wanted if path not in names]
    return found, problems


def _missing(path: str, shape: tuple[int, ...], table: NameTable, weights: _Weights) -> str:
    names = table.names(path)
    if not names:
        return f"missing: {path} {shape}, for which {weights.source} weights have no name"
    # Versions of the source have different names: take the name whose neighbours are present.
    near = [item for item in names if any(given.startswith(item[0].rsplit(".", 2)[0]) for given in weights.arrays)]
    name, layout = (near or names)[0]
    return f"missing: {weights.prefix}{name} {layout.their_shape(shape)} ({path})"


def _flat(variables: Variables) -> dict[str, Any]:
    """Arrays by path without the collection. Parameters and statistics of a module have different names."""
    return {"/".join(key[1:]): leaf for key, leaf in flatten_dict(variables).items()}


def _shapes(variables: Variables) -> dict[str, tuple[int, ...]]:
    return {path: tuple(leaf.shape) for path, leaf in _flat(variables).items()}


def _without_offsets(tree: dict[str, Any]) -> dict[str, Any]:
    return dict(unflatten_dict({key: leaf for key, leaf in flatten_dict(tree).items() if "offset" not in key}))
