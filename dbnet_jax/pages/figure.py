"""A picture on a page, and the colour scale of a map."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from dbnet_jax.files import write_atomically
from dbnet_jax.geometry import Number
from dbnet_jax.images.drawing import heatmap
from dbnet_jax.pages.page import LegendItem
from dbnet_jax.typing import Image

JPEG_QUALITY = 88


class Figure(NamedTuple):
    """A picture file beside a page: its path from the page, its words, its size in pixels."""

    file: str
    alt: str
    width: int
    height: int
    caption: str


def write_figure(folder: Path, name: str, image: Image, alt: str, caption: str = "") -> Figure:
    """Writes a picture into `<folder>/pictures/`, which must exist.

    **Arguments:**

    - `folder`: the folder of the page.
    - `name`: of the file; its suffix, .jpg or .png, chooses the encoding.
    - `image`: RGB, in [0, 255].
    - `alt`: describes the picture in words.
    - `caption`: stands in a corner of the picture; "" for none.

    **Raises:** ValueError when the picture cannot be encoded.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    suffix = Path(name).suffix
    # OpenCV warns of a setting that an encoder does not know.
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    encoded, data = cv2.imencode(suffix, bgr, settings)
    if not encoded:
        raise ValueError(f"a picture of shape {image.shape} could not be encoded for {name}")
    write_atomically(folder / "pictures" / name, data.tobytes())
    height, width = image.shape[:2]
    return Figure(f"pictures/{name}", alt, width, height, caption)


def color_scale(name: str, low: Number, high: Number) -> LegendItem:
    """The colours that `heatmap` gives the values of the map `name` from `low` to `high`."""
    steps = heatmap(np.linspace(0, 1, 9, dtype=np.float32)[None])[0]
    colors = ", ".join(f"rgb({', '.join(map(str, color))})" for color in steps.tolist())
    return LegendItem(f"{name}: {low:g}", colors=colors, end=f"{high:g}")
