"""Maps a block of text into the picture: on a flat or bent surface in perspective, or along a given strip."""

import dataclasses
import math
from itertools import pairwise
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from dbnet_jax.typing import Polygon
from input_pipeline.datasets.rendered.scenes.block import Box

_FINE = 24  # pieces of an edge, by which its deviation from a straight line is measured
_STEPS = (1, 2, 3, 4, 6)  # numbers of pieces that the edge of a polygon may have: divisors of `_FINE`
_TINY = np.float32(1e-6)
_STRAIGHT = 0.06  # the allowed distance of a polygon from the true edge, in heights of the box


@runtime_checkable  # for the type checks that the tests switch on
class Surface(Protocol):
    """Maps a block into the picture."""

    @property
    def is_straight(self) -> bool:
        """Whether lines stay straight."""
        ...

    def place(self, points: Polygon) -> Polygon:
        """Pixels (x, y) of the picture for `points` (x, y) of the block."""
        ...

    def draw(
        self, letters: UInt8[np.ndarray, "_ _"], origin: tuple[int, int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, "height width"]:
        """Draws `letters` in a window of the picture: its first pixel (x, y) and its size (height, width)."""
        ...


def outline(surface: Surface, box: Box) -> Float[np.ndarray, "vertices 2"]:
    """The outline of a box of the block, in pixels of the picture.

    It has 4 points if it is straight enough, and up to 14 otherwise, in reading order from the top left of the text.
    """
    left, top, right, bottom = box
    if surface.is_straight:
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        return surface.place(corners).astype(np.float32)
    x = np.linspace(left, right, _FINE + 1)
    upper = surface.place(np.stack([x, np.full_like(x, top)], -1))
    lower = surface.place(np.stack([x, np.full_like(x, bottom)], -1))
    allowed = _STRAIGHT * float(np.linalg.norm(upper - lower, axis=1).mean())
    enough = (steps for steps in _STEPS if max(_sag(upper, steps), _sag(lower, steps)) <= allowed)
    stride = _FINE // next(enough, _STEPS[-1])
    return np.concatenate([upper[::stride], lower[::-stride]]).astype(np.float32)


def _sag(edge: Polygon, steps: int) -> float:
    """The largest distance, in pixels, between an edge and the chords of its `steps` equal pieces."""
    stride = _FINE // steps
    corners = edge[::stride]
    along = np.repeat(np.linspace(0, 1, stride, endpoint=False)[None], steps, 0)[..., None]
    chords = corners[:-1, None] + along * (corners[1:] - corners[:-1])[:, None]
    direction = corners[1:] - corners[:-1]
    length = np.maximum(np.linalg.norm(direction, axis=1), 1e-6)[:, None]
    away = edge[:-1].reshape(steps, stride, 2) - chords
    cross = away[..., 0] * direction[:, None, 1] - away[..., 1] * direction[:, None, 0]
    return float(np.abs(cross / length).max())


@dataclasses.dataclass(frozen=True)
class Arc:
    """Bends the middle line of a block into a circle.

    (u, v) are coordinates relative to the block's centre. R is the signed radius; with R > 0, the middle rises:
    (a, b) = ((R − v) sin(u/R), R − (R − v) cos(u/R)).
    """

    radius: float

    def bend(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the flat block to the bent one."""
        distance, angle = self.radius - v, u / self.radius
        return distance * np.sin(angle), self.radius - distance * np.cos(angle)

    def unbend(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Back again."""
        sign, magnitude = math.copysign(1, self.radius), abs(self.radius)
        depth = magnitude - sign * b
        return magnitude * np.arctan2(a, depth), sign * (magnitude - cv2.magnitude(a, depth))


@dataclasses.dataclass(frozen=True)
class Wave:
    """Moves the point at u up or down by `amplitude` · sin(2π u / `length` + `phase`)."""

    amplitude: float
    length: float
    phase: float

    def _rise(self, u: np.ndarray) -> np.ndarray:
        return self.amplitude * np.sin(u * (2 * math.pi / self.length) + self.phase)

    def bend(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the flat block to the waved one."""
        return u, v + self._rise(u)

    def unbend(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Back again."""
        return a, b - self._rise(a)


@dataclasses.dataclass(frozen=True)
class Plane:
    """A surface that may be bent, seen in perspective.

    **Arguments:**

    - `centre`: the centre (x, y) of the block in its pixels; the origin for `curve` and `matrix`.
    - `curve`: the bend of the surface; None for a flat surface.
    - `matrix`: the homography from the bent block to pixels of the picture.
    """

    centre: tuple[float, float]
    curve: Arc | Wave | None
    matrix: Float[np.ndarray, "3 3"]

    @property
    def is_straight(self) -> bool:
        return self.curve is None

    def then(self, scale: float, shift: Float[np.ndarray, "2"]) -> "Plane":
        """This surface, scaled by `scale` and then moved by `shift` (x, y)."""
        after = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
        return dataclasses.replace(self, matrix=after @ self.matrix)

    def place(self, points: Polygon) -> Polygon:
        u, v = points[:, 0] - self.centre[0], points[:, 1] - self.centre[1]
        a, b = self.curve.bend(u, v) if self.curve else (u, v)
        flat = np.ones((3, len(points)))
        flat[0], flat[1] = a, b
        seen = self.matrix @ flat
        return np.ascontiguousarray((seen[:2] / seen[2]).T)

    def draw(
        self, letters: UInt8[np.ndarray, "_ _"], origin: tuple[int, int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, "height width"]:
        from_block = np.array([[1, 0, -self.centre[0]], [0, 1, -self.centre[1]], [0, 0, 1]])
        into_window = np.array([[1, 0, -origin[0]], [0, 1, -origin[1]], [0, 0, 1]]) @ self.matrix
        if self.curve is None:
            drawn = cv2.warpPerspective(letters, into_window @ from_block, size[::-1], flags=cv2.INTER_LINEAR)
            return np.asarray(drawn, np.uint8)
        inverse = np.linalg.inv(into_window).astype(np.float32)
        x = np.arange(size[1], dtype=np.float32)
        y = np.arange(size[0], dtype=np.float32)[:, None]
        a, b, w = (row[0] * x + (row[1] * y + row[2]) for row in inverse)
        u, v = self.curve.unbend(a / w, b / w)
        x_map = (u + np.float32(self.centre[0])).astype(np.float32)
        y_map = (v + np.float32(self.centre[1])).astype(np.float32)
        return np.asarray(cv2.remap(letters, x_map, y_map, cv2.INTER_LINEAR), np.uint8)


@dataclasses.dataclass(frozen=True)
class Strip:
    """A band of quads, such as the outline of a curved word in a photograph.

    **Arguments:**

    - `upper`, `lower`: the edges in the picture, as many points each, in reading order.
    - `width`, `height`: the size of the block, in its pixels.
    """

    upper: Float[np.ndarray, "points 2"]
    lower: Float[np.ndarray, "points 2"]
    width: int
    height: int

    @property
    def is_straight(self) -> bool:
        return False

    def _stops(self) -> Float[np.ndarray, "points"]:
        """The horizontal positions of the edges' points on the block, in its pixels."""
        middle = (self.upper + self.lower) / 2
        length = np.linalg.norm(np.diff(middle, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(length)]) * (self.width / max(float(length.sum()), 1e-6))

    def place(self, points: Polygon) -> Polygon:
        stops, down = self._stops(), points[:, 1:] / self.height
        upper, lower = (
            np.stack([np.interp(points[:, 0], stops, edge[:, axis]) for axis in (0, 1)], -1)
            for edge in (self.upper, self.lower)
        )
        return upper + down * (lower - upper)

    def draw(
        self, letters: UInt8[np.ndarray, "_ _"], origin: tuple[int, int], size: tuple[int, int]
    ) -> UInt8[np.ndarray, "height width"]:
        drawn = np.zeros(size, np.uint8)
        for i, (left, right) in enumerate(pairwise(self._stops().tolist())):
            quad = np.stack([self.upper[i], self.upper[i + 1], self.lower[i + 1], self.lower[i]]) - origin
            first = np.clip(np.floor(quad.min(0)).astype(int), 0, size[::-1])
            last = np.clip(np.ceil(quad.max(0)).astype(int) + 1, 0, size[::-1])
            if (last <= first).any():
                continue
            window = drawn[first[1] : last[1], first[0] : last[0]]
            quad = (quad - first).astype(np.float32)
            along, down = _within_quad(quad, window.shape)
            x_map, y_map = left + along * np.float32(right - left), down * np.float32(self.height)
            inside = np.zeros(window.shape, np.uint8)
            cv2.fillConvexPoly(inside, np.rint(quad).astype(np.int32), (255,))
            cv2.copyTo(cv2.remap(letters, x_map.astype(np.float32), y_map, cv2.INTER_LINEAR), inside, window)
        return drawn


def _within_quad(
    quad: Float32[np.ndarray, "4 2"], shape: tuple[int, ...]
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """The position of every pixel of a window inside a quad: s from left to right and t downwards, both in [0, 1].

    This is the inverse of p = p₀ + e s + f t + g s t. p − p₀ − f t is parallel to e + g t, so t is a root of a
    quadratic equation: the root that stays finite for g → 0.
    """
    start, e, f = quad[0], quad[1] - quad[0], quad[3] - quad[0]
    g = quad[2] - quad[1] - f
    x = np.arange(shape[1], dtype=np.float32) - start[0]
    y = np.arange(shape[0], dtype=np.float32)[:, None] - start[1]
    square = g[0] * f[1] - g[1] * f[0]
    linear = e[0] * f[1] - e[1] * f[0] + (x * g[1] - y * g[0])
    constant = x * e[1] - y * e[0]
    root = linear + np.sqrt(np.maximum(linear * linear - 4 * square * constant, 0))
    t = -2 * constant / np.where(root > _TINY, root, _TINY)
    side_x, side_y = e[0] + g[0] * t, e[1] + g[1] * t
    s = ((x - f[0] * t) * side_x + (y - f[1] * t) * side_y) / np.maximum(side_x**2 + side_y**2, _TINY)
    return s, t
