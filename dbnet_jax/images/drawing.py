"""Draws polygons on pictures, maps in colour, and both side by side."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from dbnet_jax.typing import Image, Polygon

Map = Float[np.ndarray, "_ _"]  # the maps of one picture may differ in size
Color = tuple[int, int, int]
Flags = Sequence[bool | np.bool_] | Bool[np.ndarray, "_"]

# RGB. The results page and its legend use the same colours.
MATCHED: Color = (43, 208, 116)
FALSE: Color = (244, 67, 67)
MISSED: Color = (255, 159, 28)
IGNORED: Color = (160, 166, 178)
SET_ASIDE: Color = (72, 112, 214)  # detections on ignored text, which do not count
DETECTED: Color = (64, 184, 255)  # detections without known truths
TRUTH: Color = (255, 214, 64)

# The range of the threshold map's labels inside text; it is shown in full contrast.
THRESHOLD_RANGE = (0.3, 0.7)

_RIM: Color = (16, 18, 22)
_RIM_OPACITY = 0.7  # small text stays legible
_PAPER: Color = (245, 246, 248)
_INK: Color = (32, 36, 44)
_FRACTION_BITS = 4  # OpenCV draws at 1/16 pixel
_FARTHEST = float(2**15)  # pixels; keeps the fixed-point coordinates far from overflow


def line_width(height: int, width: int) -> int:
    """The width of a line in pixels that is easy to see on a picture of this size."""
    # At least 2: an antialiased line of one pixel between two pixel centres has half of the brightness.
    return max(2, round(max(height, width) / 420))


def draw_polygons(
    image: UInt8[np.ndarray, "height width 3"],
    polygons: Sequence[Polygon],
    *,
    color: Color = DETECTED,
    thickness: int | None = None,
    labels: Sequence[str] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draws closed polygons on a copy of a picture.

    Every line has a dark rim, so that it is visible on any background. All rims are drawn before all lines, so that
    neighbours do not hide each other's colour.

    **Arguments:**

    - `image`: RGB; not changed.
    - `polygons`: vertices (x, y) in pixels, with pixel centres at integers. They may lie outside the picture. A polygon
        without vertices or with a coordinate that is not finite is left out.
    - `color`: of the lines, RGB.
    - `thickness`: of the lines, in pixels. The default depends on the picture's size.
    - `labels`: a short text for each polygon, on a tag at its topmost vertex. An empty text draws nothing.

    **Returns:** the copy.

    **Raises:** `ValueError` if `thickness` is below 1 or the number of `labels` is not that of `polygons`.
    """
    if thickness is not None and thickness < 1:
        raise ValueError(f"`thickness` (={thickness}) must be at least 1")
    if labels is not None and len(labels) != len(polygons):
        raise ValueError(f"`labels` (of length {len(labels)}) must have one entry a polygon ({len(polygons)})")
    picture = np.ascontiguousarray(image).copy()
    width = thickness or line_width(*image.shape[:2])
    drawable = [index for index, polygon in enumerate(polygons) if len(polygon) and np.isfinite(polygon).all()]
    lines = [_fixed_point(polygons[index]) for index in drawable]
    rims = cv2.polylines(picture.copy(), lines, True, _RIM, width + 2, cv2.LINE_AA, _FRACTION_BITS)
    picture = cv2.addWeighted(rims, _RIM_OPACITY, picture, 1.0 - _RIM_OPACITY, 0.0)
    cv2.polylines(picture, lines, True, color, width, cv2.LINE_AA, _FRACTION_BITS)
    for index in drawable if labels is not None else []:
        if labels[index]:  # type: ignore[index]
            _draw_tag(picture, labels[index], polygons[index], color, width)  # type: ignore[index]
    return picture


def heatmap(
    values: Float[np.ndarray, "height width"], low: float = 0.0, high: float = 1.0
) -> UInt8[np.ndarray, "height width 3"]:
    """Paints a map in colours of evenly rising lightness, black at `low` and pale yellow at `high`.

    **Arguments:**

    - `values`: any range. A value outside [`low`, `high`] has the colour of the nearer end, NaN that of `low`.

    **Raises:** `ValueError` if `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"`low` (={low}) must be below `high` (={high})")
    unit = np.nan_to_num((values.astype(np.float32) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    levels = np.rint(np.clip(unit, 0.0, 1.0) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def side_by_side(
    image: UInt8[np.ndarray, "height width 3"],
    *,
    probability_map: Map | None = None,
    threshold_map: Map | None = None,
    binary_map: Map | None = None,
    truths: Sequence[Polygon] | None = None,
    ignore: Flags | None = None,
    detections: Sequence[Polygon] | None = None,
    columns: int = 3,
    panel_width: int = 480,
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """One sheet of panels with captions, for TensorBoard: input, P, T, B, truth, detections, as far as they are given.

    **Arguments:**

    - `image`: RGB.
    - `probability_map`, `threshold_map`, `binary_map`: each covers the whole picture, at any resolution. T is shown
        from 0.3 to 0.7, the range of its labels, the others from 0 to 1.
    - `truths`, `detections`: polygons in the picture's pixels.
    - `ignore`: one flag for each truth; an ignored truth is grey.
    - `columns`: the most panels in a row.
    - `panel_width`: pixels; a panel's height follows the picture's ratio.
    """
    if columns < 1:
        raise ValueError(f"`columns` (={columns}) must be at least 1")
    if panel_width < 1:
        raise ValueError(f"`panel_width` (={panel_width}) must be at least 1")
    scale = panel_width / image.shape[1]
    size = (max(1, round(image.shape[0] * scale)), panel_width)
    small = resize(image, size)
    panels = [("input", small)]
    for name, values, bounds in (
        ("P probability", probability_map, (0.0, 1.0)),
        ("T threshold", threshold_map, THRESHOLD_RANGE),
        ("B binary", binary_map, (0.0, 1.0)),
    ):
        if values is not None:
            panels.append((name, resize(heatmap(values, *bounds), size)))
    if truths is not None:
        kept, ignored = split_ignored(scale_polygons(truths, scale), ignore)
        panels.append(("truth", draw_polygons(draw_polygons(small, ignored, color=IGNORED), kept, color=TRUTH)))
    if detections is not None:
        panels.append(("detections", draw_polygons(small, scale_polygons(detections, scale), color=DETECTED)))
    return _sheet([_captioned(name, panel) for name, panel in panels], columns)


def resize(image: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """A picture at another (height, width): averaged when it shrinks, interpolated when it grows."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def scale_polygons(polygons: Sequence[Polygon], scale: float) -> list[Polygon]:
    """The polygons after the picture was resized by `scale`. Pixel centres, not corners, are at integers."""
    return [((polygon + 0.5) * scale - 0.5).astype(np.float32) for polygon in polygons]


def split_ignored(truths: Sequence[Polygon], ignore: Flags | None) -> tuple[list[Polygon], list[Polygon]]:
    """The truths that count, and the ignored truths; without flags all count."""
    if ignore is not None and len(ignore) != len(truths):
        raise ValueError(f"`ignore` (of length {len(ignore)}) must have one flag a truth ({len(truths)})")
    flags = [False] * len(truths) if ignore is None else [bool(flag) for flag in ignore]
    kept = [truth for truth, flag in zip(truths, flags, strict=True) if not flag]
    return kept, [truth for truth, flag in zip(truths, flags, strict=True) if flag]


def _fixed_point(polygon: Polygon) -> np.ndarray:
    near = np.clip(polygon.astype(np.float64), -_FARTHEST, _FARTHEST)
    return np.rint(near * 2**_FRACTION_BITS).astype(np.int32).reshape(-1, 1, 2)


def _draw_tag(picture: Image, text: str, polygon: Polygon, color: Color, width: int) -> None:
    """Writes light text on a dark tag above the topmost vertex, inside the picture."""
    # Large enough for the page, which shows a picture at about half of its size.
    scale, weight = 0.3 + 0.19 * width, max(1, width // 2)
    (text_width, text_height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    pad = 2 + width
    tag_width, tag_height = text_width + 2 * pad, text_height + below + 2 * pad
    x, y = (int(value) for value in np.clip(polygon[np.argmin(polygon[:, 1])], -_FARTHEST, _FARTHEST))
    left = max(0, min(x, picture.shape[1] - tag_width))
    top = max(0, min(y - tag_height - width, picture.shape[0] - tag_height))
    corners = (left, top), (left + tag_width - 1, top + tag_height - 1)
    cv2.rectangle(picture, *corners, _RIM, cv2.FILLED)
    cv2.rectangle(picture, *corners, color, width)
    baseline = (left + pad, top + pad + text_height)
    cv2.putText(picture, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, scale, _PAPER, weight, cv2.LINE_AA)


def _captioned(name: str, panel: Image) -> Image:
    caption = np.full((26, panel.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(caption, name, (2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.concatenate([caption, panel])


def _sheet(panels: Sequence[Image], columns: int, gap: int = 8) -> Image:
    """Panels of one size in rows, left to right, on paper."""
    height, width, _ = panels[0].shape
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), _PAPER, np.uint8)
    for index, panel in enumerate(panels):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = panel
    return sheet
