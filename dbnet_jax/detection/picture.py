"""A picture that a detector has seen: its sizes, its maps, what was found in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict, cast

import numpy as np
from jaxtyping import Float, UInt8

from dbnet_jax.postprocess import Detections

# Of no named size: pictures of one call differ, and their maps are of another size still.
Picture = UInt8[np.ndarray, "_ _ 3"]


class Maps(TypedDict):
    """The maps of one picture, float32 [height, width] in [0, 1], at the size at which the network saw it.

    A network of `binarization="standard"` has the first alone.
    """

    probability_map: Float[np.ndarray, "height width"]
    threshold_map: NotRequired[Float[np.ndarray, "height width"]]
    binary_map: NotRequired[Float[np.ndarray, "height width"]]


@dataclass(frozen=True)
class DetectedPicture:
    """A picture, RGB in [0, 255], what was found in it, and the maps that the network made of it."""

    image: Picture
    detections: Detections
    maps: Maps


class Sizes(NamedTuple):
    """(height, width) of a picture, and that at which the network sees it, without what it is padded with."""

    picture: tuple[int, int]
    seen: tuple[int, int]


def without_padding(outputs: Mapping[str, np.ndarray], sizes: Sizes) -> Maps:
    """A picture's maps without what was padded."""
    height, width = sizes.seen
    return cast(Maps, {name: values[:height, :width] for name, values in outputs.items()})
