"""Backbones by name: from normalised images to four feature maps, at strides 4, 8, 16 and 32.

A backbone is added by a module here and by a line in `BACKBONES`. Its factory is called as
`factory(norm=…, width=…, dtype=…, **options)` and returns a module; its other keyword arguments are options of its own,
with their defaults. They become options of `create_model` and fields of `config.model`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn

from dbnet_jax.models.backbones.mobilenet_v3 import MOBILENETS, make_mobilenet
from dbnet_jax.models.backbones.resnet import RESNETS, make_resnet

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(make_resnet, name) for name in RESNETS},
    **{name: partial(make_mobilenet, name) for name in MOBILENETS},
}


def backbone_options(name: str) -> dict[str, Any]:
    """The options that only some backbones have and this one does, with their defaults."""
    parameters = inspect.signature(BACKBONES[name]).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


ALL_OPTIONS: dict[str, Any] = {key: default for name in BACKBONES for key, default in backbone_options(name).items()}
"""The own options of all backbones, with their defaults."""
