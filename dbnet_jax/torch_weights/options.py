"""The model options of a state dict, from names and shapes, and their differences from a model."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging
from flax import linen as nn

from dbnet_jax.models import DBNet
from dbnet_jax.models.backbones import ALL_OPTIONS
from dbnet_jax.models.backbones.resnet import RESNETS, Bottleneck
from dbnet_jax.torch_weights.names import DETECTORS, MOBILENETS, NameTable, detect_backbone

_LAST_CHANNELS = {"mobilenet_v3_large": 960, "mobilenet_v3_small": 576}
Shapes = Mapping[str, tuple[int, ...]]
Arrays = Mapping[str, np.ndarray | None]


def describe_arrays(source: str, arrays: Arrays, *, decoder: bool) -> dict[str, Any]:
    """The options of `create_model` and the normalization that fit the arrays.

    **Arguments:**

    - `source`: one of `torch_weights.names.SOURCES`.
    - `arrays`: by PyTorch's names, without prefixes.
    - `decoder`: whether to describe the decoder as well as the backbone.

    **Raises:** ValueError if the names belong to no known model.
    """
    backbone = detect_backbone(arrays)
    table = NameTable(source, backbone)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, array in arrays.items():
        place = table.path(name)
        if array is not None and place and array.ndim == place[1].their_axes:
            shapes[place[0]] = place[1].our_shape(array.shape)
    options = _mobilenet(backbone, shapes) if backbone in MOBILENETS else _resnet(shapes, source)
    if decoder:
        options |= _decoder(shapes)
    return options | {"normalization": "official" if source == "official" else "imagenet"}


def _mobilenet(backbone: str, shapes: Shapes) -> dict[str, Any]:
    last = shapes.get("backbone/last_conv/kernel", (1, 1, 0, 0))[-1]
    biased = any(re.fullmatch(r"backbone/block\d+/excite/bias", path) for path in shapes)
    return {
        "backbone": backbone,
        # The channels were rounded up to a multiple of 8, so the quotient is rounded down.
        "width": last * 64 // _LAST_CHANNELS[backbone],
        "dcn": False,
        "dcn_offsets": "strided",
        "mobilenet": "torchvision" if biased else "official",
    }


def _resnet(shapes: Shapes, source: str) -> dict[str, Any]:
    blocks = {match.groups() for path in shapes if (match := re.match(r"backbone/layer(\d)_block(\d+)/", path))}
    stages = Counter(stage for stage, _ in blocks)
    sizes = tuple(stages[str(stage)] for stage in range(1, 5))
    deep = any(re.fullmatch(r"backbone/layer\d_block\d+/conv3/kernel", path) for path in shapes)
    names = [name for name, (block, stage) in RESNETS.items() if stage == sizes and (block is Bottleneck) == deep]
    if not names:
        kind = "bottleneck" if deep else "basic"
        raise ValueError(f"the weights are of no known backbone: a ResNet with {sizes} {kind} blocks in its stages")
    dcn = any("/offset/" in path for path in shapes)
    return {
        "backbone": names[0],
        "width": _most_common(shapes, ("backbone/conv1/kernel", "backbone/bn1/scale", "backbone/bn1/mean")),
        "dcn": dcn,
        # In a basic block both are equal, because its deformable convolution has stride 1.
        "dcn_offsets": "official" if dcn and deep and source == "official" else "strided",
        "mobilenet": "official",
    }


def _decoder(shapes: Shapes) -> dict[str, Any]:
    inner = _most_common(shapes, [f"neck/in{n}/kernel" for n in range(2, 6)])
    fusion = {path.split("/")[1] for path in shapes if path.startswith("scale_fusion/")}
    attention = "scale_channel_spatial"
    if fusion and not fusion & {"channel_down", "channel_up"}:
        attention = "scale_channel" if fusion & {"fc1", "fc2"} else "scale_spatial"
    channels = shapes.get("scale_fusion/conv/kernel", (3, 3, inner, inner // 4))[-1]
    adaptive = any(path.startswith("threshold_head/") for path in shapes)
    return {
        "neck": "fpn",
        "inner_channels": inner,
        "scale_fusion": bool(fusion),
        "attention": attention,
        "attention_channels": None if channels == inner // 4 else channels,
        "adaptive": adaptive,
        "serial": adaptive and shapes.get("threshold_head/conv/kernel", (3, 3, inner, 1))[2] == inner + 1,
    }


def _most_common(shapes: Shapes, paths: Iterable[str]) -> int:
    """The number of channels of most of these arrays. One missing or wrong array does not matter."""
    channels = Counter(shapes[path][-1] for path in paths if path in shapes)
    if not channels:
        raise ValueError(f"the weights are of no known model: none of {', '.join(paths)} is there")
    return channels.most_common(1)[0][0]


def hints_for(source: str, arrays: Arrays, model: nn.Module, *, whole: bool) -> Iterable[str]:
    """A hint for each option of the model that the weights contradict."""
    if whole and source not in DETECTORS:
        yield "hint: a backbone alone is for `load_backbone_weights`, or `config.init.backbone`"
        return
    try:
        options = describe_arrays(source, arrays, decoder=whole and source in DETECTORS)
    except ValueError:
        return
    for option, value in options.items():
        have = option_of(model, option, value)
        # Names and shapes do not show the kind of offsets. A deformable backbone may start from plain weights.
        if have != value and option != "dcn_offsets" and (whole or option != "dcn" or value):
            yield f"hint: the weights look like a model with `{option}` = {value!r}; this one has {have!r}"


def warn_of_offsets(source: str, arrays: Arrays, model: nn.Module) -> None:
    """Warns if the kind of offsets differs. Both kinds have the same names and shapes, so no other check finds it."""
    block, _ = RESNETS.get(getattr(model, "backbone", ""), (None, ()))
    if block is not Bottleneck or not any("offset" in name for name in arrays):
        return
    right, have = "official" if source == "official" else "strided", option_of(model, "dcn_offsets", "")
    if have != right:
        logging.warning(
            "%s weights are trained with `dcn_offsets` = %r and the model has %r (`config.model.dcn_offsets`): its "
            "results will differ",
            source,
            right,
            have,
        )


def option_of(model: nn.Module, option: str, default: Any) -> Any:
    """An option of `create_model` that the model was made with, also where its default was taken."""
    if isinstance(model, DBNet) and option in ALL_OPTIONS:
        return model.backbone_options.get(option, ALL_OPTIONS[option])
    return getattr(model, option, default)
