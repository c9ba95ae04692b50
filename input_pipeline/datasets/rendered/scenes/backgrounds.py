"""The grounds of scenes: photographs, or drawn grounds with things that are not text."""

import os
import pathlib
import threading
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np

from dbnet_jax.file_names import visible_below
from dbnet_jax.images.decode import BadPicture, decode_image
from dbnet_jax.messages import Problem
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image
from input_pipeline.datasets.rendered.synthetic.background import (
    fill_polygon,
    paint_background,
    paint_shape,
    pick_color,
)

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PHOTO_SHARE = 0.75
# Shares of the grounds with drawn things that are not text. Most photographs contain such things already.
_DRAWN_CLUTTERED, _PHOTOS_CLUTTERED = 0.7, 0.25
_LONGEST = 1024  # pixels: larger photographs are shrunk
# Bytes of the photographs that each rendering process keeps. More would save little time: a training set has thousands
# of photographs, and few are used again soon.
_KEPT = 128_000_000


class Backgrounds:
    """Grounds to write on.

    **Arguments:**

    - `folder`: a folder of photographs without text, with its subfolders; "" draws every ground. Photographs of more
        than 1024 pixels are shrunk each time they are read. Smaller files render faster.

    **Raises:** FileNotFoundError when the folder holds no picture.
    """

    def __init__(self, folder: str | os.PathLike[str] = ""):
        self._files: list[pathlib.Path] = []
        if os.fspath(folder):
            files = visible_below(as_path(folder).expanduser())
            self._files = sorted(file for file in files if file.suffix.lower() in _SUFFIXES)
            if not self._files:
                raise FileNotFoundError(f"`config.data.backgrounds` (={os.fspath(folder)!r}) must hold pictures")

    def paint(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        problems: list[Problem],
        share: tuple[float, float] = (0.45, 1.0),
    ) -> Image:
        """A ground of `size` (height, width), of a photograph a part whose sides are this share of the largest.

        If a file is no picture, a ground is drawn instead, and `problems` gets an entry.
        """
        if self._files and rng.random() < _PHOTO_SHARE:
            photo = _photos.read(self._files[rng.integers(len(self._files))])
            if not isinstance(photo, Problem):
                picture = _crop(rng, photo, size, share)
                _add_clutter(rng, picture, _PHOTOS_CLUTTERED)
                return picture
            problems.append(photo)
        picture = paint_background(rng, size)
        _add_clutter(rng, picture, _DRAWN_CLUTTERED)
        return picture


class _Photos:
    """Reads photographs, and keeps those that were used last, at most `_KEPT` bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[pathlib.Path, Image] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, file: pathlib.Path) -> Image | Problem:
        with self._lock:
            if file in self._kept:
                self._kept.move_to_end(file)
                return self._kept[file]
        photo = _read_photo(file)
        if isinstance(photo, Problem):
            return photo
        with self._lock:
            if file not in self._kept:
                self._kept[file] = photo
                self._bytes += photo.nbytes
            while self._bytes > _KEPT:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return photo


_photos = _Photos()


def _read_photo(file: pathlib.Path) -> Image | Problem:
    """The photograph, or what is wrong with it."""
    try:
        photo = decode_image(file.read_bytes(), file.name)
    except (OSError, BadPicture) as error:
        return Problem("`config.data.backgrounds`", f"{file.name} is not used: {error}")
    scale = min(1.0, _LONGEST / max(photo.shape))
    size = tuple(max(1, round(scale * side)) for side in photo.shape[1::-1])
    return photo if scale == 1 else np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(rng: np.random.Generator, photo: Image, size: tuple[int, int], shares: tuple[float, float]) -> Image:
    """A part of a photograph, mirrored or not, enlarged to `size`."""
    height, width = photo.shape[:2]
    largest = min(height / size[0], width / size[1])
    share = largest * rng.uniform(*shares)
    rows, columns = max(1, int(share * size[0])), max(1, int(share * size[1]))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    part = photo[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if share > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, size[::-1], interpolation=interpolation), np.uint8)


def _add_clutter(rng: np.random.Generator, picture: Image, share: float) -> None:
    """Paints things that are not text with probability `share`, in place."""
    if rng.random() < share:
        for _ in range(rng.integers(1, 4)):
            _CLUTTER[rng.integers(len(_CLUTTER))](rng, picture)


# Things that a detector must not take for text. Each function paints in place.


def _things(rng: np.random.Generator, picture: Image) -> None:
    """Rings, polygons, strokes and gratings."""
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(2, 5 + 20 * height * width // 640**2))):
        radius = float(np.exp(rng.uniform(np.log(5), np.log(70))))
        paint_shape(rng, picture, (int(rng.integers(width)), int(rng.integers(height))), radius)


def _foliage(rng: np.random.Generator, picture: Image) -> None:
    """Leaf-like speckles over a part."""
    height, width = picture.shape[:2]
    cells = int(rng.integers(height // 16 + 2, height // 4 + 4))
    noise = rng.integers(0, 256, (cells, cells), np.uint8)
    fine = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    coarse = cv2.resize(rng.integers(0, 256, (4, 4), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    leaves = np.asarray(cv2.addWeighted(fine, 0.5, coarse, 0.5, 0)) > rng.integers(130, 170)
    picture[leaves] = pick_color(rng)


def _facade(rng: np.random.Generator, picture: Image) -> None:
    """Rows of equal windows, keys or tiles."""
    height, width = picture.shape[:2]
    step = rng.integers(8, 80, 2)
    filled = np.maximum(2, (step * rng.uniform(0.3, 0.85, 2)).astype(int))
    left, top = int(rng.integers(width)), int(rng.integers(height))
    color, other = pick_color(rng), pick_color(rng)
    for row in range(int(rng.integers(1, 9))):
        for column in range(int(rng.integers(3, 12))):
            x, y = left + column * int(step[0]), top + row * int(step[1])
            chosen = other if rng.random() < 0.15 else color
            cv2.rectangle(picture, (x, y), (x + int(filled[0]), y + int(filled[1])), chosen, -1)


def _railing(rng: np.random.Generator, picture: Image) -> None:
    """Bars side by side, as in fences, zebra crossings and bar codes: their strokes are as regular as those of text."""
    size = np.array(picture.shape[1::-1])
    start, angle = rng.random(2) * size, rng.uniform(-0.4, 0.4) + rng.choice([0, np.pi / 2])
    along, length = np.array([np.cos(angle), np.sin(angle)]), float(np.exp(rng.uniform(np.log(8), np.log(150))))
    across = np.array([-along[1], along[0]]) * length
    step, color = length * rng.uniform(0.1, 0.6), pick_color(rng)
    thickness = max(1, round(step * rng.uniform(0.15, 0.6)))
    for number in range(int(rng.integers(4, 30))):
        foot = start + along * step * number
        ends = np.rint(np.stack([foot, foot + across]) * 16).astype(int).tolist()
        cv2.line(picture, ends[0], ends[1], color, thickness, cv2.LINE_AA, 4)


def _holes(rng: np.random.Generator, picture: Image) -> None:
    """Rows of equal dots or slots, as in a grille: they are as long and as even as lines of print.

    A third of them are narrow slots, upright or aslant, like the letters of "Illinois". Half of them have a rim on one
    side, like a hole or a stud in the light.
    """
    size = np.array(picture.shape[1::-1])
    start, angle = rng.random(2) * size, rng.uniform(-0.6, 0.6) + rng.choice([0, np.pi / 2])
    along = np.array([np.cos(angle), np.sin(angle)])
    step = float(np.exp(rng.uniform(np.log(6), np.log(40))))
    radius, slant = np.array([rng.uniform(0.2, 0.42), rng.uniform(0.15, 0.4)]) * step, 0.0
    if rng.random() < 1 / 3:
        radius = np.array([rng.uniform(0.12, 0.3), rng.uniform(0.4, 1.2)]) * step
        slant = float(rng.choice([0, rng.normal(0, 0.3)]))
    apart = max(step * rng.uniform(0.8, 2.5), radius[1] * rng.uniform(2.3, 4))
    down = np.array([-along[1], along[0]]) * apart + along * step * rng.choice([0, 0.5])
    axes, color = np.rint(np.maximum(radius, 1)).astype(int).tolist(), pick_color(rng)
    columns, rows = int(rng.integers(4, 30)), int(rng.integers(1, 16))
    layers = [(np.zeros(2), color)]
    if rng.random() < 0.5:
        layers.insert(0, (rng.uniform(-0.1, 0.1, 2) * step, pick_color(rng)))
    along, down = np.arange(columns)[None, :, None] * step * along, np.arange(rows)[:, None, None] * down
    for aside, shade in layers:
        centres = np.rint(start + aside + along + down).astype(int).reshape(-1, 2)
        # Many lie outside of a small picture, and nothing of them is seen.
        seen = ((centres > -max(axes) - 2) & (centres < size + max(axes) + 2)).all(1)
        for x, y in centres[seen].tolist():
            cv2.ellipse(picture, (x, y), axes, np.degrees(angle + slant), 0, 360, shade, -1, cv2.LINE_AA)


def _panel(rng: np.random.Generator, picture: Image) -> None:
    """An empty sign."""
    size = np.array(picture.shape[1::-1])
    centre, half = rng.random(2) * size, size * rng.uniform(0.05, 0.4, 2)
    corners = centre + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    fill_polygon(picture, corners + rng.normal(0, 0.03, (4, 2)) * size, pick_color(rng))


_CLUTTER: list[Callable[[np.random.Generator, Image], None]] = [_things, _foliage, _facade, _railing, _holes, _panel]
