"""How far pixels are from the edges of polygons; each small tile of a picture meets only the edges near it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int

from dbnet_jax.geometry import next_vertices
from dbnet_jax.typing import Map, Polygon

DISTANCES = ("true", "official")
# Pixels a side of a tile: of smaller ones there are more, larger ones meet more edges.
TILE = 16
# So many tiles are computed at once: their arrays stay in a core's cache, and products so small in one thread.
TILES = 256


class Meetings(NamedTuple):
    """Pairs of a tile and an edge near it, tile by tile.

    Of the `lines`, one runs along the edge, and two stand upright on its ends. How far a pixel lies to their left,
    before the start and past the end is a x + b y + c for the pixel (x, y) of the tile, in units of the reach.
    """

    tiles: Int[np.ndarray, "pairs"]
    lines: Float32[np.ndarray, "3 3 pairs"]  # a, b, c of each line


def lower_to_edges(
    distance_map: Map,
    polygons: Sequence[Polygon],
    reaches: Sequence[float],
    boxes: Sequence[tuple[int, int, int, int]],
    kind: str = "true",
) -> None:
    r"""Lowers a map to $\min_i d_i / D_i$, d being the distance of a pixel from a polygon's nearest edge.

    **Arguments:**

    - `distance_map`: in [0, 1]; written to.
    - `polygons`: (x, y) in pixels, closed by themselves, each of one vertex or more.
    - `reaches`: their D > 0 in pixels. A pixel farther than D does not count.
    - `boxes`: their (left, top, right, bottom) in whole pixels within the map, `right` and `bottom` exclusive. A
      polygon counts in its box alone.
    - `kind`: "true" is the distance to an edge; "official" is, outside of the circle over the edge, the distance to its
      nearer end.
    """
    if not polygons:
        return
    corners = np.array(boxes)
    grids = -((corners[:, :2] - corners[:, 2:]) // TILE)  # columns and rows of tiles, the last ones beyond the box
    ends = np.cumsum(grids.prod(axis=1))
    firsts = ends - grids.prod(axis=1)
    meetings = _meet(polygons, np.array(reaches), corners[:, :2], grids, firsts)
    tiles = cv2.sqrt(_lowest_squares(meetings, int(ends[-1]), kind))
    for (left, top, right, bottom), (columns, rows), first, end in zip(
        boxes, grids.tolist(), firsts.tolist(), ends.tolist(), strict=True
    ):
        box = distance_map[top:bottom, left:right]
        whole = tiles[first:end].reshape(rows, columns, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, columns * TILE)
        np.minimum(box, whole[: bottom - top, : right - left], out=box)


def _meet(
    polygons: Sequence[Polygon],
    reaches: Float[np.ndarray, "polygons"],
    origins: Int[np.ndarray, "polygons 2"],
    grids: Int[np.ndarray, "polygons 2"],
    first_tiles: Int[np.ndarray, "polygons"],
) -> Meetings:
    """The tiles of each polygon's box with the polygon's edges that come within reach of them."""
    counts = np.array([len(polygon) for polygon in polygons])
    owner = np.repeat(np.arange(len(polygons)), counts)
    reach = reaches[owner]
    starts = np.concatenate(polygons) - origins[owner]
    ends = starts[next_vertices(counts)]
    edge, column, row = _touched(starts, ends, reach, grids[owner])
    lines = _lines(starts, ends, reach)[..., edge]
    lines[:, 2] += TILE * (column * lines[:, 0] + row * lines[:, 1])
    # All pixels of a tile lie in a circle about its middle.
    middle = (TILE - 1) / 2
    across, before, past = lines[:, 2] + middle * (lines[:, 0] + lines[:, 1])
    beyond = np.maximum(np.maximum(before, past), 0)
    near = np.flatnonzero(across**2 + beyond**2 <= (1 + math.sqrt(2) * middle / reach[edge]) ** 2)
    polygon = owner[edge[near]]
    tiles = first_tiles[polygon] + row[near] * grids[polygon, 0] + column[near]
    order = np.argsort(tiles, kind="stable")
    return Meetings(tiles[order], lines[..., near[order]].astype(np.float32))


def _lines(
    starts: Float[np.ndarray, "edges 2"], ends: Float[np.ndarray, "edges 2"], reach: Float[np.ndarray, "edges"]
) -> Float[np.ndarray, "3 3 edges"]:
    """The `lines` of edges, for pixels of the whole box."""
    (x0, y0), (x1, y1) = starts.T, ends.T
    length = np.hypot(x1 - x0, y1 - y0)
    # An edge of no length is a point: it lies along x.
    ux = np.divide(x1 - x0, length, out=np.ones_like(length), where=length > 0) / reach
    uy = np.divide(y1 - y0, length, out=np.zeros_like(length), where=length > 0) / reach
    return np.array([[-uy, ux, uy * x0 - ux * y0], [-ux, -uy, ux * x0 + uy * y0], [ux, uy, -ux * x1 - uy * y1]])


def _touched(
    starts: Float[np.ndarray, "edges 2"],
    ends: Float[np.ndarray, "edges 2"],
    reach: Float[np.ndarray, "edges"],
    grids: Int[np.ndarray, "edges 2"],
) -> tuple[Int[np.ndarray, "pairs"], ...]:
    """The tiles that the upright box around an edge and its reach touches: the edge, the tile's column and row."""
    low = np.maximum((np.minimum(starts, ends) - reach[:, None]) // TILE, 0).astype(np.intp)
    high = np.minimum((np.maximum(starts, ends) + reach[:, None]) // TILE + 1, grids).astype(np.intp)
    columns, rows = np.maximum(high - low, 0).T
    count = columns * rows
    edge = np.repeat(np.arange(len(starts)), count)
    row, column = np.divmod(np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count), columns[edge])
    return edge, column + low[edge, 0], row + low[edge, 1]


def _lowest_squares(meetings: Meetings, num_tiles: int, kind: str) -> Float32[np.ndarray, "tiles pixels"]:
    """The least (d/D)² of each pixel of each tile; one or more where no edge is within reach."""
    y, x = np.divmod(np.arange(TILE * TILE, dtype=np.float32), TILE)
    pixels = np.stack([x, y, np.ones_like(x)])
    counts = np.bincount(meetings.tiles, minlength=num_tiles)
    firsts = np.cumsum(counts) - counts
    # By falling number of edges: the tiles that have one more are a head of these, and no copy is made of them.
    busiest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    lowest = np.ones((num_tiles, TILE * TILE), np.float32)
    for begin in range(0, len(busiest), TILES):
        tiles = busiest[begin : begin + TILES]
        for rank in range(counts[tiles[0]]):
            pairs = firsts[tiles[: np.count_nonzero(counts[tiles] > rank)]] + rank
            across, before, past = meetings.lines[..., pairs].swapaxes(1, 2) @ pixels
            squares = _squares(across, before, past, kind)
            if rank == 0:
                nearest = squares
            else:
                np.minimum(nearest[: len(pairs)], squares, out=nearest[: len(pairs)])
        lowest[tiles] = nearest
    return lowest


def _squares(
    across: Float32[np.ndarray, "pairs pixels"],
    before: Float32[np.ndarray, "pairs pixels"],
    past: Float32[np.ndarray, "pairs pixels"],
    kind: str,
) -> Float32[np.ndarray, "pairs pixels"]:
    """d² = across² + beyond², the latter being how far a pixel is before the start or past the end; writes to all.

    It is 0 between the ends, or, of the official `kind`, inside of the circle that they span.
    """
    np.square(across, out=across)
    if kind == "true":
        np.maximum(before, past, out=past)
        # np.maximum with a scalar takes five times as long.
        cv2.threshold(past, 0, 0, cv2.THRESH_TOZERO, past)
    else:
        inside = before * past >= across
        np.maximum(before, past, out=past)
        np.copyto(past, 0, where=inside)
    np.square(past, out=past)
    across += past
    return across
