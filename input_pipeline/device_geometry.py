"""The geometry of a training example whose pixels `dbnet_jax.training.device_pixels` makes on the device."""

import cv2
import numpy as np
from jaxtyping import Float

from dbnet_jax.geometry import Number, clip_to_image, offset_distance, offset_polygon, polygon_area
from dbnet_jax.images.canvas import canvas_scale, to_canvas
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.typing import Polygon
from input_pipeline.augment import Placement
from input_pipeline.datasets.sample import Sample

IGNORED, UNUSED = 0.0, -1.0


class DeviceGeometry:
    """Describes an example whose pixels the device makes, by arrays of the same shapes for all examples.

    **Arguments:**

    - `canvas`: (height, width) of the pictures that are sent, in pixels. A larger picture is shrunk to fit. Each
        picture lies in the top left corner.
    - `crop`: (height, width) of the example, in pixels.
    - `shrink_ratio`, `min_text_size`: as in `make_labels`.
    - `max_instances`, `max_vertices`: the most polygons, and the most vertices of a polygon.
    - `stored`: True sends the index of a picture that is on the device already.
    """

    def __init__(
        self,
        canvas: tuple[int, int],
        crop: tuple[int, int],
        *,
        shrink_ratio: Number,
        min_text_size: Number,
        max_instances: int,
        max_vertices: int,
        stored: bool,
    ):
        self._canvas, self._crop, self._stored = canvas, crop, stored
        self._shrink_ratio, self._min_text_size = shrink_ratio, min_text_size
        self._room = (max_instances, max_vertices)

    def __call__(self, index: int, sample: Sample, placement: Placement) -> dict[str, np.ndarray]:
        """The example of picture `index`.

        **Returns:** `picture` uint8 [height, width, 3], or `index`; `matrix` float32 [2, 3] from the crop's pixels to
        the picture's; `color` float32 [3, 4]; `polygons` float32 [instances, vertices, 2], (x, y) in the crop;
        `distances` float32 [instances]: D of each polygon, 0 if it is ignored, −1 for unused places.

        **Raises:** BadPicture if there are too many polygons or vertices.
        """
        size = (sample.image.shape[0], sample.image.shape[1])
        polygons, distances = self._instances(sample.name, placement)
        example = {
            "matrix": self._to_picture(placement.matrix, size),
            "color": placement.color,
            "polygons": polygons,
            "distances": distances,
        }
        if self._stored:
            return {"index": np.array(index, np.int32), **example}
        return {"picture": to_canvas(sample.image, self._canvas), **example}

    def _to_picture(self, matrix: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
        """From pixels of the crop to pixels of the original and then of the canvas; pixel centres are at integers."""
        scale = canvas_scale(size, self._canvas)
        inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
        inverse = inverse * scale
        inverse[:, 2] += (scale - 1) / 2
        return inverse.astype(np.float32)

    def _instances(
        self, name: str, placement: Placement
    ) -> tuple[Float[np.ndarray, "instances vertices 2"], Float[np.ndarray, "instances"]]:
        room, vertices = self._room
        if len(placement.polygons) > room:
            count = len(placement.polygons)
            raise BadPicture(f"{name}: {count} polygons are more than `config.data.max_instances` (={room})")
        polygons = np.zeros((room, vertices, 2), np.float32)
        distances = np.full(room, UNUSED, np.float32)
        for place, (polygon, ignored) in enumerate(zip(placement.polygons, placement.ignore, strict=True)):
            if len(polygon) > vertices:
                raise BadPicture(
                    f"{name}: {len(polygon)} vertices are more than `config.data.max_vertices` (={vertices})"
                )
            polygon = clip_to_image(polygon, *self._crop)
            polygons[place, : len(polygon)] = polygon
            polygons[place, len(polygon) :] = polygon[-1]
            distances[place] = IGNORED if ignored else self._distance(polygon)
        return polygons, distances

    def _distance(self, polygon: Polygon) -> float:
        """D, or 0 if `make_labels` ignores the polygon."""
        distance = offset_distance(polygon, self._shrink_ratio)
        small = np.ptp(polygon, axis=0).min() < self._min_text_size or polygon_area(polygon) < 1
        return IGNORED if small or not offset_polygon(polygon, -distance) else distance
