"""What the header of a picture file states, read without its pixels: size, orientation, frames."""

import contextlib
import io
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Num
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from dbnet_jax.images.rare import rare_header

# By name, because `PIL.Image.open` refuses large pictures by a limit of its own.
_READERS: dict[str, tuple[tuple[bytes, ...], type[ImageFile.ImageFile]]] = {
    "JPEG": ((b"\xff\xd8",), JpegImagePlugin.JpegImageFile),
    "PNG": ((b"\x89PNG\r\n\x1a\n",), PngImagePlugin.PngImageFile),
    "GIF": ((b"GIF8",), GifImagePlugin.GifImageFile),
    "TIFF": ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile),
    "BMP": ((b"BM",), BmpImagePlugin.BmpImageFile),
    "JPEG 2000": ((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), Jpeg2KImagePlugin.Jpeg2KImageFile),
    "WebP": ((b"RIFF",), WebPImagePlugin.WebPImageFile),
    "AVIF": ((), AvifImagePlugin.AvifImageFile),
}
_WITH_FRAMES = ("GIF", "PNG", "TIFF", "WebP", "AVIF")
_ORIENTATION = 0x0112
_PNG_WITH_EXIF = (b"eXIf", b"Raw profile type", b"adobe.xmp")
_TURNS = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: lambda image: cv2.transpose(image),
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.flip(cv2.transpose(image), -1),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


class Header(NamedTuple):
    """What a picture file states of one of its frames.

    - `kind`: "JPEG", "PNG", … as in `kind_of`, or one of `rare_header`.
    - `size`: (height, width) in pixels, before or after the turn by `orientation`.
    - `orientation`: 1 to 8 as in EXIF; for AVIF it is that of the file's own rotation and mirroring.
    - `frames`: frames of an animation, or pages; 1 if the header of one frame was asked for, 0 if damage prevents the
        count.
    - `mode`: Pillow's name of the kind of pixels, "RGB", "LA", …
    """

    kind: str
    size: tuple[int, int]
    orientation: int
    frames: int
    mode: str


def kind_of(data: bytes) -> str:
    """The format by the first bytes, a key of `_READERS`; "" if it is another."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1", b"msf1") and b"av01" in data[:4096]:
        return "AVIF"
    if data.startswith(b"RIFF") and data[8:12] != b"WEBP":
        return ""
    return next((kind for kind, (starts, _) in _READERS.items() if data.startswith(starts)), "")


def read_header(data: bytes, frame: int | None = None) -> Header | None:
    """The header of a file; None where it cannot be read, or where the format is none of `Header.kind`.

    **Arguments:** `data`: the content of the file; `frame`: the frame, from 0; None is the first, and counts them.
    """
    kind = kind_of(data)
    if not kind and (rare := rare_header(data)):
        return Header(*rare, orientation=1, frames=1, mode="")
    try:
        # Only the pages of a TIFF have sizes of their own, and to reach a frame of a GIF takes decoding all before it.
        image = open_with_pillow(data, (frame or 0) if kind == "TIFF" else 0)
        width, height = image.size
    except MemoryError:
        raise
    except Exception:  # Pillow raises errors of many types for damaged files
        return None
    frames = _count_frames(image) if kind in _WITH_FRAMES and frame is None else 1
    orientation = 1
    # Pillow decodes a PNG to look for EXIF behind the pixels.
    if kind != "PNG" or any(word in data for word in _PNG_WITH_EXIF):
        with contextlib.suppress(Exception):  # damaged EXIF is no reason to refuse the pixels
            orientation = int(image.getexif().get(_ORIENTATION, 1))
    return Header(kind, (height, width), orientation if orientation in _TURNS else 1, frames, image.mode)


def _count_frames(image: ImageFile.ImageFile) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except MemoryError:
        raise
    except Exception:  # as above
        return 0


def open_with_pillow(data: bytes, frame: int = 0) -> ImageFile.ImageFile:
    """The file opened by Pillow, at a frame. **Raises:** errors of many types if Pillow cannot read the file."""
    kind = kind_of(data)
    if not kind:
        raise SyntaxError("no format of `kind_of`")
    image = _READERS[kind][1](io.BytesIO(data))
    if frame:
        image.seek(frame)
    return image


def turned(
    image: Num[np.ndarray, "height width *channels"], orientation: int
) -> Num[np.ndarray, "rows columns *channels"]:
    """The stored pixels turned upright by an orientation of 1 to 8, as in EXIF."""
    return np.asarray(_TURNS[orientation](image)) if orientation in _TURNS else image


def stored(
    image: Num[np.ndarray, "height width *channels"], orientation: int
) -> Num[np.ndarray, "rows columns *channels"]:
    """The inverse of `turned`. Only the two quarter turns are not their own inverse."""
    return turned(image, {6: 8, 8: 6}.get(orientation, orientation))
