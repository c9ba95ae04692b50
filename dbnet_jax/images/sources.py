"""What people call a picture, as a decoded picture: files, bytes, arrays, PIL images."""

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
from jaxtyping import Num, Shaped, UInt8

from dbnet_jax.images.decode import BadPicture, Picture, count_frames, decode_picture, read_picture
from dbnet_jax.images.pdf import DPI
from dbnet_jax.images.pixels import to_rgb

TAKEN = (
    "a picture file (its path, its content as bytes, or the open file), a PIL image, "
    "or pixels [height, width], [height, width, 1], [height, width, 3] RGB or [height, width, 4] RGBA"
)


def is_one_picture(source: Any) -> bool:
    """Whether `source` is a single picture, where several are wanted. A stack of grey pictures is several."""
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Picture) or hasattr(source, "read"):
        return True
    shape = getattr(source, "shape", None)
    return _is_pil(source) or (shape is not None and (len(shape) < 3 or (len(shape) == 3 and shape[-1] in (1, 3, 4))))


def each_frame(sources: Iterable[Any], **options: Any) -> Iterator[Any]:
    """The sources, a path of a file with several frames or pages as so many functions that read one of them.

    **Arguments:** `sources`; `options`: of `read_picture`.
    """
    for source in sources:
        frames = 1
        with contextlib.suppress(OSError, MemoryError):  # raised where the picture is read
            frames = count_frames(source, options.get("password")) if isinstance(source, str | os.PathLike) else 1
        read = functools.partial(read_picture, source, **options)
        yield from [source] if frames == 1 else (functools.partial(read, frame=frame) for frame in range(frames))


def to_picture(
    source: Any, *, follow_exif: bool, max_pixels: int | None, dpi: int = DPI, password: str | None = None
) -> Picture:
    """The picture of a source.

    Floats are in [0, 1]. Bool is black and white. 65535 is full brightness in uint16, and 255 in other integers. A PIL
    image of mode "I" has 16 bits if a value is over 255; one of mode "F" is in [0, 255] if a value is over 1.

    **Arguments:**

    - `source`: one of `TAKEN`, or a `Picture`, which is returned as it is.
    - `follow_exif`, `max_pixels`, `dpi`, `password`: of files, see `decode_picture`. `follow_exif` turns PIL images
        too.

    **Raises:** ValueError if `source` is none of these, or if its values are out of range; BadPicture for a file that
    cannot be decoded; OSError for a file that cannot be read.
    """
    options: dict[str, Any] = {
        "follow_exif": follow_exif,
        "max_pixels": max_pixels,
        "dpi": dpi,
        "password": password,
    }
    if isinstance(source, Picture):
        return source
    if isinstance(source, str | os.PathLike):
        return read_picture(source, **options)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode_picture(bytes(source), "`image` (bytes)", **options)
    if hasattr(source, "read") and not _is_pil(source):
        content = source.read()
        if not isinstance(content, bytes):
            raise ValueError(f"`image` (={source!r}) must be opened in binary mode: open(file, 'rb')")
        name = getattr(source, "name", "")
        return decode_picture(content, name if isinstance(name, str) and name else "`image` (a file object)", **options)
    if _is_pil(source):
        return Picture("`image` (PIL)", _from_pil(source, follow_exif))
    if hasattr(source, "__array__"):
        try:
            pixels = np.asarray(source)
        except (TypeError, RuntimeError) as error:  # an array of an accelerator, or with gradients
            raise ValueError(f"`image` (of type {type(source).__name__}) is no NumPy array: {error}") from error
        return Picture("`image`", _from_array(pixels))
    raise ValueError(f"`image` (of type {type(source).__name__}) must be {TAKEN}")


def _is_pil(source: Any) -> bool:
    return isinstance(source, PIL.Image.Image)


def _from_array(image: Shaped[np.ndarray, "..."]) -> UInt8[np.ndarray, "height width 3"]:
    what = f"`image` ({image.dtype} {image.shape})"
    if image.ndim == 4:
        raise ValueError(f"{what} is a batch of pictures; `detect_batch` takes them: `detect_batch(list(images))`")
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[2] not in (1, 3, 4):
        raise ValueError(f"{what} has its channels first; `image.transpose(1, 2, 0)` is [height, width, channels]")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or not image.size:
        raise ValueError(f"{what} must be [height, width], or [height, width, channels] of 1, 3 or 4, not empty")
    if image.dtype.kind in "ub" and image.dtype.itemsize <= 2:
        pixels = np.ascontiguousarray(image, image.dtype.newbyteorder("="))
    elif np.issubdtype(image.dtype, np.floating):
        _check_range(image, 1, what, "divide by 255, or convert to uint8, if 255 is full brightness")
        pixels = (image.astype(np.float32) * 255 + 0.5).astype(np.uint8)
    elif np.issubdtype(image.dtype, np.integer):
        _check_range(image, 255, what, "convert to uint8, or to uint16 if 65535 is full brightness")
        pixels = image.astype(np.uint8)
    else:
        raise ValueError(f"{what} must be of uint8, uint16, bool, or float in [0, 1]")
    return to_rgb(pixels)


def _check_range(image: Num[np.ndarray, "..."], most: int, what: str, hint: str) -> None:
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= most):  # also where they are not numbers
        raise ValueError(f"{what} has values from {low} to {high} where [0, {most}] is needed; {hint}")


def _from_pil(image: PIL.Image.Image, follow_exif: bool) -> UInt8[np.ndarray, "height width 3"]:
    what = f"`image` (a PIL image of mode {image.mode}, {image.width}×{image.height})"
    try:
        if follow_exif:
            image = PIL.ImageOps.exif_transpose(image)
        if image.mode == "F":
            values = np.asarray(image)
            return _from_array(values / np.float32(255) if values.max(initial=0) > 1 else values)
        if image.mode == "I":
            values = np.asarray(image)
            return _from_array(values.astype(np.uint16) if 255 < values.max(initial=0) < 65536 else values)
        if image.mode.startswith("I;16"):
            return _from_array(np.asarray(image).astype(np.uint16))
        if image.mode == "La":
            image = image.convert("LA")
        return _from_array(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))
    except OSError as error:  # Pillow decodes late
        raise BadPicture(f"{what}: cannot be decoded: {error}") from error
    except ValueError as error:
        raise ValueError(str(error) if "`image`" in str(error) else f"{what}: {error}; convert it to RGB") from error
