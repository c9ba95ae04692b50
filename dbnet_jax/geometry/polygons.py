"""Polygons, and the affine map from one picture to another.

Points are (x, y) in pixels with pixel centres at integers; sizes are (height, width).
"""

import math
from collections.abc import Sequence

import numpy as np
import pyclipper
from jaxtyping import Float, Float32, Int, Num

Polygon = Num[np.ndarray, "_ 2"]
# For parameters that may be integers: the shape checker of the tests does not accept int as float.
Number = float | int


def polygon_area(polygon: Polygon) -> float:
    r"""The unsigned shoelace area $A = \frac12 |\sum_i (x_i y_{i+1} - x_{i+1} y_i)|$.

    For a polygon that crosses itself, this is the absolute signed area: the lobes of a figure eight cancel.

    **Arguments:**

    - `polygon`: vertices in order, without repeating the first. The arithmetic is float64 for every type.

    **Returns:** the area in square pixels; 0 for fewer than three vertices.
    """
    # For 4 to 20 vertices, plain Python is faster than NumPy.
    points = polygon.tolist()
    if len(points) < 3:
        return 0.0
    # Relative to the first vertex: a small polygon far from the origin loses no digits.
    x0, y0 = points[0]
    twice = 0.0
    x_last, y_last = 0.0, 0.0
    for x, y in points[1:]:
        x, y = x - x0, y - y0
        twice += x_last * y - x * y_last
        x_last, y_last = x, y
    return abs(twice) / 2


def polygon_perimeter(polygon: Polygon) -> float:
    r"""The length $L = \sum_i \|p_{i+1} - p_i\|$ of the closed outline.

    **Arguments:**

    - `polygon`: vertices in order, closed by itself.

    **Returns:** the length in pixels; 0 for no vertices.
    """
    points = polygon.tolist()
    return sum((math.dist(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)), 0.0)


def measure_polygons(
    vertices: Num[np.ndarray, "vertices 2"], counts: Int[np.ndarray, "polygons"]
) -> tuple[Float[np.ndarray, "polygons"], Float[np.ndarray, "polygons"]]:
    """`polygon_area` and `polygon_perimeter` of many polygons.

    **Arguments:**

    - `vertices`: (x, y), polygon after polygon.
    - `counts`: the number of vertices of each polygon, one or more.

    **Returns:** the areas in square pixels and the perimeters in pixels.
    """
    firsts = np.cumsum(counts) - counts
    points = vertices.astype(np.float64) - np.repeat(vertices[firsts], counts, axis=0)
    (x0, y0), (x1, y1) = points.T, points[next_vertices(counts)].T
    areas = np.abs(np.add.reduceat(x0 * y1 - x1 * y0, firsts)) / 2
    return areas, np.add.reduceat(np.hypot(x1 - x0, y1 - y0), firsts)


def next_vertices(counts: Int[np.ndarray, "polygons"]) -> Int[np.ndarray, "vertices"]:
    """The index of the next vertex for each vertex of packed polygons. The last vertex of a polygon precedes its first.

    **Arguments:**

    - `counts`: the number of vertices of each polygon, one or more.

    **Returns:** indices of vertices.
    """
    following = np.arange(1, counts.sum() + 1)
    following[np.cumsum(counts) - 1] -= counts
    return following


def offset_polygon(polygon: Polygon, distance: Number) -> list[Float32[np.ndarray, "_ 2"]]:
    """The polygon grown (`distance` > 0) or shrunk (`distance` < 0) with round corners: Vatti clipping as in
    sections 3.4 and 3.5 of the paper.

    As in the official code, coordinates are integers. Those of `polygon` are truncated toward zero before the offset,
    and those of the result are rounded.

    **Arguments:**

    - `polygon`: vertices in order, closed by itself.
    - `distance`: in pixels.

    **Returns:** the pieces: none if nothing remains, several if the polygon splits. Holes are pieces of the opposite
    orientation.

    **Raises:** `ValueError` if a coordinate or the distance is not finite.
    """
    if not (math.isfinite(distance) and np.isfinite(polygon).all()):
        raise ValueError(f"`polygon` (={polygon.tolist()}) and `distance` (={distance}) must be finite")
    if len(polygon) == 0:
        return []
    return [np.array(piece, np.float32) for piece in offset_path(polygon.astype(np.int64).tolist(), distance)]


def offset_path(
    path: Sequence[Sequence[int]], distance: Number, holes: Sequence[Sequence[Sequence[int]]] = ()
) -> list[list[list[int]]]:
    """`offset_polygon` for plain lists, the type of the clipper.

    **Arguments:**

    - `path`: vertices (x, y) in order, one or more.
    - `distance`: in pixels, finite.
    - `holes`: in the polygon, likewise, each in the opposite direction. They shrink when the polygon grows.

    **Returns:** the pieces, as lists of vertices.
    """
    clipper = pyclipper.PyclipperOffset()
    for one in (path, *holes):
        clipper.AddPath(one, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return clipper.Execute(distance)


def offset_distance(polygon: Polygon, shrink_ratio: Number) -> float:
    r"""The distance by which a text polygon shrinks and grows, $D = A (1 - r^2) / L$ (paper equation 10).

    **Arguments:**

    - `polygon`: vertices in order, closed by itself.
    - `shrink_ratio`: r in (0, 1); 0.4 in the paper.

    **Returns:** D in pixels; 0 for a polygon without area.
    """
    perimeter = polygon_perimeter(polygon)
    return polygon_area(polygon) * (1 - shrink_ratio**2) / perimeter if perimeter > 0 else 0.0


def clip_to_image(polygon: Polygon, height: int, width: int) -> Float[np.ndarray, "_ 2"]:
    """Moves each vertex to the nearest point in [0, width − 1] × [0, height − 1].

    This is the official code's clip. Vertices move and none are added. So a polygon that leaves the picture changes its
    shape, and a polygon outside the picture collapses onto the border.

    **Arguments:**

    - `polygon`: vertices; NaN stays NaN.
    - `height`, `width`: of the picture in pixels.

    **Returns:** a new float64 array.
    """
    return np.clip(polygon.astype(np.float64), 0.0, np.array([width - 1, height - 1], dtype=np.float64))


def crop_polygon(polygon: Polygon, height: int, width: int) -> Float[np.ndarray, "_ 2"]:
    """The part of a polygon in [0, width − 1] × [0, height − 1] (Sutherland and Hodgman, 1974).

    Unlike `clip_to_image`, this keeps the shape inside the picture: it adds vertices where an edge leaves the picture.

    **Arguments:**

    - `polygon`: finite vertices in order, without repeating the first. If the polygon is not convex, separate parts
        stay joined along the picture's edge.
    - `height`, `width`: of the picture in pixels.

    **Returns:** a new float64 array; without vertices if nothing is inside.
    """
    points = polygon.astype(np.float64)
    for axis, limit, sign in ((0, 0, 1), (0, width - 1, -1), (1, 0, 1), (1, height - 1, -1)):
        inside = sign * (points[:, axis] - limit)  # not negative on the kept side
        kept: list[np.ndarray] = []
        for index in range(len(points)):
            previous, current = inside[index - 1], inside[index]
            if (previous < 0) != (current < 0):
                share = previous / (previous - current)
                kept.append(points[index - 1] + share * (points[index] - points[index - 1]))
            if current >= 0:
                kept.append(points[index])
        points = np.array(kept, np.float64).reshape(-1, 2)
    return points


def transform_points(
    matrix: Float[np.ndarray, "2 3"], points: Num[np.ndarray, "*shape 2"]
) -> Float[np.ndarray, "*shape 2"]:
    r"""Maps each point p to $M (p_x, p_y, 1)^\top$.

    **Arguments:**

    - `matrix`: M, from the coordinates of the source picture to those of the target.
    - `points`: of any leading shape.

    **Returns:** the points in the target picture; the type is the wider of the two types.
    """
    return points @ matrix[:, :2].T + matrix[:, 2].reshape((1,) * (points.ndim - 1) + (2,))


def order_quad(quad: Num[np.ndarray, "*quads 4 2"]) -> Num[np.ndarray, "*quads 4 2"]:
    """The vertices clockwise from the top left (y points down).

    The two leftmost vertices are the left side, and its upper vertex comes first. This is the official code's order of
    detected boxes. If two vertices tie, the given order decides.

    **Arguments:**

    - `quad`: the corners of one or many convex quadrilaterals, in any order.

    **Returns:** top left, top right, bottom right, bottom left.
    """
    quads = quad.reshape(-1, 4, 2)
    rows = np.arange(len(quads))[:, None]
    by_x = quads[rows, np.argsort(quads[:, :, 0], axis=1, kind="stable")]
    upper = (by_x[:, 1::2, 1] <= by_x[:, ::2, 1]).astype(np.intp)  # of the left and of the right two
    order = np.concatenate([upper + (0, 2), (1, 3) - upper], axis=1)[:, [0, 1, 3, 2]]
    return by_x[rows, order].reshape(quad.shape)
