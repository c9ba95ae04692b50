"""Which polygons are valid, and valid polygons of the same region in place of others.

A valid polygon has an area, and its outline neither touches nor crosses itself. Readers, detection and scoring share
this definition.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Bool, Float32, Shaped

from dbnet_jax.geometry.polygons import Polygon

# More than any outline of text has; the time for an outline may grow with the square of its vertices.
MAX_VERTICES = 1000
# Pixels. Half the width of a cut into a hole, and of a bridge between two parts; the next one is tried if whole pixels
# close the cut again.
_HALF_WIDTHS = (0.5, 1.0, 2.0, 4.0)
# Square pixels. Smaller parts beside the largest one, and smaller holes, come from rounding.
_LEAST_PART = 1.0
# The largest parts and the largest holes that are kept. An outline of text has one or two, a scribble has thousands.
_MOST_PARTS = 16


def as_shapes(polygons: Sequence[Polygon]) -> Shaped[np.ndarray, "polygons"]:
    """A shapely polygon for each array of three or more finite vertices."""
    if not polygons:
        return np.empty(0, object)
    owners = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    return shapely.polygons(shapely.linearrings(np.concatenate(polygons).astype(np.float64), indices=owners))


def are_valid(polygons: Sequence[Polygon]) -> Bool[np.ndarray, "polygons"]:
    """Marks the valid polygons.

    **Arguments:**

    - `polygons`: each of three or more finite vertices, without repeating the first.
    """
    shapes = as_shapes(polygons)
    return shapely.is_valid(shapes) & (shapely.area(shapes) > 0)


def crosses_itself(polygon: Polygon) -> bool:
    """Whether two edges that are not neighbours cross in a point inside of both.

    Edges AB and CD cross exactly where C and D lie on different sides of AB, and A and B on different sides
    of CD.
    """
    starts = polygon.astype(np.float64)
    ends = np.roll(starts, -1, axis=0)
    along = ends - starts
    # sides[i, j, …]: on which side of edge i the start and the end of edge j lie.
    offsets = np.stack([starts[None] - starts[:, None], ends[None] - starts[:, None]], axis=2)
    sides = np.sign(along[:, None, None, 0] * offsets[..., 1] - along[:, None, None, 1] * offsets[..., 0])
    parted = sides[..., 0] * sides[..., 1] < 0
    return bool((parted & parted.T).any())


def repair_polygon(
    polygon: Polygon, holes: Sequence[Polygon] = (), *, extent: tuple[int, int] | None = None
) -> Float32[np.ndarray, "_ 2"]:
    """One valid polygon of the same region, with at most `MAX_VERTICES` vertices.

    - Spikes are removed. A region that is wound twice is wound once.
    - Parts that touch in a point are joined by a bridge, and holes are cut open. Bridges and cuts are a pixel wide, or
      as wide as whole pixels need.

    **Arguments:**

    - `polygon`: three or more finite vertices, without repeating the first.
    - `holes`: polygons that are no part of the region.
    - `extent`: None, or a picture's (width, height) in pixels. The result then has whole pixels in [0, width] ×
        [0, height].

    **Returns:** the polygon in the direction of `polygon`, from the vertex nearest to its first; without vertices if
    the region has no area.
    """
    region = _region(polygon, holes, extent)
    if region.is_empty or region.area == 0:
        return np.empty((0, 2), np.float32)
    for half_width in _HALF_WIDTHS:
        found = _vertices(_thinned(_in_one_piece(region, half_width)), extent)
        if 3 <= len(found) <= MAX_VERTICES and are_valid([found])[0]:
            return _turned_as(polygon, found)
    # Of whole pixels, the hull is valid wherever it has an area.
    points = shapely.get_coordinates(region)
    corners = shapely.MultiPoint(points if extent is None else points.round())
    hull = shapely.convex_hull(corners)
    return _turned_as(polygon, _vertices(hull, extent)) if hull.area > 0 else np.empty((0, 2), np.float32)


def _region(polygon: Polygon, holes: Sequence[Polygon], extent: tuple[int, int] | None) -> shapely.Geometry:
    """Every point that the outline goes round, once or more often, without the holes and what is out of the extent."""
    region, *inner = (
        shapely.make_valid(shape, method="structure", keep_collapsed=False) for shape in as_shapes([polygon, *holes])
    )
    region = shapely.difference(region, shapely.union_all(inner))
    if extent is None:
        return region
    # Back to any precision: a buffer of a shape of whole pixels may never end.
    return shapely.set_precision(shapely.set_precision(shapely.intersection(region, shapely.box(0, 0, *extent)), 1), 0)


def _in_one_piece(region: shapely.Geometry, half_width: float) -> shapely.Geometry:
    """The parts of a region as a polygon without holes."""
    whole, *others = _largest(shapely.get_parts(region))
    for part in others:
        whole = shapely.union_all([whole, part, _strip(whole, part, half_width)])
    holes = shapely.polygons(shapely.get_rings(whole)[1:])
    whole = shapely.Polygon(whole.exterior, [hole.exterior for hole in _largest(holes) if hole.area >= _LEAST_PART])
    while shapely.get_num_interior_rings(whole):
        hole = shapely.get_interior_ring(whole, 0)
        opened = shapely.difference(whole, _strip(shapely.get_exterior_ring(whole), hole, half_width))
        whole = max(shapely.get_parts(opened), key=shapely.area)
    return whole


def _largest(parts: Shaped[np.ndarray, "parts"]) -> list[shapely.Geometry]:
    """The largest parts, from the largest down; without crumbs, but with the first."""
    ordered = sorted(parts, key=shapely.area, reverse=True)[:_MOST_PARTS]
    return ordered[:1] + [part for part in ordered[1:] if part.area >= _LEAST_PART]


def _thinned(polygon: shapely.Geometry) -> shapely.Geometry:
    """The polygon without details of a pixel or a few, if it has too many vertices."""
    for tolerance in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
        if shapely.get_num_coordinates(polygon) <= MAX_VERTICES:
            break
        polygon = shapely.simplify(polygon, tolerance, preserve_topology=True)
    return polygon


def _strip(one: shapely.Geometry, other: shapely.Geometry, half_width: float) -> shapely.Geometry:
    """The strip along the shortest line between two geometries; it reaches a little into both."""
    return shapely.buffer(shapely.shortest_line(one, other), half_width, quad_segs=1)


def _vertices(shape: shapely.Geometry, extent: tuple[int, int] | None) -> Float32[np.ndarray, "_ 2"]:
    points = shapely.get_coordinates(shapely.get_exterior_ring(shape))[:-1]
    if extent is not None:
        points = np.clip(points.round(), 0, extent)
    points = points.astype(np.float32)
    return points[(points != np.roll(points, 1, axis=0)).any(axis=1)]


def _turned_as(model: Polygon, found: Float32[np.ndarray, "_ 2"]) -> Float32[np.ndarray, "_ 2"]:
    """The same outline in the direction of the model, from the vertex nearest to the model's first."""
    ways = [np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) for x, y in (model.T.astype(float), found.T)]
    if ways[0] * ways[1] < 0:
        found = found[::-1]
    return np.roll(found, -int(np.argmin(np.linalg.norm(found - model[0], axis=1))), axis=0)
