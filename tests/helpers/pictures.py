"""Picture files, and JPEG files with an orientation."""

import pathlib
import struct

import cv2
import numpy as np


def write(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes the picture, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def with_orientation(jpeg: bytes, orientation: int, thumbnail: bytes = b"") -> bytes:
    """The JPEG with an EXIF segment that holds an orientation (6 is a quarter clockwise), and a thumbnail behind it."""
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, orientation, 0)
    content = b"Exif\0\0" + tiff + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]
