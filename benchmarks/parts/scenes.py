"""Text to measure with: words as quads and curved lines as polygons of 14 vertices, the same for the same seed."""

import math

import cv2
import numpy as np

EACH_LARGE, EACH_CURVED = 5, 3
GAP = 3  # pixels between words, at least


def text_polygons(
    count: int, height: int, width: int, *, heights: tuple[float, float] = (20, 60), seed: int = 0
) -> list[np.ndarray]:
    """Polygons that do not touch, float32 `[vertices, 2]`: `heights` in pixels, each fifth up to three times as high.

    Large ones come first, and a word for which no place is left becomes smaller.
    """
    rng = np.random.default_rng(seed)
    taken = np.zeros((height, width), np.uint8)
    polygons = []
    for index in range(count):
        text_height = math.exp(rng.uniform(*np.log(heights)))
        if index < count // EACH_LARGE:
            text_height = heights[1] * rng.uniform(1, 3)
        text_width = text_height * rng.uniform(1.5, 5)
        bend = rng.uniform(0.3, 1) if index % EACH_CURVED == 0 else 0
        while True:
            polygon = outline(text_width, text_height, bend) @ rotation(rng.uniform(-0.35, 0.35))
            polygon = (polygon + rng.uniform(0, (width, height))).astype(np.float32)
            if is_free(taken, polygon):
                break
            text_width, text_height = 0.995 * text_width, 0.995 * text_height
        cv2.fillPoly(taken, [polygon.astype(np.int32)], 1)
        cv2.polylines(taken, [polygon.astype(np.int32)], True, 1, thickness=2 * GAP)
        polygons.append(polygon)
    return polygons


def is_free(taken: np.ndarray, polygon: np.ndarray) -> bool:
    """Whether a polygon lies in the picture and on no other."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if low.min() < 0 or np.any(high > np.array(taken.shape[::-1]) - 1):
        return False
    inside = np.zeros_like(taken)
    cv2.fillPoly(inside, [polygon.astype(np.int32)], 1)
    return not np.any(taken & inside)


def outline(width: float, height: float, bend: float) -> np.ndarray:
    """A word about the origin: a rectangle, or seven vertices above and seven below along `bend` radians to a side."""
    if bend == 0:
        return np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    radius = width / (2 * bend)
    angles = np.linspace(-bend, bend, 7)
    directions = np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
    upper, lower = ((radius + side * height / 2) * directions for side in (1, -1))
    return np.concatenate([upper, lower[::-1]]) + np.array([0, radius])


def rotation(angle: float) -> np.ndarray:
    """The matrix that turns row vectors by `angle` radians."""
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
