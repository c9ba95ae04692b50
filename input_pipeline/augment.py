"""One random affine map per example: flip, rotation, scale and a crop that cuts no kept word.

Only the map is random; the picture is resampled once, by whoever holds the pixels, and the polygons follow exactly.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from dbnet_jax.geometry import crop_polygon, transform_points
from dbnet_jax.typing import Polygon


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training pictures vary (paper section 4.2).

    **Arguments:**

    - `crop`: (height, width) of the example, in pixels.
    - `flip`: probability of a horizontal flip.
    - `rotation`: degrees; the angle is uniform in ± this.
    - `scale`: the range of the factor on the picture's size, drawn uniformly.
    - `short_side`: in pixels; the picture is brought to this short side before `scale`. None keeps the picture's size.
        A detector that resizes every picture to one short side then meets text of the size that it was trained on.
    - `jitter`: how far colors vary, in [0, 1): brightness, contrast and saturation are multiplied by numbers uniform in
        1 ± this.
    """

    crop: tuple[int, int] = (640, 640)
    flip: float = 0.5
    rotation: float = 10.0
    scale: tuple[float, float] = (0.5, 3.0)
    short_side: int | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError when a field cannot work."""
        if min(self.crop) < 1:
            raise ValueError(f"`crop` (={self.crop}) must be a positive (height, width)")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"`flip` (={self.flip}) must be a probability")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"`scale` (={self.scale}) must be a range of positive numbers")
        if self.short_side is not None and self.short_side < 1:
            raise ValueError(f"`short_side` (={self.short_side}) must be positive, or None")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"`jitter` (={self.jitter}) must be in [0, 1)")


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a training example lies in its picture.

    **Arguments:**

    - `matrix`: maps the picture's pixels (x, y) to the crop's.
    - `polygons`: in the crop's pixels, cut at its edge; polygons wholly outside are left out.
    - `ignore`: also True for words that the crop's edge cuts.
    - `color`: a pixel (r, g, b) of the picture becomes `color` · (r, g, b, 1) in the crop.
    """

    matrix: Float[np.ndarray, "2 3"]
    polygons: list[Polygon]
    ignore: list[bool]
    color: Float[np.ndarray, "3 4"]


# A photo's text may not fit the crop at one scale or lie too close together at one angle: draw again, so often.
ATTEMPTS = 4
WINDOWS = 48
# Now and then any window will do, with text or without: pictures without text must be learned too.
ANY_WINDOW = 0.1


def sample_placement(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    polygons: Sequence[Polygon],
    ignore: Sequence[bool],
    augmentation: Augmentation,
) -> Placement:
    """Draws the affine map of one example.

    **Arguments:**

    - `rng`: the only source of randomness.
    - `image_size`: (height, width) of the picture, in pixels.
    - `polygons`, `ignore`: its text, in its pixels.
    - `augmentation`: what to draw from.

    **Returns:** the map, with the polygons in the crop. No polygon that is not ignored crosses the crop's edge.
    """
    want_text = not all(ignore) and rng.random() >= ANY_WINDOW
    for attempt in range(ATTEMPTS):
        matrix = _random_matrix(rng, image_size, augmentation)
        moved = [transform_points(matrix, polygon) for polygon in polygons]
        boxes = np.array([[*p.min(axis=0), *p.max(axis=0)] for p in moved], np.float32).reshape(-1, 4)
        offset, kept = _choose_window(
            rng, image_size, matrix, boxes, np.array(ignore, bool), want_text, augmentation.crop
        )
        if kept or not want_text or attempt == ATTEMPTS - 1:
            break
    matrix[:, 2] -= offset
    height, width = augmentation.crop
    inside, touching = _classify(boxes, offset[None], (height, width))
    kept_polygons, kept_ignore = [], []
    for index, polygon in enumerate(moved):
        polygon = (polygon - offset[None]).astype(np.float32)
        if touching[0, index]:
            # Its true part: the labels would move the vertices outside onto the edge, and uncover text.
            polygon = crop_polygon(polygon, height, width).astype(np.float32)
        if (inside[0, index] or touching[0, index]) and len(polygon):
            kept_polygons.append(polygon)
            kept_ignore.append(bool(ignore[index]) or bool(touching[0, index]))
    return Placement(matrix.astype(np.float32), kept_polygons, kept_ignore, _random_color(rng, augmentation.jitter))


def _random_matrix(
    rng: np.random.Generator, image_size: tuple[int, int], augmentation: Augmentation
) -> Float[np.ndarray, "2 3"]:
    """Flip, rotation and scale about the picture's centre, which goes to the origin."""
    angle = np.deg2rad(rng.uniform(-augmentation.rotation, augmentation.rotation))
    scale = rng.uniform(*augmentation.scale)
    if augmentation.short_side is not None:
        scale *= augmentation.short_side / min(image_size)
    mirror = -1.0 if rng.random() < augmentation.flip else 1.0
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([mirror, 1.0])
    centre = np.array([image_size[1] - 1, image_size[0] - 1]) / 2
    return np.column_stack([linear, -linear @ centre])


# The brightness of a colour (ITU-R BT.601), and that of a middle grey.
LUMA = np.array([0.299, 0.587, 0.114])
GREY = 127.5


def _random_color(rng: np.random.Generator, jitter: float) -> Float[np.ndarray, "3 4"]:
    """Saturation about a pixel's own brightness, then contrast about grey, then brightness: one affine map."""
    if jitter == 0:
        return np.eye(3, 4, dtype=np.float32)
    brightness, contrast, saturation = rng.uniform(1 - jitter, 1 + jitter, 3)
    linear = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    offset = brightness * (1 - contrast) * GREY
    return np.column_stack([brightness * contrast * linear, np.full(3, offset)]).astype(np.float32)


def _choose_window(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    matrix: Float[np.ndarray, "2 3"],
    boxes: Float[np.ndarray, "n 4"],
    ignore: Bool[np.ndarray, "n"],
    want_text: bool,
    crop: tuple[int, int],
) -> tuple[Float[np.ndarray, "2"], int]:
    """The crop's top left corner in the scaled picture, and how many words it keeps.

    Many windows are drawn, each around a random word where text is wanted; the first that keeps a word and cuts none
    is taken, or else the one that keeps the most beyond what it cuts.
    """
    size = np.array([crop[1], crop[0]], float)
    height, width = image_size
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(axis=0), corners.max(axis=0) + 1 - size
    # A picture smaller than the crop lies anywhere inside of it, a larger one covers it.
    low, high = np.minimum(low, high), np.maximum(low, high)
    offsets = rng.uniform(low, high, (WINDOWS, 2))
    care = np.flatnonzero(~ignore)
    if want_text and len(care):
        word = boxes[rng.choice(care, WINDOWS)]
        first, last = word[:, 2:] + 1 - size, word[:, :2]
        near = rng.uniform(np.minimum(first, last), np.maximum(first, last))
        offsets = np.clip(near, low, high)
    offsets = np.round(offsets)
    inside, touching = _classify(boxes, offsets, crop)
    kept = (inside & ~ignore).sum(axis=1)
    cut = (touching & ~ignore).sum(axis=1)
    wanted = (cut == 0) & (kept > 0) if want_text else cut == 0
    best = int(np.argmax(wanted)) if wanted.any() else int(np.argmax(kept - cut))
    return offsets[best], int(kept[best])


def _classify(
    boxes: Float[np.ndarray, "n 4"], offsets: Float[np.ndarray, "windows 2"], crop: tuple[int, int]
) -> tuple[Bool[np.ndarray, "windows n"], Bool[np.ndarray, "windows n"]]:
    """Which boxes lie wholly inside each window, and which cross its edge."""
    low = offsets[:, None, :]
    high = low + np.array([crop[1] - 1, crop[0] - 1])[None, None]
    inside = (boxes[None, :, :2] >= low).all(axis=-1) & (boxes[None, :, 2:] <= high).all(axis=-1)
    apart = (boxes[None, :, 2:] < low).any(axis=-1) | (boxes[None, :, :2] > high).any(axis=-1)
    return inside, ~inside & ~apart
