"""A picture on one of the HTML pages, and the scale of the colours in a map."""

from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from dbnet_jax.geometry import Number
from dbnet_jax.images.drawing import heatmap

JPEG_QUALITY = 88


def write_figure(folder: Path, name: str, image: UInt8[np.ndarray, "_ _ 3"], alt: str, caption: str = "") -> str:
    """Writes a picture beside a page, and gives the HTML that shows it there.

    **Arguments:**

    - `folder`: the page's, with a folder `pictures` in it.
    - `name`: the file's; its suffix, .jpg or .png, says how it is encoded.
    - `image`: RGB, in [0, 255].
    - `alt`: what the picture shows, in words.
    - `caption`: stands in a corner of it; none where it is empty.

    **Raises:** ValueError when the picture cannot be encoded.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    suffix = Path(name).suffix
    # OpenCV warns of what an encoder does not know.
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    encoded, data = cv2.imencode(suffix, bgr, settings)
    if not encoded:
        raise ValueError(f"a picture of shape {image.shape} could not be encoded for {name}")
    (folder / "pictures" / name).write_bytes(data.tobytes())
    height, width = image.shape[:2]
    label = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><a href="pictures/{name}"><img src="pictures/{name}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}" loading="lazy"></a>{label}</figure>'
    )


def color_scales(*scales: tuple[str, Number, Number]) -> str:
    """HTML, entries of a list: the colours that `heatmap` gives the values from a low to a high one.

    **Arguments:** for each scale what is painted so, and the two values.
    """
    steps = heatmap(np.linspace(0, 1, 9, dtype=np.float32)[None])[0]
    colors = ", ".join(f"rgb({', '.join(map(str, color))})" for color in steps.tolist())
    bar = f'<i class="scale" style="background: linear-gradient(to right, {colors})"></i>'
    return "".join(f"<li>{escape(name)}: {low:g} {bar} {high:g}</li>" for name, low, high in scales)
