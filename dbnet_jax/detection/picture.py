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
