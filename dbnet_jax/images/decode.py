"""Encoded pictures to RGB arrays."""

import contextlib
import dataclasses
import os
from typing import Any

import cv2
import numpy as np
from jaxtyping import Num, UInt8
from ml_collections import ConfigDict

from dbnet_jax.images.damage import damage, damaged_codes
from dbnet_jax.images.header import Header, kind_of, open_with_pillow, read_header, stored, turned
from dbnet_jax.images.jpeg import decode_jpeg
from dbnet_jax.images.limits import check_size
from dbnet_jax.images.pdf import DPI, count_pages, is_pdf, render_page
from dbnet_jax.images.pixels import to_rgb
from dbnet_jax.paths import as_path, in_bucket

# Files with these suffixes are pictures. HEIC, of telephones, cannot be read; it is here so that it is listed.
PICTURE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
    *(".heic", ".heif"),
}
MAX_PIXELS = 250_000_000
"""The default of `config.predict.max_pixels`."""

# OpenCV darkens the half transparent pixels of TIFF files, and loses the alpha channel of grey ones.
_TIFF_ALPHA = ("LA", "La", "RGBA", "RGBa")


def reading_options(predict: ConfigDict) -> dict[str, Any]:
    """The fields of `config.predict` that decide how a file is read, as arguments of `read_picture`."""
    return {name: predict[name] for name in ("follow_exif", "max_pixels", "dpi", "password")}


class BadPicture(ValueError):
    """A picture or its annotation cannot be used. The message states the file and the reason."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture.

    - `name`: of its file, for messages.
    - `image`: RGB in [0, 255].
    - `notes`: what a person should know, for example that the file has more frames.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    notes: tuple[str, ...] = ()


def read_image(path: str | os.PathLike[str], *, follow_exif: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in a file; see `decode_image`. **Raises:** FileNotFoundError, BadPicture."""
    return read_picture(path, follow_exif=follow_exif).image


def read_picture(
    path: str | os.PathLike[str],
    *,
    follow_exif: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    frame: int | None = None,
    dpi: int = DPI,
    password: str | None = None,
) -> Picture:
    """The picture in a file; see `decode_picture`. **Raises:** FileNotFoundError, BadPicture."""
    name = os.fspath(path)
    with as_path(path).open("rb") as file:
        if is_pdf(file.peek(1024)):
            source = file.read() if in_bucket(path) else path
            return _pdf_picture(source, name, frame, dpi=dpi, max_pixels=max_pixels, password=password)
        try:
            data = file.read()
        except MemoryError as error:
            raise BadPicture(f"{name}: the file is larger than the memory") from error
    return decode_picture(data, name, follow_exif=follow_exif, max_pixels=max_pixels, frame=frame)


def decode_image(data: bytes, name: str, *, follow_exif: bool = False) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of `decode_picture`."""
    return decode_picture(data, name, follow_exif=follow_exif).image


def decode_picture(
    data: bytes,
    name: str,
    *,
    follow_exif: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    frame: int | None = None,
    dpi: int = DPI,
    password: str | None = None,
) -> Picture:
    """A picture of any kind that OpenCV reads (JPEG, PNG, BMP, WebP, GIF, TIFF, …), or a page of a PDF, as 8-bit RGB.

    Grey and palette pictures become RGB; 16-bit values are scaled to 8 bits (65535 is 255). A transparent picture is
    laid over the ground of `ground_for`: white for dark ink, black for light ink, grey for both.

    A truncated or damaged file is refused, because its labels also describe the damaged part. Bytes after the end of
    the picture are not read. Wrong bytes are found if the format has checksums (PNG), or if the codes no longer fit
    together (JPEG, WebP, compressed TIFF, GIF, AVIF). Wrong bytes in uncompressed pixels cannot be found.

    **Arguments:**

    - `data`: the content of the file.
    - `name`: of the file, for messages.
    - `follow_exif`: turn the picture upright by its EXIF orientation, or by the rotation that an AVIF file states. The
        default is False, because the labels of the benchmarks follow the stored pixels.
    - `max_pixels`: the most pixels (height × width) of a picture; None: as many as OpenCV reads, 2^30.
    - `frame`: the frame of an animation or the page, from 0. None is the first one, with a note if there are more.
    - `dpi`: pixels an inch of a page of a PDF.
    - `password`: of an encrypted PDF.

    **Returns:** the picture, values in [0, 255].

    **Raises:** BadPicture with the file and the reason, if the file is empty, truncated, damaged or no picture, if the
    picture is too large, or if the memory does not suffice; for a PDF see also `render_page`.
    """
    if is_pdf(data):
        return _pdf_picture(data, name, frame, dpi=dpi, max_pixels=max_pixels, password=password)
    try:
        if found := damage(data):
            raise ValueError(found)
        header = read_header(data, frame)
        if header is not None:
            check_size(header.size, max_pixels)
            if header.frames == 0:
                raise ValueError(f"the {header.kind} file is damaged: its frames cannot be counted")
        if found := damaged_codes(data, frame or 0):
            raise ValueError(found)
        return Picture(name, _decode(data, header, follow_exif, max_pixels, frame or 0), _notes(header))
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise BadPicture(f"{name}: cannot be decoded: {error.err}") from error
        raise BadPicture(f"{name}: {_size_of(data)} need more memory than there is; save it smaller") from error
    except ValueError as error:
        raise BadPicture(f"{name}: {error}") from error


def count_frames(path: str | os.PathLike[str], password: str | None = None) -> int:
    """The frames of an animation or the pages in a file; 1 if it is damaged or locked. **Raises:** OSError."""
    with as_path(path).open("rb") as file:
        if is_pdf(file.peek(1024)):
            try:
                return count_pages(file.read() if in_bucket(path) else path, password)
            except ValueError:
                return 1
        header = read_header(file.read())
    return 1 if header is None else max(1, header.frames)


def _pdf_picture(
    source: str | os.PathLike[str] | bytes,
    name: str,
    frame: int | None,
    *,
    dpi: int,
    max_pixels: int | None,
    password: str | None,
) -> Picture:
    try:
        image, pages = render_page(source, frame or 0, dpi=dpi, max_pixels=max_pixels, password=password)
    except MemoryError as error:
        raise BadPicture(f"{name}: page {(frame or 0) + 1} needs more memory than there is; lower the dpi") from error
    except ValueError as error:
        raise BadPicture(f"{name}: {error}") from error
    more = f'has {pages} pages; the first was read; `config.predict.frames` = "all" reads all of them'
    return Picture(name, image, (more,) if frame is None and pages > 1 else ())


def _notes(header: Header | None) -> tuple[str, ...]:
    if header is None or header.frames == 1:
        return ()
    return (f"has {header.frames} frames; the first was read",)


def _size_of(data: bytes) -> str:
    header = None
    with contextlib.suppress(MemoryError):
        header = read_header(data, 0)
    return "the pixels" if header is None else f"its {header.size[1]}×{header.size[0]} pixels"


def _decode(
    data: bytes, header: Header | None, follow_exif: bool, max_pixels: int | None, frame: int
) -> UInt8[np.ndarray, "height width 3"]:
    kind, mode = kind_of(data), "" if header is None else header.mode
    by_pillow = mode in _TIFF_ALPHA if kind == "TIFF" else frame > 0
    if kind == "JPEG":
        image = _decode_jpeg(data)
    elif by_pillow:
        image = _decode_with_pillow(data, frame)
    else:
        image = _decode_with_opencv(data, frame)
    if kind == "AVIF" and image.dtype == np.uint16:  # of 10 or 12 bits, and OpenCV does not return how many
        image = _decode_with_pillow(data, frame)
    check_size(image.shape[:2], max_pixels)  # where there is no header that Pillow reads
    orientation = 1 if header is None else header.orientation
    if kind == "TIFF":  # OpenCV and Pillow turn it upright in any case
        return to_rgb(image if follow_exif else stored(image, orientation))
    return to_rgb(turned(image, orientation) if follow_exif else image)


def _decode_with_opencv(data: bytes, frame: int) -> Num[np.ndarray, "height width *channels"]:
    encoded = np.frombuffer(data, np.uint8)
    if frame:
        images = cv2.imdecodemulti(encoded, cv2.IMREAD_UNCHANGED, range=(frame, frame + 1))[1]
        image = images[0] if images else None
    else:
        image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if image is None or image.size == 0:
        raise ValueError(f"cannot be decoded ({len(data)} bytes); it is damaged or not a picture")
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}.get(1 if image.ndim == 2 else image.shape[2])
    return np.asarray(image if order is None or image.dtype.kind != "u" else cv2.cvtColor(image, order))


def _decode_with_pillow(data: bytes, frame: int) -> Num[np.ndarray, "height width 4"]:
    try:
        image = open_with_pillow(data, frame)
        return np.asarray((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises errors of many types for damaged files
        raise ValueError(f"frame {frame + 1} cannot be decoded: {error}") from error


def _decode_jpeg(data: bytes) -> Num[np.ndarray, "height width *channels"]:
    try:
        image = decode_jpeg(data)
    except ValueError as error:
        raise ValueError(f"cannot be decoded: {error}; the JPEG file is damaged") from error
    return _decode_with_opencv(data, 0) if image is None or image.shape[2] == 4 else image
