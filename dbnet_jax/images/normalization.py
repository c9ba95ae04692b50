"""Normalisation of pixels for the network."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from dbnet_jax.messages import check_choice

# name → (channels reversed to BGR, mean, standard deviation), both in units of pixels.
NORMALIZATIONS: dict[str, tuple[bool, tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "official": (True, (122.67891434, 116.66876762, 104.00698793), (255.0, 255.0, 255.0)),
}


def normalize(
    images: Num[Array, "*batch height width 3"], kind: str = "imagenet"
) -> Float[Array, "*batch height width 3"]:
    """Pixels → (pixels − mean) / deviation, in float32.

    **Arguments:**

    - `images`: RGB in [0, 255]; uint8 or float.
    - `kind`: "imagenet" is RGB with ImageNet's mean and deviation. "official" is the official PyTorch code's: BGR minus
        its mean, over 255. The official mean is applied in the order of its list, to BGR.

    **Returns:** float32 of the same shape.

    **Raises:** ValueError when `kind` is unknown.
    """
    check_choice("normalization", kind, NORMALIZATIONS)
    reverse, mean, deviation = NORMALIZATIONS[kind]
    shape = (1,) * (images.ndim - 1) + (3,)
    pixels = images.astype(jnp.float32)
    if reverse:
        pixels = pixels[..., ::-1]
    return (pixels - jnp.array(mean, jnp.float32).reshape(shape)) / jnp.array(deviation, jnp.float32).reshape(shape)


def grey_to_unit(images: Num[Array, "batch 32 width"]) -> Float[Array, "batch 32 width 1"]:
    """From levels of grey in [0, 255] to a recogniser's input in [−1, 1]."""
    return (images.astype(jnp.float32) / 127.5 - 1)[..., None]
