"""The names of layers in PyTorch detectors and backbones, as tables that are read in both directions.

A row contains PyTorch's name of a layer, our name, and the kind of the layer. `{i}` stands for a number. The kind
contains the names and layouts of the layer's arrays.

| source | names of |
|---|---|
| "official" | MhLiao/DB, DBNet and DBNet++ |
| "mmocr" | mmocr's DBNet and DBNet++, 0.x and 1.x |
| "torchvision", "timm" | their ImageNet backbones: ResNet and MobileNetV3 |
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from dbnet_jax.torch_weights.layouts import Kind, Layout

DETECTORS = ("official", "mmocr")
SOURCES = (*DETECTORS, "torchvision", "timm")

Row = tuple[str, str, Kind]

RESNET: tuple[Row, ...] = (
    ("conv1", "conv1", Kind.CONV),
    ("bn1", "bn1", Kind.NORM),
    ("layer{s}.{i}.conv{c}", "layer{s}_block{i}/conv{c}", Kind.CONV),
    ("layer{s}.{i}.bn{c}", "layer{s}_block{i}/bn{c}", Kind.NORM),
    ("layer{s}.{i}.downsample.0", "layer{s}_block{i}/downsample_conv", Kind.CONV),
    ("layer{s}.{i}.downsample.1", "layer{s}_block{i}/downsample_bn", Kind.NORM),
)
OFFSET: tuple[Row, ...] = (("layer{s}.{i}.conv{c}_offset", "layer{s}_block{i}/conv{c}/offset", Kind.CONV),)
# Older files of mmdet have the official name.
MMDET_OFFSET: tuple[Row, ...] = (
    ("layer{s}.{i}.conv{c}.conv_offset", "layer{s}_block{i}/conv{c}/offset", Kind.CONV),
    *OFFSET,
)

OFFICIAL_NECK: tuple[Row, ...] = (
    ("decoder.in{n}", "neck/in{n}", Kind.CONV),
    ("decoder.out5.0", "neck/out5", Kind.CONV),
    ("decoder.out4.0", "neck/out4", Kind.CONV),
    ("decoder.out3.0", "neck/out3", Kind.CONV),
    ("decoder.out2", "neck/out2", Kind.CONV),
    ("decoder.concat_attention.conv", "scale_fusion/conv", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.channel_wise.1", "scale_fusion/channel_down", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.channel_wise.3", "scale_fusion/channel_up", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.spatial_wise.0", "scale_fusion/spatial_conv1", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.spatial_wise.2", "scale_fusion/spatial_conv2", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.attention_wise.0", "scale_fusion/attention", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.fc1", "scale_fusion/fc1", Kind.CONV),
    ("decoder.concat_attention.enhanced_attention.bn", "scale_fusion/bn", Kind.NORM),
    ("decoder.concat_attention.enhanced_attention.fc2", "scale_fusion/fc2", Kind.CONV),
)
MMOCR_NECK: tuple[Row, ...] = (
    *((f"neck.lateral_convs.{i}.conv", f"neck/in{i + 2}", Kind.CONV) for i in range(4)),
    *((f"neck.smooth_convs.{i}.conv", f"neck/out{i + 2}", Kind.CONV) for i in range(4)),
    ("neck.asf_conv.conv", "scale_fusion/conv", Kind.CONV_OF_LEVELS),
    ("neck.asf_attn.channel_wise.0.conv", "scale_fusion/channel_down", Kind.CONV),
    ("neck.asf_attn.channel_wise.1.conv", "scale_fusion/channel_up", Kind.CONV),
    ("neck.asf_attn.spatial_wise.0.conv", "scale_fusion/spatial_conv1", Kind.CONV),
    ("neck.asf_attn.spatial_wise.1.conv", "scale_fusion/spatial_conv2", Kind.CONV),
    ("neck.asf_attn.attention_wise.conv", "scale_fusion/attention", Kind.CONV_TO_LEVELS),
)


def _head(theirs: str, ours: str, first: Kind) -> tuple[Row, ...]:
    return (
        (f"{theirs}.0", f"{ours}/conv", first),
        (f"{theirs}.1", f"{ours}/bn1", Kind.NORM),
        (f"{theirs}.3", f"{ours}/up1", Kind.TRANSPOSED),
        (f"{theirs}.4", f"{ours}/bn2", Kind.NORM),
        (f"{theirs}.6", f"{ours}/up2", Kind.TRANSPOSED),
    )


OFFICIAL_HEADS = (
    *_head("decoder.binarize", "probability_head", Kind.CONV),
    *_head("decoder.thresh", "threshold_head", Kind.CONV),
)
# The names of mmocr 1.x come first, because an export uses the first matching row.
MMOCR_HEADS = tuple(
    row
    for head in ("det_head", "bbox_head")
    for theirs, ours in (
        ("binarize", "probability_head"),
        ("threshold", "threshold_head"),
        ("thresh", "threshold_head"),
    )
    for row in _head(f"{head}.{theirs}", ours, Kind.CONV_OF_LEVELS)
)


class MobileNet(NamedTuple):
    """The numbers in the names of a MobileNetV3: blocks in each stage, and blocks (from 1) with squeeze-and-excite."""

    stages: tuple[int, ...]
    excited: frozenset[int]

    def blocks(self) -> list[tuple[int, int, int]]:
        """(block from 1, its stage from 0, its place in the stage from 0) of every block."""
        places = [(stage, place) for stage, blocks in enumerate(self.stages) for place in range(blocks)]
        return [(block, *place) for block, place in enumerate(places, 1)]


MOBILENETS = {
    "mobilenet_v3_large": MobileNet((1, 2, 3, 4, 2, 3), frozenset({4, 5, 6, *range(11, 16)})),
    "mobilenet_v3_small": MobileNet((1, 2, 3, 2, 3), frozenset({1, *range(4, 12)})),
}


def _official_mobilenet(net: MobileNet) -> Iterable[Row]:
    yield ("features.0.0", "stem_conv", Kind.CONV)
    yield ("features.0.1", "stem_bn", Kind.NORM)
    yield ("features.{i}.conv.0", "block{i}/expand_conv", Kind.CONV)
    yield ("features.{i}.conv.1", "block{i}/expand_bn", Kind.NORM)
    yield ("features.{i}.conv.3", "block{i}/depthwise", Kind.CONV)
    yield ("features.{i}.conv.4", "block{i}/depthwise_bn", Kind.NORM)
    yield ("features.{i}.conv.5.fc.0", "block{i}/squeeze", Kind.LINEAR)
    yield ("features.{i}.conv.5.fc.2", "block{i}/excite", Kind.LINEAR)
    yield ("features.{i}.conv.7", "block{i}/project_conv", Kind.CONV)
    yield ("features.{i}.conv.8", "block{i}/project_bn", Kind.NORM)
    last = len(net.blocks()) + 1
    yield (f"features.{last}.0", "last_conv", Kind.CONV)
    yield (f"features.{last}.1", "last_bn", Kind.NORM)


def _torchvision_mobilenet(net: MobileNet) -> Iterable[Row]:
    def with_norm(theirs: str, conv: str, norm: str) -> Iterable[Row]:
        yield (f"{theirs}.0", conv, Kind.CONV)
        yield (f"{theirs}.1", norm, Kind.NORM_1E3)

    yield from with_norm("features.0", "stem_conv", "stem_bn")
    for block, _, _ in net.blocks():
        theirs, ours = f"features.{block}.block", f"block{block}"
        # The first block has no expansion, and absent layers have no number.
        position = 0
        if block > 1:
            yield from with_norm(f"{theirs}.0", f"{ours}/expand_conv", f"{ours}/expand_bn")
            position = 1
        yield from with_norm(f"{theirs}.{position}", f"{ours}/depthwise", f"{ours}/depthwise_bn")
        if block in net.excited:
            position += 1
            yield (f"{theirs}.{position}.fc1", f"{ours}/squeeze", Kind.CONV)
            yield (f"{theirs}.{position}.fc2", f"{ours}/excite", Kind.CONV)
        yield from with_norm(f"{theirs}.{position + 1}", f"{ours}/project_conv", f"{ours}/project_bn")
    yield from with_norm(f"features.{len(net.blocks()) + 1}", "last_conv", "last_bn")


def _timm_mobilenet(net: MobileNet) -> Iterable[Row]:
    yield ("conv_stem", "stem_conv", Kind.CONV)
    yield ("bn1", "stem_bn", Kind.NORM)
    for block, stage, place in net.blocks():
        theirs, ours = f"blocks.{stage}.{place}", f"block{block}"
        if block > 1:
            yield (f"{theirs}.conv_pw", f"{ours}/expand_conv", Kind.CONV)
            yield (f"{theirs}.bn1", f"{ours}/expand_bn", Kind.NORM)
        # The first block has no expansion: its pointwise convolution is the projection.
        depthwise_bn, project, project_bn = ("bn2", "conv_pwl", "bn3") if block > 1 else ("bn1", "conv_pw", "bn2")
        yield (f"{theirs}.conv_dw", f"{ours}/depthwise", Kind.CONV)
        yield (f"{theirs}.{depthwise_bn}", f"{ours}/depthwise_bn", Kind.NORM)
        yield (f"{theirs}.se.conv_reduce", f"{ours}/squeeze", Kind.CONV)
        yield (f"{theirs}.se.conv_expand", f"{ours}/excite", Kind.CONV)
        yield (f"{theirs}.{project}", f"{ours}/project_conv", Kind.CONV)
        yield (f"{theirs}.{project_bn}", f"{ours}/project_bn", Kind.NORM)
    last = len(net.stages)
    yield (f"blocks.{last}.0.conv", "last_conv", Kind.CONV)
    yield (f"blocks.{last}.0.bn1", "last_bn", Kind.NORM)


DEAD = re.compile(
    r"(.*\.)?num_batches_tracked"
    # Classifiers. The official ResNet has one, and an unused `smooth`. The official MobileNetV3 has it in features.18
    # (large) and features.14 (small).
    r"|(backbone\.)?(fc|classifier)(\.\d+)?\.(weight|bias)"
    r"|backbone\.smooth\.(weight|bias)"
    r"|backbone\.features\.(14|18)\.(weight|bias)"
    r"|conv_head\.(weight|bias)"
    r"|data_preprocessor\..*"
)


def is_dead(name: str) -> bool:
    """Whether the array `name` is known to have no use in detection."""
    return DEAD.fullmatch(name) is not None


def rows(source: str, backbone: str) -> Iterable[Row]:
    """The rows of one source with one backbone. Our layers have their whole path.

    **Arguments:**

    - `source`: one of `SOURCES`.
    - `backbone`: a name in `MOBILENETS`, or anything else for a ResNet.
    """
    if backbone in MOBILENETS:
        makers = {"torchvision": _torchvision_mobilenet, "timm": _timm_mobilenet}
        body = tuple(makers.get(source, _official_mobilenet)(MOBILENETS[backbone]))
    else:
        body = RESNET + {"official": OFFSET, "mmocr": MMDET_OFFSET}.get(source, ())
    yield from (
        (f"backbone.{theirs}" if source in DETECTORS else theirs, f"backbone/{ours}", kind)
        for theirs, ours, kind in body
    )
    yield from {"official": OFFICIAL_NECK + OFFICIAL_HEADS, "mmocr": MMOCR_NECK + MMOCR_HEADS}.get(source, ())


class NameTable:
    """PyTorch's names of arrays ↔ our paths ("neck/in5/kernel"), each with its layout.

    **Arguments:** `source`, `backbone`: see `rows`.

    **Raises:** ValueError if `source` is unknown.
    """

    def __init__(self, source: str, backbone: str):
        if source not in SOURCES:
            raise ValueError(f"`source` (={source!r}) must be one of {SOURCES}")
        self._arrays = [
            (f"{theirs}.{their_leaf}", f"{ours}/{our_leaf}", layout)
            for theirs, ours, kind in rows(source, backbone)
            for their_leaf, our_leaf, layout in kind.value
        ]
        self._patterns = [(_pattern(theirs), _pattern(ours)) for theirs, ours, _ in self._arrays]

    def path(self, name: str) -> tuple[str, Layout] | None:
        """Our path of the PyTorch array `name`, and its layout; None if it has no place."""
        for (theirs, _), (_, template, layout) in zip(self._patterns, self._arrays, strict=True):
            if found := theirs.fullmatch(name):
                return template.format(**found.groupdict()), layout
        return None

    def names(self, path: str) -> list[tuple[str, Layout]]:
        """PyTorch's names of our array `path`: the usual name first, then the names of other versions."""
        found = [(ours.fullmatch(path), array) for (_, ours), array in zip(self._patterns, self._arrays, strict=True)]
        return [(template.format(**match.groupdict()), layout) for match, (template, _, layout) in found if match]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w)\\\}", r"(?P<\1>\\d+)", re.escape(template)))


def detect_source(names: Iterable[str]) -> str | None:
    """The source of these names (without prefixes); None if it is unknown."""
    names = set(names)
    signs = {
        "mmocr": r"(neck\.(lateral|smooth)_convs|det_head|bbox_head)\..*",
        "official": r"(decoder|backbone)\..*",
        "timm": r"conv_stem\.weight|blocks\.\d+\.\d+\.(conv|bn).*",
        "torchvision": r"layer1\.0\.conv1\.weight|features\.\d+\.block\..*",
    }
    for source, sign in signs.items():
        if any(re.fullmatch(sign, name) for name in names):
            return source
    return None


def detect_backbone(names: Iterable[str]) -> str:
    """A name in `MOBILENETS`, or "resnet", from PyTorch's names (without prefixes) or our paths."""
    names = set(names)
    if not any(
        re.match(r"(backbone\.)?(features\.|conv_stem|blocks\.)|backbone/(stem_conv|block1)/", n) for n in names
    ):
        return "resnet"
    large = r"(backbone\.)?(features\.1[56]\.|blocks\.6\.)|backbone/block1[2-5]/"
    return "mobilenet_v3_large" if any(re.match(large, name) for name in names) else "mobilenet_v3_small"
