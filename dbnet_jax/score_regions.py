"""Polygons as the protocols compare them: outlines of several kinds, their areas and what they share.

All polygons of a data set become regions in a few array calls: one call a polygon would cost more than the scoring.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from jaxtyping import Bool, Float, Float64, Shaped
from numpy.typing import ArrayLike

Points = Float64[np.ndarray, "..."]


@dataclass(frozen=True)
class Directions:
    """Where the longer sides of rectangles point.

    - `angles`: in radians.
    - `periods`: the turn that brings a rectangle onto itself: π, and π/2 for a square.
    """

    angles: Float[np.ndarray, "regions"]
    periods: Float[np.ndarray, "regions"]


@dataclass(frozen=True)
class Regions:
    """The outlines of one picture or of many.

    - `shapes`: a shapely geometry for each, None where there is none that counts.
    - `boxes`: left, top, right and bottom in pixels; NaN where there is no shape.
    - `areas`: in square pixels; 0 where there is no shape.
    - `directions`: of the outlines that are rectangles with one.
    """

    shapes: Shaped[np.ndarray, "regions"]
    boxes: Float[np.ndarray, "regions 4"]
    areas: Float[np.ndarray, "regions"]
    directions: Directions | None = None

    @property
    def exist(self) -> Bool[np.ndarray, "regions"]:
        """Which of them count."""
        return ~shapely.is_missing(self.shapes)

    def part(self, start: int, stop: int) -> "Regions":
        """Those from `start` to `stop`, of one picture among many."""
        mine, directions = slice(start, stop), self.directions
        if directions is not None:
            directions = Directions(directions.angles[mine], directions.periods[mine])
        return Regions(self.shapes[mine], self.boxes[mine], self.areas[mine], directions)

    def shared_with(self, others: "Regions") -> Float[np.ndarray, "regions others"]:
        """The areas in square pixels that these (rows) and others (columns) have in common."""
        areas = np.zeros((len(self.shapes), len(others.shapes)))
        # Only where the boxes meet: most words of a picture are far apart. NaN meets nothing.
        mine, theirs = self.boxes[:, None], others.boxes[None]
        meet = (mine[..., :2] < theirs[..., 2:]) & (theirs[..., :2] < mine[..., 2:])
        row, column = np.nonzero(meet[..., 0] & meet[..., 1])
        if row.size:
            areas[row, column] = shapely.area(shapely.intersection(self.shapes[row], others.shapes[column]))
        return areas

    def angles_to(self, others: "Regions") -> Float[np.ndarray, "regions others"] | None:
        """The angles in [0, π/2] between the longer sides of these and others; None where there are no directions.

        A square has no longer side and takes the nearer of its two directions.
        """
        if self.directions is None or others.directions is None:
            return None
        period = np.minimum(self.directions.periods[:, None], others.directions.periods)
        difference = (self.directions.angles[:, None] - others.directions.angles) % period
        return np.minimum(difference, period - difference)


def read_polygons(polygons: Iterable[ArrayLike]) -> list[Points]:
    """The polygons of one picture as arrays. **Raises:** ValueError if one is not of points (x, y)."""
    arrays = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
    for points in arrays:
        if points.size and (points.ndim != 2 or points.shape[1] != 2):
            raise ValueError(f"a polygon must be of shape [vertices, 2], not {list(points.shape)}")
    return arrays


# The kinds of outlines. What has fewer than three points, or one that is not finite, never counts.


def valid_polygons(polygons: Sequence[Points]) -> Regions:
    """The polygons as they are; those that cross themselves do not count."""
    shapes, valid = _polygons(polygons)
    shapes[~valid] = None
    return _regions(shapes)


def repaired_polygons(polygons: Sequence[Points]) -> Regions:
    """The polygons, those that cross themselves mended as shapely's `buffer(0)` does."""
    shapes, valid = _polygons(polygons)
    broken = np.flatnonzero(~valid & ~shapely.is_missing(shapes))
    shapes[broken] = shapely.buffer(shapes[broken], 0)
    return _regions(shapes)


def bounding_rectangles(polygons: Sequence[Points]) -> Regions:
    """The upright rectangles about the polygons, their last row and column of pixels counted in."""
    shapes, usable = _nothing(polygons)
    if usable:
        low = np.array([polygons[index].min(axis=0) for index in usable])
        high = np.array([polygons[index].max(axis=0) for index in usable]) + 1
        shapes[usable] = shapely.box(*low.T, *high.T)
    return _regions(shapes)


def min_area_rectangles(polygons: Sequence[Points]) -> Regions:
    """The rectangles of least area about the polygons; one without area does not count."""
    shapes, usable = _nothing(polygons)
    rectangles = [cv2.minAreaRect(polygons[index].astype(np.float32)) for index in usable]
    corners = np.array([cv2.boxPoints(rectangle) for rectangle in rectangles], np.float64).reshape(-1, 4, 2)
    sides = corners[:, 1:3] - corners[:, :2]
    lengths = np.linalg.norm(sides, axis=2)
    whole = lengths.min(axis=1, initial=np.inf) > 1e-3  # pixels; a line's may be off by its float32 corners
    shapes[np.array(usable, np.intp)[whole]] = shapely.polygons(corners[whole])
    angles, periods = np.zeros(len(polygons)), np.full(len(polygons), np.pi)
    longer = sides[np.arange(len(sides)), lengths.argmax(axis=1)] if len(sides) else np.zeros((0, 2))
    angles[usable] = np.arctan2(longer[:, 1], longer[:, 0])
    periods[usable] = np.where(np.isclose(lengths[:, 0], lengths[:, 1], rtol=1e-4, atol=0), np.pi / 2, np.pi)
    return _regions(shapes, Directions(angles, periods))


Outline = Callable[[Sequence[Points]], Regions]


def _nothing(polygons: Sequence[Points]) -> tuple[Shaped[np.ndarray, "polygons"], list[int]]:
    """Room for a shape each, and the indices of the polygons that can have one."""
    counts = [len(points) for points in polygons]
    shapes = np.full(len(polygons), None, dtype=object)
    usable = [index for index, count in enumerate(counts) if count >= 3]
    if usable:
        finite = np.isfinite(np.concatenate([polygons[index] for index in usable])).all(axis=1)
        if not finite.all():
            usable = [index for index in usable if np.isfinite(polygons[index]).all()]
    return shapes, usable


def _polygons(polygons: Sequence[Points]) -> tuple[Shaped[np.ndarray, "polygons"], Bool[np.ndarray, "polygons"]]:
    """The polygons' geometries, and which of them are valid."""
    shapes, usable = _nothing(polygons)
    if usable:
        vertices = np.concatenate([polygons[index] for index in usable])
        owners = np.repeat(np.arange(len(usable)), [len(polygons[index]) for index in usable])
        shapes[usable] = shapely.polygons(shapely.linearrings(vertices, indices=owners))
    return shapes, shapely.is_valid(shapes)


def _regions(shapes: Shaped[np.ndarray, "regions"], directions: Directions | None = None) -> Regions:
    return Regions(shapes, shapely.bounds(shapes).reshape(-1, 4), np.nan_to_num(shapely.area(shapes)), directions)
