"""A narrow network's weights in a wider one that gives the same maps: what was learnt is a start, not lost.

The new channels hear all others through random weights and give nothing to the old ones: their weights there are zero,
and learn. Net2Net (Chen et al., arXiv 1511.05641) copies channels instead and must tell the copies apart by noise.
"""

import jax
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float, Int

from dbnet_jax.models import DBNet
from dbnet_jax.models.backbones.resnet import RESNETS
from dbnet_jax.models.layers.initialization import fresh_variables
from dbnet_jax.models.variables import Variables, differences, is_narrower, listed, shapes_of, variable_shapes

Path = tuple[str, ...]

# What sees the four levels of the pyramid side by side: its input channels are four groups, each of which grows.
_OF_LEVELS = ("probability_head/conv/kernel", "threshold_head/conv/kernel")


def widened(narrow: Variables, model: nn.Module, seed: int) -> Variables:
    """Variables of `model`, a wider network, that give the maps of the narrow one.

    **Arguments:**

    - `narrow`: the variables of a network that differs from `model` in its numbers of channels only, on the host.
    - `model`: a ResNet without scale fusion: that one takes means over channels, and a MobileNet's blocks differ in
        more than their channels.
    - `seed`: of the new channels' weights.

    **Returns:** the variables, on the host.

    **Raises:** ValueError when the networks differ in more, or `model` has fewer channels somewhere.
    """
    if not isinstance(model, DBNet) or model.backbone not in RESNETS or model.scale_fusion:
        raise ValueError("`config.init.widen` (=True) is for ResNets without scale fusion")
    old, found, wanted = flatten_dict(narrow), shapes_of(narrow), shapes_of(variable_shapes(model))
    if not is_narrower(found, wanted):
        raise ValueError(
            "`config.init.widen` (=True) adds channels and nothing else; the checkpoint has other arrays, or wider "
            f"ones, than `config.model` describes:{listed(differences(found, wanted), 5)}"
        )
    new = flatten_dict(jax.device_get(jax.jit(lambda: fresh_variables(model, seed))()))
    return dict(unflatten_dict({path: _array(path, old[path], leaf) for path, leaf in new.items()}))


def _array(
    path: Path, old: Float[np.ndarray, "*narrow"], new: Float[np.ndarray, "*wide"]
) -> Float[np.ndarray, "*wide"]:
    groups = [1] * old.ndim
    if "/".join(path[1:]) in _OF_LEVELS:
        groups[-2] = 4
    places = [_places(a, b, n) for a, b, n in zip(old.shape, new.shape, groups, strict=True)]
    result = np.array(new)
    if old.ndim > 1:
        result[..., places[-1]] = 0  # the old outputs, of all inputs: the new ones have no say
    result[np.ix_(*places)] = old
    return result


def _places(narrow: int, wide: int, groups: int) -> Int[np.ndarray, " narrow"]:
    """Where `narrow` channels lie among `wide`: first in each group; what is left over of the groups lies last."""
    starts = np.arange(groups)[:, None] * (wide // groups)
    grouped = (starts + np.arange(narrow // groups)).ravel()
    return np.concatenate([grouped, np.arange(wide - narrow % groups, wide)])
