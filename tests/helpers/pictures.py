"""Picture files: JPEG with an orientation, and what Pillow and OpenCV write."""

import io
import pathlib
import struct

import cv2
import numpy as np
import PIL.Image


def saved(
    image: np.ndarray | PIL.Image.Image, kind: str, *frames: np.ndarray, orientation: int = 0, **options
) -> bytes:
    """The file that Pillow writes of pixels, or of an image, with further frames."""
    images = [one if isinstance(one, PIL.Image.Image) else PIL.Image.fromarray(one) for one in (image, *frames)]
    if orientation:
        options["exif"] = PIL.Image.Exif()
        options["exif"][0x0112] = orientation
    if frames:
        options |= {"save_all": True, "append_images": images[1:]}
    file = io.BytesIO()
    images[0].save(file, kind, **options)
    return file.getvalue()


def write(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes the picture, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def with_orientation(jpeg: bytes, orientation: int, thumbnail: bytes = b"") -> bytes:
    """The JPEG with an EXIF segment that holds an orientation (6 is a quarter clockwise), and a thumbnail behind it."""
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, orientation, 0)
    content = b"Exif\0\0" + tiff + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]
