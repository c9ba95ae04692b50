"""Polygons as the protocols compare them: regions of several kinds, their areas and intersections.

All polygons of a data set become regions in a few array calls. One call for each polygon would cost more than the
scoring.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from jaxtyping import Bool, Float, Float64, Shaped
from numpy.typing import ArrayLike

from dbnet_jax.evaluation.matching import Upright, divide
from dbnet_jax.geometry.overlap import shared_areas
from dbnet_jax.geometry.validity import as_shapes, crosses_itself, repair_polygon

Points = Float64[np.ndarray, "..."]


@dataclass(frozen=True)
class Rectangles:
    """Rectangles as MSRA-TD500 writes them: upright, then turned about their centres by π/4 at most.

    - `centres`: (x, y) in pixels.
    - `sides`: width and height in pixels, before the turn; 0 for a missing rectangle.
    - `angles`: of the turn, in radians, in [-π/4, π/4].
    """

    centres: Float[np.ndarray, "regions 2"]
    sides: Float[np.ndarray, "regions 2"]
    angles: Float[np.ndarray, "regions"]

    def upright_with(self, others: "Rectangles") -> Upright:
        """Turns these rectangles upright, and each of the others by the least angle that makes the sides parallel.

        So a line at 44° and the same line at 46° both become horizontal. Alone, the second would become vertical.
        """
        difference = others.angles - self.angles[:, None]
        quarters = np.rint(difference / (np.pi / 2))
        stand = (quarters % 2 == 1)[..., None]
        mine, theirs = self.sides[:, None], np.where(stand, others.sides[:, ::-1], others.sides)
        low = np.maximum(self.centres[:, None] - mine / 2, others.centres - theirs / 2)
        high = np.minimum(self.centres[:, None] + mine / 2, others.centres + theirs / 2)
        shared = np.maximum(high - low, 0).prod(axis=2)
        union = mine.prod(axis=2) + theirs.prod(axis=2) - shared
        return Upright(abs(difference - quarters * (np.pi / 2)), divide(shared, union))


@dataclass(frozen=True)
class Regions:
    """The regions of one picture or of many.

    - `shapes`: a shapely geometry for each polygon; None if the polygon does not count.
    - `areas`: in square pixels; 0 without a shape.
    - `rectangles`: set if the regions are rectangles.
    """

    shapes: Shaped[np.ndarray, "regions"]
    areas: Float[np.ndarray, "regions"]
    rectangles: Rectangles | None = None

    @property
    def exist(self) -> Bool[np.ndarray, "regions"]:
        """Marks the regions that count."""
        return ~shapely.is_missing(self.shapes)

    def part(self, start: int, stop: int) -> "Regions":
        """The regions from `start` to `stop`, for example those of one picture."""
        mine, turned = slice(start, stop), self.rectangles
        if turned is not None:
            turned = Rectangles(turned.centres[mine], turned.sides[mine], turned.angles[mine])
        return Regions(self.shapes[mine], self.areas[mine], turned)

    def shared_with(self, others: "Regions") -> Float[np.ndarray, "regions others"]:
        """The areas of the intersections of these regions (rows) with others (columns), in square pixels."""
        return shared_areas(self.shapes, others.shapes)

    def upright_with(self, others: "Regions") -> Upright | None:
        """These rectangles (rows) and others (columns) turned upright; None if the regions are no rectangles."""
        if self.rectangles is None or others.rectangles is None:
            return None
        return self.rectangles.upright_with(others.rectangles)


def read_polygons(polygons: Iterable[ArrayLike]) -> list[Points]:
    """The polygons of one picture as arrays. **Raises:** ValueError if one does not consist of points (x, y)."""
    arrays = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
    for points in arrays:
        if points.size and (points.ndim != 2 or points.shape[1] != 2):
            raise ValueError(f"a polygon must be of shape [vertices, 2], not {list(points.shape)}")
    return arrays


# The kinds of regions. A polygon with fewer than three points or with a point that is not finite never counts.


def valid_polygons(polygons: Sequence[Points]) -> Regions:
    """The polygons themselves. A polygon that only touches itself (a spike, an outline wound twice) is repaired.

    A polygon that crosses itself does not count, as in the official protocol.
    """
    shapes, valid = _polygons(polygons)
    for index in np.flatnonzero(~valid & ~shapely.is_missing(shapes)).tolist():
        repaired = () if crosses_itself(polygons[index]) else repair_polygon(polygons[index])
        shapes[index] = shapely.Polygon(repaired) if len(repaired) else None
    return _regions(shapes)


def repaired_polygons(polygons: Sequence[Points]) -> Regions:
    """The polygons. A polygon that crosses itself is repaired by shapely's `buffer(0)`.

    A polygon without area counts and overlaps nothing.
    """
    shapes, valid = _polygons(polygons)
    broken = np.flatnonzero(~valid & ~shapely.is_missing(shapes))
    shapes[broken] = shapely.buffer(shapes[broken], 0)
    return _regions(shapes)


def bounding_rectangles(polygons: Sequence[Points]) -> Regions:
    """The upright rectangles around the polygons, including the last row and column of pixels."""
    shapes, usable = _nothing(polygons)
    if usable:
        low = np.array([polygons[index].min(axis=0) for index in usable])
        high = np.array([polygons[index].max(axis=0) for index in usable]) + 1
        shapes[usable] = shapely.box(*low.T, *high.T)
    return _regions(shapes)


def min_area_rectangles(polygons: Sequence[Points]) -> Regions:
    """The rectangles of least area around the polygons. A rectangle without area does not count."""
    shapes, usable = _nothing(polygons)
    found = [cv2.minAreaRect(polygons[index].astype(np.float32)) for index in usable]
    corners = np.array([cv2.boxPoints(rectangle) for rectangle in found], np.float64).reshape(-1, 4, 2)
    across = corners[:, 1:3] - corners[:, :2]
    lengths = np.linalg.norm(across, axis=2)
    angles = np.arctan2(across[:, 0, 1], across[:, 0, 0])
    quarters = np.rint(angles / (np.pi / 2))
    lengths[quarters % 2 == 1] = lengths[quarters % 2 == 1, ::-1]
    whole = lengths.min(axis=1, initial=np.inf) > 1e-3  # pixels; a line's may be off by its float32 corners
    kept = np.array(usable, np.intp)[whole]
    shapes[kept] = shapely.polygons(corners[whole])
    centres, sides, turns = np.zeros((len(polygons), 2)), np.zeros((len(polygons), 2)), np.zeros(len(polygons))
    centres[kept], sides[kept] = corners[whole].mean(axis=1), lengths[whole]
    turns[kept] = (angles - quarters * (np.pi / 2))[whole]
    return _regions(shapes, Rectangles(centres, sides, turns))


Outline = Callable[[Sequence[Points]], Regions]


def _nothing(polygons: Sequence[Points]) -> tuple[Shaped[np.ndarray, "polygons"], list[int]]:
    """An empty place for each shape, and the indices of the polygons that can have a shape."""
    counts = [len(points) for points in polygons]
    shapes = np.full(len(polygons), None, dtype=object)
    usable = [index for index, count in enumerate(counts) if count >= 3]
    if usable:
        finite = np.isfinite(np.concatenate([polygons[index] for index in usable])).all(axis=1)
        if not finite.all():
            usable = [index for index in usable if np.isfinite(polygons[index]).all()]
    return shapes, usable


def _polygons(polygons: Sequence[Points]) -> tuple[Shaped[np.ndarray, "polygons"], Bool[np.ndarray, "polygons"]]:
    """The geometries of the polygons. The second result marks the valid ones."""
    shapes, usable = _nothing(polygons)
    shapes[usable] = as_shapes([polygons[index] for index in usable])
    return shapes, shapely.is_valid(shapes)


def _regions(shapes: Shaped[np.ndarray, "regions"], rectangles: Rectangles | None = None) -> Regions:
    return Regions(shapes, np.nan_to_num(shapely.area(shapes)), rectangles)
