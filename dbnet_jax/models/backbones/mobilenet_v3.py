"""MobileNetV3 backbones: features at strides 4, 8, 16 and 32 (Howard et al., arXiv 1905.02244)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dbnet_jax.messages import check_choice
from dbnet_jax.models.layers.conv import Conv, ModuleDef
from dbnet_jax.models.layers.depthwise import DepthwiseConv

LAYOUTS = ("official", "torchvision")


class Row(NamedTuple):
    """A block in the paper's tables 1 and 2."""

    kernel_size: int
    expansion: int
    features: int
    squeeze: bool
    activation: Callable[..., Any]
    strides: int


class Architecture(NamedTuple):
    """A size of the network.

    - `rows`: the blocks.
    - `last`: channels of the closing 1×1 convolution.
    - `taps`: the blocks, counted from 1, whose outputs are c2, c3 and c4; c5 is the closing convolution's.
    """

    rows: tuple[Row, ...]
    last: int
    taps: tuple[int, int, int]


RE, HS = nn.relu, nn.hard_swish
SIZES = {
    "large": Architecture(
        rows=(
            Row(3, 16, 16, False, RE, 1),
            Row(3, 64, 24, False, RE, 2),
            Row(3, 72, 24, False, RE, 1),
            Row(5, 72, 40, True, RE, 2),
            Row(5, 120, 40, True, RE, 1),
            Row(5, 120, 40, True, RE, 1),
            Row(3, 240, 80, False, HS, 2),
            Row(3, 200, 80, False, HS, 1),
            Row(3, 184, 80, False, HS, 1),
            Row(3, 184, 80, False, HS, 1),
            Row(3, 480, 112, True, HS, 1),
            Row(3, 672, 112, True, HS, 1),
            Row(5, 672, 160, True, HS, 2),
            Row(5, 960, 160, True, HS, 1),
            Row(5, 960, 160, True, HS, 1),
        ),
        last=960,
        taps=(3, 6, 12),
    ),
    "small": Architecture(
        rows=(
            Row(3, 16, 16, True, RE, 2),
            Row(3, 72, 24, False, RE, 2),
            Row(3, 88, 24, False, RE, 1),
            Row(5, 96, 40, True, HS, 2),
            Row(5, 240, 40, True, HS, 1),
            Row(5, 240, 40, True, HS, 1),
            Row(5, 120, 48, True, HS, 1),
            Row(5, 144, 48, True, HS, 1),
            Row(5, 288, 96, True, HS, 2),
            Row(5, 576, 96, True, HS, 1),
            Row(5, 576, 96, True, HS, 1),
        ),
        last=576,
        taps=(1, 3, 8),
    ),
}


class MobileNetV3(nn.Module):
    """The backbone without its classifier. Trained weights have one of two layouts:

    | layout | expansion to as many channels as come in | squeeze-and-excitation |
    |---|---|---|
    | "official", of DBNet's own code | a 1×1 convolution | before the activation; ⌊channels / 4⌋ squeezed; no biases |
    | "torchvision", also timm's | nothing | after the activation; near channels / 4, a multiple of 8; biases |

    torchvision's BatchNorm has an epsilon of 1e-3. The maker of `norm` or the reader of its weights must respect this.

    **Arguments:**

    - `size`: "large" or "small".
    - `norm`: makes a normalisation; called as `norm(name=…)`.
    - `width`: 64 is the paper's network; every number of channels scales with it, rounded up to a multiple of 8.
    - `layout`: "official" or "torchvision".
    - `dtype`: the computation's type.

    **Returns:** the features c2, c3, c4, c5 at strides 4, 8, 16, 32.

    **Raises:** ValueError if the size or the layout is unknown.
    """

    size: str
    norm: ModuleDef
    width: int = 64
    layout: str = "official"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width 3"]) -> list[Float[Array, "batch _ _ _"]]:
        check_choice("size", self.size, SIZES)
        check_choice("layout", self.layout, LAYOUTS)
        architecture = SIZES[self.size]
        conv = partial(Conv, dtype=self.dtype)
        x = conv(scaled(16, self.width), strides=2, name="stem_conv")(x)
        x = nn.hard_swish(self.norm(name="stem_bn")(x))
        features = []
        for index, row in enumerate(architecture.rows, start=1):
            row = row._replace(expansion=scaled(row.expansion, self.width), features=scaled(row.features, self.width))
            x = Block(row, conv=conv, norm=self.norm, layout=self.layout, dtype=self.dtype, name=f"block{index}")(x)
            if index in architecture.taps:
                features.append(x)
        x = conv(scaled(architecture.last, self.width), kernel_size=1, name="last_conv")(x)
        return [*features, nn.hard_swish(self.norm(name="last_bn")(x))]


class Block(nn.Module):
    """1×1 convolution to more channels, depthwise convolution, squeeze-and-excitation, 1×1 to fewer; a shortcut.

    **Arguments:**

    - `row`: its numbers, with channels scaled to the network's width.
    - `conv`, `norm`: make a convolution and a normalisation.
    - `layout`, `dtype`: as of `MobileNetV3`.
    """

    row: Row
    conv: ModuleDef
    norm: ModuleDef
    layout: str = "official"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols features"]:
        row, official = self.row, self.layout == "official"
        y = x
        if official or row.expansion != x.shape[-1]:
            y = self.conv(row.expansion, kernel_size=1, name="expand_conv")(y)
            y = row.activation(self.norm(name="expand_bn")(y))
        y = DepthwiseConv(row.kernel_size, row.strides, dtype=self.dtype, name="depthwise")(y)
        y = self.norm(name="depthwise_bn")(y)
        if row.squeeze and official:
            y = row.activation(y * self.excitation(y))
        else:
            y = row.activation(y)
            if row.squeeze:
                y = y * self.excitation(y)
        y = self.conv(row.features, kernel_size=1, name="project_conv")(y)
        y = self.norm(name="project_bn")(y)
        return x + y if x.shape == y.shape else y

    def excitation(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch 1 1 channels"]:
        """A factor in [0, 1] for each channel, from the channels' means (arXiv 1709.01507)."""
        channels, official = x.shape[-1], self.layout == "official"
        squeezed = channels // 4 if official else nearest(channels / 4)
        y = jnp.mean(x, (1, 2), keepdims=True)
        y = nn.relu(self.conv(squeezed, kernel_size=1, use_bias=not official, name="squeeze")(y))
        return nn.hard_sigmoid(self.conv(channels, kernel_size=1, use_bias=not official, name="excite")(y))


def scaled(channels: int, width: int) -> int:
    """`channels` · `width` / 64, rounded up to a multiple of 8."""
    return -(-channels * width // (64 * 8)) * 8


def nearest(channels: float) -> int:
    """The multiple of 8 next to `channels`, at least 8 and never under 90 % of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


MOBILENETS = {"mobilenet_v3_large": "large", "mobilenet_v3_small": "small"}


def make_mobilenet(name: str, norm: ModuleDef, width: int, dtype: Any, *, mobilenet: str = "official") -> MobileNetV3:
    """A MobileNetV3 by its name in `MOBILENETS`.

    **Arguments:**

    - `norm`, `width`, `dtype`: see `MobileNetV3`.
    - `mobilenet`: its layout, "official" or "torchvision"; ImageNet weights exist for the second.

    **Raises:** ValueError when the layout is unknown.
    """
    check_choice("mobilenet", mobilenet, LAYOUTS)
    return MobileNetV3(MOBILENETS[name], norm, width, mobilenet, dtype, name="backbone")
