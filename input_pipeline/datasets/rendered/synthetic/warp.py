"""Maps a run of text into the picture: bent along an arc, then put into perspective, turned, scaled and moved."""

import dataclasses
import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_MAX_BEND = math.radians(150)
_STEP = math.radians(25)  # the part of an arc that one edge of a polygon may span
_MAX_STEPS = 6  # seven points a side, fourteen in all


@dataclasses.dataclass(frozen=True)
class Warp:
    """Maps the text box into the picture.

    The box has the height 1 and the width `aspect`. Its centre is the origin, and v points down. Bending by the angle β
    puts its middle line on a circle of signed radius R = `aspect` / β (with β > 0, the middle rises):

    (a, b) = ((R − v) sin(u/R), R − (R − v) cos(u/R)),

    A homography maps (a, b) to pixels (x, y), with pixel centres at integers. Letters and polygon use the same map, so
    they always agree.

    **Arguments:**

    - `aspect`: the width of the box divided by its height.
    - `bend`: β in radians; 0 for a straight line.
    - `matrix`: the homography.
    """

    aspect: float
    bend: float
    matrix: Float[np.ndarray, "3 3"]

    def then(self, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> "Warp":
        """This warp, scaled by `scale` and then moved by `shift` (x, y)."""
        after = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
        return dataclasses.replace(self, matrix=after @ self.matrix)

    def outline(self, grow: float = 0.0) -> Float[np.ndarray, "vertices 2"]:
        """The outline of the box in pixels, `grow` text heights larger on every side.

        It has 4 points if straight and 6 to 14 if bent, clockwise in reading order from the top left of the text.
        """
        steps = min(max(math.ceil(abs(self.bend) / _STEP), 2), _MAX_STEPS) if self.bend else 1
        half = self.aspect / 2 + grow
        u = np.linspace(-half, half, steps + 1)
        top, bottom = np.full_like(u, -0.5 - grow), np.full_like(u, 0.5 + grow)
        if self.bend:
            # Chords lie inside their arc. Moved outwards by half of that distance, they add as much as they cut.
            radius = self.aspect / self.bend
            cut = (1 - math.cos(half / abs(radius) / steps)) / 2
            top, bottom = top - (radius - top) * cut, bottom - (radius - bottom) * cut
        points = np.concatenate([np.stack([u, top], -1), np.stack([u, bottom], -1)[::-1]])
        if self.bend:
            angle, distance = points[:, 0] / radius, radius - points[:, 1]
            points = np.stack([distance * np.sin(angle), radius - distance * np.cos(angle)], -1)
        return cv2.perspectiveTransform(points[None], self.matrix)[0].astype(np.float32)

    def draw(
        self, mask: UInt8[np.ndarray, "height width 2"], origin: tuple[int, int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, "_ _ 2"]:
        """Maps `mask`, which has the size of the box, into a window of the picture.

        **Arguments:**

        - `mask`: values in [0, 255].
        - `origin`: the first pixel (x, y) of the window.
        - `size`: (height, width) of the window.
        """
        height, width = mask.shape[:2]
        # From pixels of the mask to the box. The mask reaches from -1/2 to width - 1/2.
        pixel = self.aspect / width, 1 / height
        first = (pixel[0] - self.aspect) / 2, (pixel[1] - 1) / 2
        into_window = self.then(shift=(-float(origin[0]), -float(origin[1]))).matrix
        if not self.bend:
            matrix = into_window @ np.array([[pixel[0], 0, first[0]], [0, pixel[1], first[1]], [0, 0, 1]])
            return cv2.warpPerspective(mask, matrix, size[::-1], flags=cv2.INTER_LINEAR)
        a, b = _inverse_homography(into_window, size)
        radius = self.aspect / self.bend
        sign, magnitude = math.copysign(1, radius), abs(radius)
        depth = magnitude - sign * b
        u = magnitude * np.arctan2(a, depth)
        v = sign * (magnitude - cv2.magnitude(a, depth))
        return cv2.remap(mask, (u - first[0]) / pixel[0], (v - first[1]) / pixel[1], cv2.INTER_LINEAR)


def pick_warp(rng: np.random.Generator, aspect: float) -> Warp:
    """A random warp of a box of width `aspect`, which is one pixel high at the origin."""
    bend = 0.0
    # With a radius below 1.2 text heights, the feet of the letters touch.
    limit = min(_MAX_BEND, aspect / 1.2)
    if limit > 0.6 and rng.random() < 0.35:
        bend = float(rng.uniform(0.4, limit) * rng.choice([-1, 1]))
    spread = math.radians(rng.choice([8, 35, 90], p=[0.5, 0.3, 0.2]))
    turn = rng.uniform(-spread, spread)
    matrix = np.eye(3)
    if rng.random() < 0.4:
        matrix[0, 1] = rng.uniform(-0.3, 0.3)
        rise = aspect / abs(bend) * (1 - math.cos(bend / 2)) if bend else 0.0
        matrix[2, :2] = rng.uniform(-0.35, 0.35) / max(aspect, 1), rng.uniform(-0.15, 0.15) / (1 + rise)
    cos, sin = math.cos(turn), math.sin(turn)
    return Warp(aspect, bend, np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ matrix)


def text_height(polygon: Float[np.ndarray, "vertices 2"]) -> tuple[float, float]:
    """The least and the greatest distance, in pixels, between a vertex of the upper side and its partner below."""
    half = len(polygon) // 2
    heights = np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=-1)
    return float(heights.min()), float(heights.max())


def _inverse_homography(
    matrix: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """The source position of each pixel of a window of `size`, float32."""
    inverse = np.linalg.inv(matrix).astype(np.float32)
    x = np.arange(size[1], dtype=np.float32)
    y = np.arange(size[0], dtype=np.float32)[:, None]
    a, b, w = (row[0] * x + (row[1] * y + row[2]) for row in inverse)
    return a / w, b / w
