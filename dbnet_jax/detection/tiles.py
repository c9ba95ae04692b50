"""A look at a large picture through windows of one size, whose maps become the map of the whole look."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from dbnet_jax.detection.pipeline import AHEAD
from dbnet_jax.images.resize import STRIDE, resize_and_pad
from dbnet_jax.typing import Image

OVERLAP = 256
"""The least pixels that neighbouring windows share, or half of a window that is smaller than twice of it.

The network needs half of it around a pixel. With less, the map at a seam differs more from that of the whole look.
"""
LEAST_SIDE = 2 * STRIDE
"""The least side of a window in pixels."""

Step = Callable[[UInt8[np.ndarray, "batch height width 3"]], Mapping[str, Any]]


class Span(NamedTuple):
    """A window along one axis, in pixels of the look: it starts at `start`, and its map counts in [first, last)."""

    start: int
    first: int
    last: int


Place = tuple[Span, Span]  # of the rows and of the columns


def window_of(tiles: Any) -> tuple[int, int] | None:
    """The (height, width) of the windows that `config.predict.tiles` states; None without windows.

    **Arguments:** `tiles`: None or 0, a side, or two sides.

    **Raises:** ValueError if it is none of these.
    """
    if not tiles:
        return None
    sides = tuple(tiles) if isinstance(tiles, list | tuple) else (tiles, tiles)
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or min(sides) < LEAST_SIDE or any(side % STRIDE for side in sides):
        raise ValueError(
            f"`config.predict.tiles` (={tiles!r}) must be None, the side of the windows, or their (height, width): "
            f"multiples of {STRIDE} from {LEAST_SIDE} pixels on"
        )
    return sides[0], sides[1]


def spans(extent: int, window: int) -> list[Span]:
    """The windows along one axis of a look.

    They are spread evenly, and neighbours share at least `OVERLAP` pixels. They start at multiples of the network's
    stride, so that its cells are those of the whole look. Two neighbours meet in the middle of what they share. So each
    pixel belongs to one window, and a seam is at least `OVERLAP` / 2 from the windows' edges.

    **Arguments:** `extent`: pixels of the look, at least 1; `window`: pixels of a window, a multiple of the stride.
    """
    hidden = max(0, _up(extent) - window)  # pixels outside the first window
    shared = min(OVERLAP, window // 2 // STRIDE * STRIDE)
    steps = math.ceil(hidden / (window - shared)) if hidden else 0
    starts = [0, *(hidden * step // steps // STRIDE * STRIDE for step in range(1, steps + 1))]
    seams = [(one + window + other) // 2 for one, other in itertools.pairwise(starts)]
    return [Span(*span) for span in zip(starts, [0, *seams], [*seams, extent], strict=True)]


def maps_by_windows(
    image: Image, window: tuple[int, int], step: Step, *, batch_size: int, least: int
) -> dict[str, Float32[np.ndarray, "height width"]]:
    """The maps of a look, whose parts the network sees through windows of one shape.

    The network's memory depends on the window, and not on the look. A window is no larger than the look.

    **Arguments:**

    - `image`: the picture at the size of the look. A window that reaches outside of it is black there.
    - `window`: (height, width) in pixels, multiples of the stride.
    - `step`: sends a batch of windows to the device and returns its maps, without waiting for them.
    - `batch_size`: windows in a batch. Copies of the last window fill the last batch.
    - `least`: the size of a batch with a single window.
    """
    height, width = image.shape[:2]
    window, places = _places(image, window)
    size = batch_size if len(places) > 1 else least
    batches = [places[first : first + size] for first in range(0, len(places), size)]
    maps: dict[str, np.ndarray] = {}
    for batch, outputs in _fetched(batches, lambda batch: step(_pixels(image, window, batch, size))):
        for name, values in outputs.items():
            if name not in maps:
                maps[name] = np.empty((height, width), np.float32)
            for (rows, columns), one in zip(batch, values, strict=False):  # without those of the copies
                inside = one[rows.first - rows.start : rows.last - rows.start]
                inside = inside[:, columns.first - columns.start : columns.last - columns.start]
                maps[name][rows.first : rows.last, columns.first : columns.last] = inside
    return maps


def windows_of_look(image: Image, window: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "1 height width 3"]]:
    """What the network sees of a look, window by window. **Arguments:** as of `maps_by_windows`."""
    window, places = _places(image, window)
    return (_pixels(image, window, [place], 1) for place in places)


def _places(image: Image, window: tuple[int, int]) -> tuple[tuple[int, int], list[Place]]:
    """The (height, width) of the windows, and where they are."""
    height, width = image.shape[:2]
    high, wide = min(window[0], _up(height)), min(window[1], _up(width))
    return (high, wide), [(rows, columns) for rows in spans(height, high) for columns in spans(width, wide)]


def _up(extent: int) -> int:
    return math.ceil(extent / STRIDE) * STRIDE


def _pixels(
    image: Image, window: tuple[int, int], batch: Sequence[Place], size: int
) -> UInt8[np.ndarray, "batch height width 3"]:
    height, width = window
    parts = [image[rows.start : rows.start + height, columns.start : columns.start + width] for rows, columns in batch]
    padded = [resize_and_pad(part, (part.shape[0], part.shape[1]), window) for part in parts]
    return np.stack(padded + padded[-1:] * (size - len(padded)))


def _fetched(
    batches: Sequence[Sequence[Place]], send: Callable[[Sequence[Place]], Mapping[str, Any]]
) -> Iterator[tuple[Sequence[Place], Mapping[str, np.ndarray]]]:
    """Each batch with its outputs; the device has the next one meanwhile."""
    waiting: deque[tuple[Sequence[Place], Mapping[str, Any]]] = deque()
    for batch in batches:
        waiting.append((batch, send(batch)))
        if len(waiting) == AHEAD:
            done, outputs = waiting.popleft()
            yield done, jax.device_get(outputs)
    for done, outputs in waiting:
        yield done, jax.device_get(outputs)
