"""ResNet backbones: features at strides 4, 8, 16 and 32 (He et al., arXiv 1512.03385, in torchvision's layout)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.messages import check_choice
from dbnet_jax.models.layers.conv import Conv, ModuleDef, max_pool
from dbnet_jax.models.layers.deformable import OFFSETS, DeformableConv


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut: the block of ResNet-18 and 34.

    The first convolution has the stride and is always plain. `conv3x3` makes the second, as the official code places
    its deformable convolutions.
    """

    features: int
    conv: ModuleDef
    conv3x3: ModuleDef
    norm: ModuleDef
    strides: int = 1
    expansion = 1

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols features"]:
        y = self.conv(self.features, strides=self.strides, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.conv3x3(self.features, name="conv2")(y)
        y = self.norm(name="bn2")(y)
        return nn.relu(y + _shortcut(self, x, self.features))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut: the block of ResNet-50 and 101. The 3×3 has the stride."""

    features: int
    conv: ModuleDef
    conv3x3: ModuleDef
    norm: ModuleDef
    strides: int = 1
    expansion = 4

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols features"]:
        y = self.conv(self.features, kernel_size=1, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.conv3x3(self.features, strides=self.strides, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        y = self.conv(self.features * self.expansion, kernel_size=1, name="conv3")(y)
        y = self.norm(name="bn3")(y)
        return nn.relu(y + _shortcut(self, x, self.features * self.expansion))


def _shortcut(
    block: BasicBlock | Bottleneck, x: Float[Array, "batch height width channels"], features: int
) -> Float[Array, "batch rows cols features"]:
    if block.strides == 1 and x.shape[-1] == features:
        return x
    x = block.conv(features, kernel_size=1, strides=block.strides, name="downsample_conv")(x)
    return block.norm(name="downsample_bn")(x)


class ResNet(nn.Module):
    """The backbone without its classifier.

    **Arguments:**

    - `block`: `BasicBlock` or `Bottleneck`.
    - `stage_sizes`: blocks in each of the four stages.
    - `width`: channels of the stem and the first stage; 64 in the paper, less in a narrow model. Each later stage
        doubles it.
    - `max_width`: the most channels of a stage before its block's expansion; None is no limit.
    - `norm`: makes a normalisation; called as `norm(name=…)`.
    - `conv3x3`: for each stage, the maker of its 3×3 convolutions, called as `conv3x3(features, strides=…, name=…)`. A
        deformable convolution may take the place of a plain one.
    - `dtype`: the computation's type.

    **Returns:** the features c2, c3, c4, c5 at strides 4, 8, 16, 32.
    """

    block: type[BasicBlock] | type[Bottleneck]
    stage_sizes: Sequence[int]
    norm: ModuleDef
    width: int = 64
    max_width: int | None = None
    conv3x3: Sequence[ModuleDef] = (Conv, Conv, Conv, Conv)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width 3"]) -> list[Float[Array, "batch _ _ _"]]:
        conv = partial(Conv, dtype=self.dtype)
        x = conv(self.width, kernel_size=7, strides=2, name="conv1")(x)
        x = max_pool(nn.relu(self.norm(name="bn1")(x)))
        features = []
        for stage, blocks in enumerate(self.stage_sizes):
            width = self.width * 2**stage
            for index in range(blocks):
                x = self.block(
                    width if self.max_width is None else min(width, self.max_width),
                    conv=conv,
                    conv3x3=partial(self.conv3x3[stage], dtype=self.dtype),
                    norm=self.norm,
                    strides=2 if stage > 0 and index == 0 else 1,
                    name=f"layer{stage + 1}_block{index}",
                )(x)
            features.append(x)
        return features


RESNETS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}


def make_resnet(
    name: str,
    norm: ModuleDef,
    width: int,
    dtype: Any,
    *,
    max_width: int | None = None,
    dcn: bool = False,
    dcn_offsets: str = "strided",
) -> ResNet:
    """A ResNet by its name in `RESNETS`.

    **Arguments:**

    - `norm`, `width`, `dtype`, `max_width`: see `ResNet`.
    - `dcn`: the stages conv3, conv4 and conv5 have deformable convolutions, in the places of the official code.
    - `dcn_offsets`: "strided" or "official", see `DeformableConv`.

    **Raises:** ValueError when `max_width` is not positive or `dcn_offsets` is unknown.
    """
    if max_width is not None and max_width < 1:
        raise ValueError(f"`max_width` (={max_width}) must be positive, or None for no limit")
    check_choice("dcn_offsets", dcn_offsets, OFFSETS)
    block, stage_sizes = RESNETS[name]
    conv = partial(DeformableConv, offsets=dcn_offsets) if dcn else Conv
    return ResNet(block, stage_sizes, norm, width, max_width, (Conv, conv, conv, conv), dtype, name="backbone")
