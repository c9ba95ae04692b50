"""Convolutions that turn a word's picture of height 32 into a row of feature columns, one for 4 pixels of width."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from dbnet_jax.models.layers.conv import Dtype, ModuleDef
from dbnet_jax.models.layers.initialization import he_normal
from dbnet_jax.ops.convolution import convolve
from dbnet_jax.ops.replaceable import replaceable

HEIGHT = 32
"""The height of a word's picture, in pixels."""
STRIDE = 4
"""The pixels of width of one feature column."""

Pixels = Float[Array, "batch height width channels"]
Columns = Float[Array, "batch columns _"]


class Vgg(nn.Module):
    """The seven convolutions of the CRNN paper (arXiv 1507.05717, table 1): 8.3 million parameters with its LSTMs.

    Layers are named and padded as in the widespread PyTorch code, so that its checkpoints fit. A picture of width w
    gives w / 4 + 1 columns.
    """

    conv: ModuleDef
    norm: ModuleDef
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Pixels) -> Columns:
        for number, features in enumerate((64, 128, 256, 256, 512, 512)):
            x = self.conv(features, use_bias=True, name=f"conv{number}")(x)
            if number in (2, 4):
                x = self.norm(name=f"batchnorm{number}")(x)
            x = nn.relu(x)
            if number in (0, 1):
                x = pool(x)
            elif number in (3, 5):
                x = pool_rows_wide(x)
        x = Flat(512, columns=2, dtype=self.dtype, name="conv6")(x)
        return nn.relu(self.norm(name="batchnorm6")(x))


class Slim(nn.Module):
    """A narrow residual network for CPUs: half the height and width at once, then 64, 128 and 256 channels."""

    conv: ModuleDef
    norm: ModuleDef
    dtype: Dtype = jnp.float32
    stages: tuple[tuple[int, int], ...] = ((64, 1), (128, 1), (256, 1))

    @nn.compact
    def __call__(self, x: Pixels) -> Columns:
        x = nn.relu(self.norm(name="bn0")(self.conv(32, strides=2, name="conv0")(x)))
        for number, (features, blocks) in enumerate(self.stages):
            for block in range(blocks):
                x = Residual(features, self.conv, self.norm, name=f"stage{number}_{block}")(x)
            x = pool(x) if number == 0 else pool_rows(x)
        x = Flat(self.stages[-1][0], columns=1, dtype=self.dtype, name="flat")(x)
        return nn.relu(self.norm(name="bn_flat")(x))


class Residual(nn.Module):
    """Two 3×3 convolutions and a shortcut, as in a ResNet-18."""

    features: int
    conv: ModuleDef
    norm: ModuleDef

    @nn.compact
    def __call__(self, x: Pixels) -> Float[Array, "batch height width features"]:
        y = nn.relu(self.norm(name="bn1")(self.conv(self.features, name="conv1")(x)))
        y = self.norm(name="bn2")(self.conv(self.features, name="conv2")(y))
        if x.shape[-1] != self.features:
            x = self.norm(name="bn_shortcut")(self.conv(self.features, kernel_size=1, name="shortcut")(x))
        return nn.relu(x + y)


class Flat(nn.Module):
    """A convolution over both remaining rows and `columns` columns, without padding: no height is left."""

    features: int
    columns: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch 2 width channels"]) -> Float[Array, "batch cols features"]:
        kernel = self.param("kernel", he_normal, (2, self.columns, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), 1, ((0, 0), (0, 0)))
        return (y + bias.astype(self.dtype)[None, None, None])[:, 0]


@replaceable
def pool(x: Pixels) -> Float[Array, "batch rows cols channels"]:
    """The maximum of 2×2 pixels."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


@replaceable
def pool_rows(x: Pixels) -> Float[Array, "batch rows width channels"]:
    """The maximum of two rows."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width, channels).max(2)


@replaceable
def pool_rows_wide(x: Pixels) -> Float[Array, "batch rows cols channels"]:
    """The maximum of 2×2 pixels with stride (2, 1) and a column of padding at each end: one column more."""
    x = jnp.pad(pool_rows(x), ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=jnp.finfo(x.dtype).min)
    width = x.shape[2]
    return jnp.maximum(lax.slice_in_dim(x, 0, width - 1, axis=2), lax.slice_in_dim(x, 1, width, axis=2))


def _slim(**parts: Any) -> nn.Module:
    return Slim(**parts, name="encoder")


def _vgg(**parts: Any) -> nn.Module:
    return Vgg(**parts, name="encoder")


def _resnet(**parts: Any) -> nn.Module:
    return Slim(**parts, stages=((64, 2), (128, 3), (256, 4)), name="encoder")


ENCODERS: dict[str, Callable[..., nn.Module]] = {"slim": _slim, "vgg": _vgg, "resnet": _resnet}
"""The encoders by name, each made of its kind of convolution, its normalisation and a type."""


def column_counts(widths: Any) -> Any:
    """The feature columns of pictures of these widths, padding not counted."""
    return -(-widths // STRIDE)


@replaceable
def column_lengths(widths: Int[Array, "batch"], columns: Columns) -> Int[Array, "batch"]:
    """How many of the feature columns of each picture are no padding."""
    return jnp.minimum(column_counts(widths), columns.shape[1])
