"""PyTorch CRNNs of the widespread layout (`cnn.conv0`, `rnn.0.rnn`, `rnn.1.embedding`) as variables of ours.

https://github.com/meijieru/crnn.pytorch has this layout, and many copies of it.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from dbnet_jax.models.recognition import Crnn
from dbnet_jax.models.recognition.encoders import HEIGHT
from dbnet_jax.models.variables import Variables, differences, listed, shapes_of, variable_shapes
from dbnet_jax.torch_weights.files import as_array

_PREFIX = re.compile(r"^((model|module)\.)*")
_GATES = "ifgo"  # PyTorch stacks an LSTM's gates in this order
_NORMALIZATIONS = {"weight": "params/{}/scale", "bias": "params/{}/bias"}
_STATISTICS = {"running_mean": "batch_stats/{}/mean", "running_var": "batch_stats/{}/var"}
_DENSE = {"rnn.0.embedding": "embedding0", "rnn.1.embedding": "output"}


def is_crnn(state_dict: Mapping[str, object]) -> bool:
    """Whether the names are those of a CRNN."""
    return any(_PREFIX.sub("", name).startswith("rnn.0.rnn.") for name in state_dict)


def describe_crnn(state_dict: Mapping[str, object]) -> dict[str, int]:
    """The options of a CRNN that its shapes decide: "classes", with the blank, and "hidden".

    **Raises:** ValueError if an array that decides one is missing.
    """
    arrays = {_PREFIX.sub("", name): as_array(value) for name, value in state_dict.items()}
    found = {}
    for option, name in (("classes", "rnn.1.embedding.bias"), ("hidden", "rnn.0.rnn.weight_hh_l0")):
        array = arrays.get(name)
        if array is None or not array.ndim:
            raise ValueError(f"the weights are those of a CRNN without {name}, which decides `{option}`")
        found[option] = array.shape[-1]
    return found


def load_crnn(state_dict: Mapping[str, object], model: Crnn) -> Variables:
    """The weights of a PyTorch CRNN.

    They read grey pictures in [−1, 1], 32 pixels high. Class 0 is the blank, as in ours.

    **Arguments:** `state_dict`; `model`: with `backbone="vgg"`, `decoder="ctc"`, the `hidden` and the `classes` of the
    weights.

    **Raises:** ValueError that lists every array that is missing, unexpected, of a wrong shape or not finite.
    """
    if model.backbone != "vgg" or model.decoder != "ctc":
        raise ValueError(f"`model` (backbone {model.backbone!r}, decoder {model.decoder!r}) must be 'vgg' with 'ctc'")
    found: dict[str, np.ndarray] = {}
    unknown = []
    biases: dict[str, np.ndarray] = {}
    for name, value in state_dict.items():
        bare, array = _PREFIX.sub("", name), as_array(value)
        if bare.endswith("num_batches_tracked"):
            continue
        if array is None or not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
            unknown.append(f"{name}: no finite numbers of floating point")
        elif not _convert(bare, np.asarray(array, np.float32), found, biases):
            unknown.append(f"{name}: unexpected")
    for path, bias in biases.items():
        found[path] = bias
    like = variable_shapes(model, jax.ShapeDtypeStruct((1, HEIGHT, 64, 1), jnp.float32))
    wanted = shapes_of(like)
    problems = [*unknown, *differences({path: array.shape for path, array in found.items()}, wanted)]
    if problems:
        raise ValueError(f"the weights do not fit the model:{listed(problems)}")
    return dict(unflatten_dict({tuple(path.split("/")): found[path] for path in map("/".join, flatten_dict(like))}))


def _convert(name: str, array: np.ndarray, found: dict[str, np.ndarray], biases: dict[str, np.ndarray]) -> bool:
    """Puts an array under our paths into `found`; whether it has one. Both biases of a gate are added in `biases`."""
    module, _, kind = name.rpartition(".")
    if re.fullmatch(r"cnn\.conv\d", module) and kind in ("weight", "bias"):
        path = f"params/encoder/{module[4:]}/"
        found[path + ("kernel" if kind == "weight" else "bias")] = (
            array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        )
    elif re.fullmatch(r"cnn\.batchnorm\d", module) and kind in _NORMALIZATIONS | _STATISTICS:
        found[(_NORMALIZATIONS | _STATISTICS)[kind].format(f"encoder/{module[4:]}")] = array
    elif module in _DENSE and kind in ("weight", "bias"):
        found[f"params/{_DENSE[module]}/{'kernel' if kind == 'weight' else 'bias'}"] = array.T
    elif lstm := re.fullmatch(r"rnn\.([01])\.rnn\.(weight|bias)_([ih])h_l0(_reverse)?", name):
        layer, kind, source, reverse = lstm.groups()
        cell = f"params/lstm{layer}_{'backward' if reverse else 'forward'}"
        for gate, part in zip(_GATES, np.split(array, 4), strict=True) if len(array) % 4 == 0 else ():
            if kind == "weight":
                found[f"{cell}/{source}{gate}/kernel"] = part.T
            else:
                path = f"{cell}/h{gate}/bias"
                biases[path] = biases.get(path, np.float32(0)) + part
    else:
        return False
    return True
