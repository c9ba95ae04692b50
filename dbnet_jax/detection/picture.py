"""A picture after detection: its sizes, its maps and its detections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict, cast

import numpy as np
from jaxtyping import Float

from dbnet_jax.postprocess import Detections
from dbnet_jax.typing import Image


class Maps(TypedDict):
    """The maps of one picture, float32 [height, width] in [0, 1], at the size of the network's input.

    A network with `binarization="standard"` has only the probability map.
    """

    probability_map: Float[np.ndarray, "height width"]
    threshold_map: NotRequired[Float[np.ndarray, "height width"]]
    binary_map: NotRequired[Float[np.ndarray, "height width"]]


@dataclass(frozen=True)
class DetectedPicture:
    """A picture (RGB in [0, 255]), its detections, and the maps of the network."""

    image: Image
    detections: Detections
    maps: Maps


class Sizes(NamedTuple):
    """(height, width) of a picture, and of the resized picture in the network, without padding."""

    picture: tuple[int, int]
    seen: tuple[int, int]


def without_padding(outputs: Mapping[str, np.ndarray], sizes: Sizes) -> Maps:
    """The maps of a picture without the padding."""
    height, width = sizes.seen
    return cast(Maps, {name: values[:height, :width] for name, values in outputs.items()})


def notes_on_size(sizes: Sizes, unlimited: tuple[int, int], max_side: int) -> tuple[str, ...]:
    """A note where `max_side` makes a long picture so small that its text may be lost.

    **Arguments:** `sizes`; `unlimited`, (height, width) in the network without `max_side`; `max_side`, in pixels.
    """
    if 2 * min(sizes.seen) >= min(*unlimited, *sizes.picture):
        return ()
    seen, picture = (f"{width}×{height}" for height, width in (sizes.seen, sizes.picture))
    limit = f"`config.predict.max_side` (={max_side})"
    hint = "cut it into parts if text is missing, or set `config.predict.tiles`"
    return (f"is {picture} pixels, and {limit} shrinks it to {seen}; {hint}",)
