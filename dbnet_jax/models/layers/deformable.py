"""Modulated deformable convolution (Zhu et al., "Deformable ConvNets v2", arXiv 1811.11168; paper section 3.3).

A plain 3×3 convolution reads the pixel p + k of the input for each place k in the kernel. Here it reads at p + k + Δ,
between the pixels, and multiplies by m. Another convolution of the same input computes Δ and m:

    y(p) = Σₖ mₖ(p) · x(p + k + Δₖ(p)) · Wₖ

So the kernel can follow the shape of the text. x is bilinear between pixels, and zero outside the picture.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from dbnet_jax.models.layers.conv import Conv
from dbnet_jax.models.layers.initialization import he_normal
from dbnet_jax.ops.bilinear import sample

OFFSETS = ("strided", "official")
Sum = Float[Array, "batch pixels features"]


def deformable_conv(
    x: Float[Array, "batch height width channels"],
    offset: Float[Array, "batch rows cols groups taps 2"],
    mask: Float[Array, "batch rows cols groups taps"],
    kernel: Float[Array, "kh kw channels features"],
    *,
    strides: int = 1,
    padding: int = 1,
    dilation: int = 1,
) -> Float[Array, "batch rows cols features"]:
    """Convolves `x` with a kernel whose taps are displaced and scaled at every output pixel.

    One tap at a time: the channel vectors of the four pixels around each sampling point are gathered whole and
    weighted, and one matrix product with the tap's [channels, features] adds them to the output. The backward pass
    gathers again instead of remembering, and works a corner at a time. The largest arrays beside the arguments and
    their gradients are a float32 copy of `x`, the samples of one tap [batch, rows, cols, channels] and the sum
    [batch, rows, cols, features]. For a 3×3 kernel and 128 channels or more the forward pass needs 2.4 times the memory
    of a float32 `x` and the backward pass 6.5 times (XLA:CPU's count; 3.4 and 9.5 of such where `x` is bfloat16), where
    unfolding the input for one matrix product takes nine times, and nine again for the gradient.

    Coordinates, interpolation and sums are float32 whatever the type of `x`: bfloat16 cannot name a pixel beyond 256.
    The matrix products are in the type of `x` with float32 sums.

    **Arguments:**

    - `x`: the input.
    - `offset`: Δ as (y, x) in pixels of the input, for each tap row by row, for each group of input channels.
    - `mask`: m, the modulation; in [0, 1] where it comes from a sigmoid.
    - `kernel`: W.
    - `strides`, `padding`, `dilation`: in pixels, the same for both axes.

    **Returns:** y, in the type of `x`; rows = ⌊(height + 2·padding − dilation·(kh − 1) − 1) / strides⌋ + 1, and cols
    likewise. With Δ = 0 and m = 1 it is the plain convolution. Differentiable once, in reverse mode, by `x`, `offset`,
    `mask` and `kernel`; where a sampling point lies on a pixel the derivative by Δ is the one towards the next pixel,
    and at −1 or the height (or width) and beyond it is zero: both as in the reference implementation.

    **Raises:** ValueError when the sizes of `offset`, `mask` or `kernel` do not fit, or the groups do not divide the
    channels.
    """
    batch, height, width, channels = x.shape
    _check_sizes(x, offset, mask, kernel, strides, padding, dilation)
    rows, cols, groups, taps = mask.shape[1:]
    features = kernel.shape[-1]
    # The groups join the batch: each has its own points, and reads its own share of the channels.
    pixels = x.astype(jnp.float32).reshape(batch, height * width, groups, channels // groups)
    pixels = pixels.swapaxes(1, 2).reshape(batch * groups, height * width, channels // groups)

    def by_tap(a: Float[Array, "batch rows cols groups taps two"]) -> Float[Array, "taps batched points two"]:
        a = a.astype(jnp.float32).transpose(4, 0, 3, 1, 2, 5)
        return a.reshape(taps, batch * groups, rows * cols, a.shape[-1])

    @jax.checkpoint
    def add_tap(total: Sum, tap: tuple[Array, Array, Array, Array]) -> tuple[Sum, None]:
        place, offset, mask, weight = tap
        samples = mask * sample(pixels, (height, width), place[None, :, :] + offset)
        samples = samples.reshape(batch, groups, rows * cols, channels // groups).swapaxes(1, 2)
        samples = samples.reshape(batch, rows * cols, channels)
        product = jnp.einsum("bpc,cf->bpf", samples.astype(x.dtype), weight, preferred_element_type=jnp.float32)
        return total + product, None

    total = jnp.zeros((batch, rows * cols, features), jnp.float32)
    places = _tap_places(kernel.shape[0], kernel.shape[1], rows, cols, strides, padding, dilation)
    weights = kernel.astype(x.dtype).reshape(taps, channels, features)
    # A loop keeps one tap's samples alive at a time, in both directions, and compiles its body once.
    total, _ = lax.scan(add_tap, total, (places, by_tap(offset), by_tap(mask[..., None]), weights))
    return total.reshape(batch, rows, cols, features).astype(x.dtype)


def _tap_places(
    kh: int, kw: int, rows: int, cols: int, strides: int, padding: int, dilation: int
) -> Float[Array, "taps points 2"]:
    """Where each tap reads for each output pixel when it is not displaced, as (y, x) in pixels of the input."""

    def along(taps: int, size: int) -> Float[Array, "taps size"]:
        first, step = jnp.arange(taps) * dilation - padding, jnp.arange(size) * strides
        return (first[:, None] + step[None, :]).astype(jnp.float32)

    y = jnp.broadcast_to(along(kh, rows)[:, None, :, None], (kh, kw, rows, cols))
    x = jnp.broadcast_to(along(kw, cols)[None, :, None, :], (kh, kw, rows, cols))
    return jnp.stack([y, x], axis=-1).reshape(kh * kw, rows * cols, 2)


def _check_sizes(
    x: Float[Array, "batch height width channels"],
    offset: Array,
    mask: Array,
    kernel: Array,
    strides: int,
    padding: int,
    dilation: int,
) -> None:
    kh, kw, channels = kernel.shape[:3]
    if channels != x.shape[3]:
        raise ValueError(f"`kernel` (={kernel.shape}) must have the {x.shape[3]} channels of `x` (={x.shape})")
    rows, cols = (
        (size + 2 * padding - dilation * (taps - 1) - 1) // strides + 1
        for size, taps in ((x.shape[1], kh), (x.shape[2], kw))
    )
    groups = mask.shape[3] if mask.ndim == 5 else 1
    wanted = (x.shape[0], rows, cols, groups, kh * kw)
    if mask.shape != wanted or offset.shape != (*wanted, 2):
        raise ValueError(
            f"`mask` (={mask.shape}) and `offset` (={offset.shape}) must be {wanted} and {(*wanted, 2)}: batch, rows, "
            "cols, groups and taps, and (y, x)"
        )
    if groups < 1 or channels % groups:
        raise ValueError(f"`mask` (={mask.shape}) has {groups} groups, which must divide the {channels} channels")


class DeformableConv(nn.Module):
    """A deformable convolution in the place of a plain one; its offsets and masks come from a convolution of its own.

    That convolution, `offset`, starts at zero: at first every tap is where a plain convolution has it, and scaled by
    sigmoid(0) = 0.5. Its channels are (y, x) for each tap, and behind all of those the masks' logits. It runs in
    float32 also where `dtype` is bfloat16, for it names positions.

    **Arguments:**

    - `features`: channels out.
    - `kernel_size`, `strides`: in pixels; `kernel_size` is odd and the padding half of it.
    - `offsets`: how the offsets of a layer with a stride lie. "strided": its offset convolution has the stride too.
        "official": that convolution has stride 1, and the official code's kernel takes the head of its flat memory,
        the first values of the map [channels, height, width], for offsets of [channels, rows, cols]. Weights that were
        trained so (the released ResNet-50 models) need it; nothing else should want it.
    - `dtype`: the computation's type.
    """

    features: int
    kernel_size: int = 3
    strides: int = 1
    offsets: str = "strided"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows cols features"]:
        if self.offsets not in OFFSETS:
            raise ValueError(f"`offsets` (={self.offsets!r}) must be one of {OFFSETS}")
        size, taps = self.kernel_size, self.kernel_size**2
        kernel = self.param("kernel", he_normal, (size, size, x.shape[-1], self.features), jnp.float32)
        raw = Conv(
            3 * taps,
            size,
            strides=self.strides if self.offsets == "strided" else 1,
            use_bias=True,
            kernel_init=nn.initializers.zeros,
            name="offset",
        )(x)
        offset, logits = jnp.split(raw, [2 * taps], axis=-1)
        if self.offsets == "official" and self.strides > 1:
            offset, logits = _flat_head(offset, self.strides), _flat_head(logits, self.strides)
        return deformable_conv(
            x.astype(self.dtype),
            offset.reshape(*offset.shape[:3], 1, taps, 2),
            jax.nn.sigmoid(logits)[..., None, :],
            kernel,
            strides=self.strides,
            padding=(size - 1) // 2,
        )


def _flat_head(
    a: Float[Array, "batch height width channels"], strides: int
) -> Float[Array, "batch rows cols channels"]:
    """What a reader finds who takes the channels-first memory of `a` for that of a map `strides` times smaller."""
    batch, height, width, channels = a.shape
    rows, cols = -(-height // strides), -(-width // strides)
    flat = a.transpose(0, 3, 1, 2).reshape(batch, -1)[:, : channels * rows * cols]
    return flat.reshape(batch, channels, rows, cols).transpose(0, 2, 3, 1)
