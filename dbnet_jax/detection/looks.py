"""The looks at a picture: how many there are, and at which sizes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ml_collections import ConfigDict

from dbnet_jax.detection.merging import FoundAt
from dbnet_jax.detection.picture import Sizes, notes_on_size
from dbnet_jax.detection.text_size import sizes_for_text
from dbnet_jax.detection.tiles import window_of
from dbnet_jax.images.decode import Picture
from dbnet_jax.images.resize import resized_size
from dbnet_jax.typing import Image

KINDS = ("fitting", "all")


@dataclass(frozen=True)
class Look:
    """A picture that the network will look at.

    - `sizes`: of this look and of the planned looks after it, as `config.predict.size`.
    - `found`: by the looks before.
    """

    picture: Picture
    sizes: tuple[int, ...]
    found: tuple[FoundAt, ...] = ()


class Looks:
    """Plans the looks at a picture.

    | `size` | `looks` | looks |
    |---|---|---|
    | a number | | one, at `size` |
    | None | "fitting" | one at `first_size`, then one at each of `sizes` that the text needs (`sizes_for_text`) |
    | None | "all" | one at each of `sizes` |

    With `resize` "none" there is one look: pictures keep their size. With `tiles`, `max_side` limits how far a
    picture is enlarged, and does not shrink it.

    **Arguments:** `predict`: the section `config.predict`.
    """

    def __init__(self, predict: ConfigDict):
        self._predict = predict
        fixed = predict.first_size if predict.resize == "none" else predict.size
        self.first_size = int(fixed or predict.first_size)
        """The size of the only look, or of the first look."""
        sizes = set(predict.sizes) if fixed is None else set()
        self._all = sorted(sizes) if predict.looks == "all" else []
        self._others = () if self._all else tuple(sorted(sizes - {self.first_size}))
        self.most = len(self._all) or 1 + len(self._others)
        """The most looks at a picture."""
        self.window = window_of(predict.tiles)
        """(height, width) of the windows in pixels; None: a look is seen whole."""

    def first(self, picture: Picture) -> Look:
        """The first look at a picture."""
        return Look(picture, self._distinct(picture, self._all) or (self.first_size,))

    def after(self, look: Look, found: tuple[FoundAt, ...]) -> Look | None:
        """The next look at a picture, if it needs one.

        **Arguments:** `look`: the look before; `found`: by all looks so far.
        """
        if len(look.sizes) > 1:
            return Look(look.picture, look.sizes[1:], found)
        if not self._others or len(found) > 1:
            return None
        (first,) = found
        predict, polygons = self._predict, first.detections.polygons
        needed = sizes_for_text(polygons, self.first_size, first.scale, self._others, predict.text_height)
        sizes = self._distinct(look.picture, needed, seen=self.first_size)
        return Look(look.picture, sizes, found) if sizes else None

    def _distinct(self, picture: Picture, sizes: Sequence[int], seen: int | None = None) -> tuple[int, ...]:
        """The sizes that give different looks. `max_side` makes looks at a panorama equal."""
        # The largest of equal sizes has the note on `max_side`.
        distinct = {self.sizes(picture.image, size): size for size in sizes}
        if seen is not None:
            distinct.pop(self.sizes(picture.image, seen), None)
        return tuple(distinct.values())

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
