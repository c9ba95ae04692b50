"""Regions with holes: closed rings of text, and what growing leaves of their holes."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32

from dbnet_jax.geometry.polygons import Number, offset_path

Contour = Int32[np.ndarray, "_ 1 2"]  # as of OpenCV
Grown = Float32[np.ndarray, "_ 2"]  # a polygon, or a hole, in pixels of the map


def split_rings(text: Bool[np.ndarray, "height width"], ratio: Number) -> tuple[list[Contour], list[list[Contour]]]:
    """The contours of the regions and of their holes, and the closed rings apart.

    **Arguments:**

    - `text`: marks the pixels of the regions.
    - `ratio`: r' > 0, by which the regions grow.

    **Returns:** the contours without the outlines of rings, and the rings: each an outline and the holes that stay open
    when the region grows.
    """
    contours, hierarchy = cv2.findContours(text.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    holes_of: dict[int, list[Contour]] = {}
    for contour, (_, _, _, parent) in zip(contours, () if hierarchy is None else hierarchy[0].tolist(), strict=True):
        if parent >= 0:
            holes_of.setdefault(parent, []).append(contour)
    rings: dict[int, list[Contour]] = {}
    for index, holes in holes_of.items():
        width = 2 * _growth([contours[index], *holes], ratio)
        if opened := [hole for hole in holes if min(cv2.minAreaRect(hole)[1]) > width > 0]:
            rings[index] = [contours[index], *opened]
    return [contour for index, contour in enumerate(contours) if index not in rings], list(rings.values())


def grow_ring(region: Sequence[Contour], ratio: Number) -> list[Grown]:
    """A closed ring grown back to full size: the outline, and the holes that are still open.

    **Arguments:** `region`: a ring of `split_rings`; `ratio`: as there.
    """
    distance = _growth(region, ratio)
    # As fine as other outlines, and within an eighth of the ring's thickness.
    tolerances = [min(0.002 * cv2.arcLength(contour, True), distance / ratio / 4) for contour in region]
    simple = [cv2.approxPolyDP(*pair, True)[:, 0].tolist() for pair in zip(region, tolerances, strict=True)]
    return outline_and_holes(offset_path(simple[0], distance, simple[1:]))


def outline_and_holes(pieces: Sequence[list[list[int]]]) -> list[Grown]:
    """The largest of the pieces of a grown polygon, and its holes, which have the opposite direction.

    **Arguments:** `pieces`: one or more of `offset_path`.
    """
    # Twice as fast as np.array of nested lists.
    arrays = [np.fromiter(itertools.chain.from_iterable(piece), np.float32).reshape(-1, 2) for piece in pieces]
    if len(arrays) == 1:
        return arrays
    areas = [cv2.contourArea(piece, oriented=True) for piece in arrays]
    largest = max(range(len(areas)), key=lambda index: abs(areas[index]))
    holes = [piece for piece, area in zip(arrays, areas, strict=True) if area * areas[largest] < 0]
    return [arrays[largest], *holes]


def _growth(region: Sequence[Contour], ratio: Number) -> float:
    """The distance by which an outline with holes grows, A' r' / L'."""
    outer, *holes = (cv2.contourArea(contour) for contour in region)
    return (outer - sum(holes)) * ratio / max(sum(cv2.arcLength(contour, True) for contour in region), 1.0)
