"""The accelerator's pixels: warps pictures and draws their label maps from polygons, inside of the training step.

The host decides geometry: one affine matrix a picture, and where the outlines of its text lie in the crop. What costs a
pixel is done here, in one pass over distances: inside an outline and farther than D from its edges is the shrink map,
within D of them the band of the threshold map (paper section 3.5, equation 10).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt8

from dbnet_jax.ops.bilinear import sample

# Pixels a side of the squares in which maps are drawn: each looks only at the instances that reach it.
TILE = 32
# Edges in one round of the loop over them: a GPU asks the host whether to go on, and fuses what lies within a round.
EDGES = 4
# The host fills polygons of whole pixels, borders included, where the distances here are exact: half a pixel between.
SLACK = 0.5
Points = Float[Array, "batch tiles pixels"]


def warp(
    images: UInt8[Array, "batch height width 3"],
    matrices: Float[Array, "batch 2 3"],
    colors: Float[Array, "batch 3 4"],
    size: tuple[int, int],
) -> Float[Array, "batch rows cols 3"]:
    """Crops of `size` (height, width), bilinear, in changed colors; black outside of the picture.

    **Arguments:**

    - `images`: RGB.
    - `matrices`: where the pixel (x, y) of a crop lies in its picture: `matrix` · (x, y, 1).
    - `colors`: a pixel (r, g, b) of the picture becomes `color` · (r, g, b, 1).

    **Returns:** RGB, float32 in [0, 255].
    """
    batch, height, width, channels = images.shape
    rows, cols = size
    x = jnp.broadcast_to(jnp.arange(cols, dtype=jnp.float32), (rows, cols)).ravel()
    y = jnp.broadcast_to(jnp.arange(rows, dtype=jnp.float32)[:, None], (rows, cols)).ravel()
    # Sums of products, not a matrix product: TPUs would multiply in bfloat16, which cannot name a pixel beyond 256.
    coefficient = matrices[:, :, :, None]
    source = coefficient[:, :, 0] * x[None, None] + coefficient[:, :, 1] * y[None, None] + coefficient[:, :, 2]
    pixels = images.reshape(batch, height * width, channels).astype(jnp.float32)
    crops = sample(pixels, (height, width), jnp.stack([source[:, 1], source[:, 0]], axis=-1))
    crops = jnp.einsum("bpc,bdc->bpd", crops, colors[:, :, :3], precision=lax.Precision.HIGHEST)
    return jnp.clip(crops + colors[:, None, :, 3], 0.0, 255.0).reshape(batch, rows, cols, channels)


class Maps(NamedTuple):
    """The four maps, tile by tile."""

    shrink: Bool[Array, "batch tiles pixels"]
    care: Bool[Array, "batch tiles pixels"]
    band: Points
    grown: Bool[Array, "batch tiles pixels"]


def draw_labels(
    polygons: Float[Array, "batch instances vertices 2"],
    distances: Float[Array, "batch instances"],
    size: tuple[int, int],
    *,
    threshold_min: float = 0.3,
    threshold_max: float = 0.7,
) -> dict[str, Float[Array, "batch height width"]]:
    """The label maps of `input_pipeline.labels.make_labels`, drawn where the network runs.

    Every tile of the maps goes through the instances that reach it, as many rounds as the busiest tile of the batch
    needs, and each round through the edges of one instance a tile. All tiles and pictures go side by side, and no array
    is larger than one map. Differs from the host's maps by less than a pixel at borders, where the host rounds, and
    where a shrink splits an instance: the host draws one piece, this all of them.

    **Arguments:**

    - `polygons`: outlines, (x, y) in pixels of the crop, inside of it; unused vertices repeat the last one.
    - `distances`: D of each in pixels; 0 for an ignored instance, −1 for an unused place.
    - `size`: (height, width) of the crop.
    - `threshold_min`, `threshold_max`: the range of the threshold map.

    **Returns:** "shrink_map", "shrink_mask", "threshold_map", "threshold_mask".
    """
    rows, cols = (-(-side // TILE) for side in size)
    reached = _reached(polygons, distances, rows, cols)
    rank = jnp.cumsum(reached, axis=-1)
    x, y = _pixels_of_tiles(rows, cols)
    edges = _vertices_in_use(polygons)

    def draw_round(number: Int[Array, ""], maps: Maps) -> Maps:
        mine = reached & (rank == number + 1)
        index = jnp.argmax(mine, axis=-1)
        outline = jnp.take_along_axis(polygons, index[:, :, None, None], axis=1)
        distance = jnp.where(mine.any(axis=-1), jnp.take_along_axis(distances, index, axis=1), -1.0)
        inside, nearest = _inside_and_nearest(outline, edges, x, y)
        return _add_instance(maps, inside, nearest, distance[..., None])

    blank = jnp.zeros((polygons.shape[0], rows * cols, TILE * TILE), bool)
    maps = Maps(blank, ~blank, blank.astype(jnp.float32), blank)
    maps = lax.fori_loop(0, rank[..., -1].max(), draw_round, maps)

    def whole(tiles: Shaped[Array, "batch tiles pixels"]) -> Float[Array, "batch height width"]:
        tiles = tiles.astype(jnp.float32).reshape(-1, rows, cols, TILE, TILE).transpose(0, 1, 3, 2, 4)
        return tiles.reshape(-1, rows * TILE, cols * TILE)[:, : size[0], : size[1]]

    return {
        "shrink_map": whole(maps.shrink),
        "shrink_mask": whole(maps.care),
        "threshold_map": threshold_min + (threshold_max - threshold_min) * whole(maps.band),
        "threshold_mask": whole(maps.grown),
    }


def _reached(
    polygons: Float[Array, "batch instances vertices 2"],
    distances: Float[Array, "batch instances"],
    rows: int,
    cols: int,
) -> Bool[Array, "batch tiles instances"]:
    """Which tiles the box of which instance, grown by its D, reaches."""
    low = polygons.min(axis=2) - distances[..., None] - 1
    high = polygons.max(axis=2) + distances[..., None] + 1

    def along(axis: int, tiles: int) -> Bool[Array, "batch instances tiles"]:
        first = (jnp.arange(tiles) * TILE)[None, None]
        return (low[..., axis, None] < first + TILE) & (high[..., axis, None] >= first)

    both = along(1, rows)[:, :, :, None] & along(0, cols)[:, :, None, :] & (distances >= 0)[:, :, None, None]
    return both.reshape(*distances.shape, rows * cols).swapaxes(1, 2)


def _pixels_of_tiles(rows: int, cols: int) -> tuple[Float[Array, "1 tiles pixels"], Float[Array, "1 tiles pixels"]]:
    """x and y of every pixel of every tile."""
    side = jnp.arange(TILE, dtype=jnp.float32)
    left, top = jnp.arange(cols) * float(TILE), jnp.arange(rows) * float(TILE)
    shape = (rows, cols, TILE, TILE)
    x = jnp.broadcast_to(left[None, :, None, None] + side[None, None, None, :], shape)
    y = jnp.broadcast_to(top[:, None, None, None] + side[None, None, :, None], shape)
    return x.reshape(1, rows * cols, -1), y.reshape(1, rows * cols, -1)


def _vertices_in_use(polygons: Float[Array, "batch instances vertices 2"]) -> Int[Array, ""]:
    """How many vertices the busiest outline has: behind them all outlines repeat their last."""
    moves = (polygons[:, :, 1:] != polygons[:, :, :-1]).any(axis=(0, 1, 3))
    return 1 + jnp.max(jnp.where(moves, jnp.arange(1, polygons.shape[2]), 0))


def _inside_and_nearest(
    outline: Float[Array, "batch tiles vertices 2"],
    edges: Int[Array, ""],
    x: Float[Array, "1 tiles pixels"],
    y: Float[Array, "1 tiles pixels"],
) -> tuple[Bool[Array, "batch tiles pixels"], Points]:
    """Whether each pixel is inside of its tile's outline (crossed an odd number of times), and its distance to it."""

    def vertex(index: Int[Array, ""]) -> tuple[Float[Array, "batch tiles 1"], Float[Array, "batch tiles 1"]]:
        point = lax.dynamic_index_in_dim(outline, index, axis=2, keepdims=False)
        return point[..., 0, None], point[..., 1, None]

    def add_edge(
        index: Int[Array, ""], carry: tuple[Bool[Array, "batch tiles pixels"], Points]
    ) -> tuple[Bool[Array, "batch tiles pixels"], Points]:
        inside, nearest = carry
        # The last edge closes the outline; behind it there are edges of no length.
        end = jnp.where(index + 1 < edges, index + 1, jnp.where(index < edges, 0, index))
        (x0, y0), (x1, y1) = vertex(index), vertex(end)
        along_x, along_y, from_x, from_y = x1 - x0, y1 - y0, x - x0, y - y0
        length = jnp.maximum(along_x**2 + along_y**2, 1e-12)
        share = jnp.clip((from_x * along_x + from_y * along_y) / length, 0.0, 1.0)
        squared = (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2
        # A ray to the right meets the edge: its ends lie on either side of the ray, and it passes behind the pixel.
        spans = (y0 <= y) != (y1 <= y)
        behind = (from_x * along_y < from_y * along_x) != (along_y < 0)
        return inside ^ (spans & behind), jnp.minimum(nearest, squared)

    def add_edges(
        number: Int[Array, ""], carry: tuple[Bool[Array, "batch tiles pixels"], Points]
    ) -> tuple[Bool[Array, "batch tiles pixels"], Points]:
        for k in range(EDGES):
            carry = add_edge(EDGES * number + k, carry)
        return carry

    shape = jnp.broadcast_shapes(outline.shape[:2] + (1,), x.shape)
    start = jnp.zeros(shape, bool), jnp.full(shape, jnp.inf, jnp.float32)
    inside, squared = lax.fori_loop(0, (edges + EDGES - 1) // EDGES, add_edges, start)
    return inside, jnp.sqrt(squared)


def _add_instance(
    maps: Maps, inside: Bool[Array, "batch tiles pixels"], nearest: Points, distance: Float[Array, "batch tiles 1"]
) -> Maps:
    """The maps with one more instance in each tile; a `distance` of 0 says ignored, −1 that there is none."""
    text, ignored = distance > 0, distance == 0
    band = jnp.maximum(maps.band, 1 - nearest / jnp.where(text, distance, 1.0))
    return Maps(
        shrink=maps.shrink | (text & inside & (nearest >= distance - SLACK)),
        care=maps.care & ~(ignored & (inside | (nearest < SLACK))),
        band=jnp.where(text, band, maps.band),
        grown=maps.grown | (text & (inside | (nearest <= distance + SLACK))),
    )


def make_renderer(
    size: tuple[int, int], threshold_min: float, threshold_max: float
) -> Callable[[dict[str, Array], Array | None], dict[str, Array]]:
    """A function that makes a batch of pictures and label maps from a batch of geometry.

    It takes what `input_pipeline.device_geometry` describes, and the pictures on the device where the batch has only
    their index: a function of (batch, pictures or None).
    """

    def render(batch: dict[str, Array], pictures: Array | None = None) -> dict[str, Array]:
        images = batch["picture"] if pictures is None else pictures[batch["index"]]
        labels = draw_labels(
            batch["polygons"], batch["distances"], size, threshold_min=threshold_min, threshold_max=threshold_max
        )
        return {"image": warp(images, batch["matrix"], batch["color"], size), **labels}

    return render
