"""Many polygons in one array."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Num

from dbnet_jax.geometry import Polygon


class Outlines(NamedTuple):
    """Polygons in one array, so that one call handles all of them.

    - `vertices`: (x, y), polygon after polygon.
    - `counts`: the number of vertices of each polygon.
    """

    vertices: Num[np.ndarray, "vertices 2"]
    counts: Int[np.ndarray, "polygons"]

    def parts(self) -> list[Polygon]:
        """The polygons one by one, as views."""
        ends = np.cumsum(self.counts).tolist()
        return [self.vertices[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def where(self, kept: Bool[np.ndarray, "polygons"]) -> "Outlines":
        """The polygons that are kept."""
        return Outlines(self.vertices[np.repeat(kept, self.counts)], self.counts[kept])


def concatenate(polygons: Sequence[Polygon]) -> Outlines:
    """The polygons in one array, float32."""
    vertices = np.concatenate([np.empty((0, 2), np.float32), *polygons], dtype=np.float32)
    return Outlines(vertices, np.array([len(polygon) for polygon in polygons], np.intp))
