"""The looks at a picture: how many there are, and at which sizes."""

import sys
from dataclasses import dataclass

from ml_collections import ConfigDict

from dbnet_jax.detection.merging import FoundAt
from dbnet_jax.detection.picture import Sizes, notes_on_size
from dbnet_jax.detection.text_size import size_for_text
from dbnet_jax.detection.tiles import window_of
from dbnet_jax.images.decode import Picture
from dbnet_jax.images.resize import resized_size
from dbnet_jax.typing import Image

KINDS = ("fitting", "all")


@dataclass(frozen=True)
class Look:
    """A picture that the network will look at.

    - `sizes`: of this look and of the planned looks after it, as `config.predict.size`.
    - `found`: by the looks before, which count as well.
    """

    picture: Picture
    sizes: tuple[int, ...]
    found: tuple[FoundAt, ...] = ()


class Looks:
    """Plans the looks at a picture.

    | `size` | `looks` | looks | what counts |
    |---|---|---|---|
    | a number | | one, at `size` | |
    | None | "fitting" | at `first_size`, then at the entry of `sizes` that its text needs | the last look |
    | None | "all" | at each entry of `sizes` | all looks, merged |

    With `resize` "none" there is one look: pictures keep their size. With `tiles`, `max_side` limits how far a
    picture is enlarged, and does not shrink it.

    **Arguments:** `predict`: the section `config.predict`.
    """

    def __init__(self, predict: ConfigDict):
        self._predict = predict
        fixed = predict.first_size if predict.resize == "none" else predict.size
        self.first_size = int(fixed or predict.first_size)
        """The size of the only look, or of the first of two looks."""
        self._several = sorted(set(predict.sizes)) if fixed is None and predict.looks == "all" else []
        self.most = len(self._several) or (2 if fixed is None else 1)
        """The most looks at a picture."""
        self.window = window_of(predict.tiles)
        """(height, width) of the windows in pixels; None: a look is seen whole."""

    def first(self, picture: Picture) -> Look:
        """The first look at a picture."""
        # `max_side` makes sizes equal for a panorama. The largest of them has the note on it.
        distinct = {self.sizes(picture.image, size): size for size in self._several}
        return Look(picture, tuple(distinct.values()) or (self.first_size,))

    def after(self, look: Look, found: tuple[FoundAt, ...]) -> Look | None:
        """The next look at a picture, if it needs one.

        **Arguments:** `look`: the look before; `found`: by all looks so far that count.
        """
        if self._several:
            return Look(look.picture, look.sizes[1:], found) if len(look.sizes) > 1 else None
        predict, image = self._predict, look.picture.image
        (first,) = found
        polygons = first.detections.polygons
        size = size_for_text(polygons, self.first_size, first.scale, predict.sizes, predict.text_height)
        # For a panorama the looks are equal at any size, because `max_side` bounds all sizes.
        same = self.sizes(image, size) == self.sizes(image, self.first_size)
        return None if same else Look(look.picture, (size,))

    def sizes(self, image: Image, size: int) -> Sizes:
        """The sizes of the picture and of the resized picture in a look."""
        predict, picture = self._predict, (image.shape[0], image.shape[1])
        max_side = predict.max_side if self.window is None else max(predict.max_side, *picture)
        return Sizes(picture, resized_size(picture, predict.resize, size, max_side, predict.stretch_width))

    def notes(self, sizes: Sizes, size: int) -> tuple[str, ...]:
        """The notes on `sizes` of a look."""
        predict = self._predict
        unlimited = resized_size(sizes.picture, predict.resize, size, sys.maxsize, predict.stretch_width)
        return notes_on_size(sizes, unlimited, predict.max_side)
