"""Whatever people call a picture gives the same RGB, and what is none is answered with what to do."""

import io
import pathlib

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from dbnet_jax.images.decode import BadPicture, read_picture
from dbnet_jax.images.sources import each_frame, is_one_picture, to_picture
from tests.helpers.pictures import saved

RGB = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
GREY = RGB[..., 0]
AS_RGB = np.repeat(GREY[..., None], 3, axis=2)
PNG = saved(RGB, "PNG")


def pixels(source, *, follow_exif: bool = False) -> np.ndarray:
    return to_picture(source, follow_exif=follow_exif, max_pixels=None).image


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (RGB, RGB),
        (RGB[:, ::-1], RGB[:, ::-1]),
        (GREY, AS_RGB),
        (GREY[..., None], AS_RGB),
        (np.dstack([RGB, np.full((7, 9), 255, np.uint8)]), RGB),
        (np.zeros((7, 9, 4), np.uint8), np.full((7, 9, 3), 255)),
        (RGB.astype(np.uint16) * 257, RGB),
        ((RGB.astype(np.uint16) * 257).astype(">u2"), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB / 255, RGB),
        ((RGB / 255).astype(np.float16), RGB),
        (jnp.asarray(RGB), RGB),
        (GREY > 127, np.where(AS_RGB > 127, 255, 0)),
    ],
)
def test_pixels_of_every_kind(source, expected):
    found = pixels(source)
    assert (found.dtype, found.shape) == (np.uint8, expected.shape)
    np.testing.assert_allclose(found, expected, atol=source.dtype == np.float16)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (RGB.transpose(2, 0, 1), r"`image` \(uint8 \(3, 7, 9\)\) has its channels first; `image.transpose\(1, 2, 0\)`"),
        (RGB[None], r"is a batch of pictures; `detect_batch` takes them"),
        (RGB[..., :2], r"must be \[height, width\], or \[height, width, channels\] of 1, 3 or 4"),
        (RGB[0, 0], r"must be \[height, width\]"),
        (RGB[:0], r"not empty"),
        (RGB.astype(np.float32), r"has values from \S+ to \S+ where \[0, 1\] is needed; divide by 255"),
        (np.full((4, 4), np.nan), r"where \[0, 1\] is needed"),
        (RGB.astype(np.int32) - 300, r"where \[0, 255\] is needed; convert to uint8, or to uint16"),
        (RGB.astype(complex), r"must be of uint8, uint16, bool, or float"),
        ([[1, 2], [3, 4]], r"`image` \(of type list\) must be a picture file .* a PIL image, or pixels"),
        (io.StringIO("text"), r"must be opened in binary mode"),
    ],
)
def test_what_is_no_picture_is_answered_with_what_to_do(source, reason):
    with pytest.raises(ValueError, match=reason):
        pixels(source)


def test_files_in_every_form(tmp_path: pathlib.Path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for source in (path, str(path), PNG, bytearray(PNG), memoryview(PNG), io.BytesIO(PNG), read_picture(path)):
        np.testing.assert_array_equal(pixels(source), RGB)
    with path.open("rb") as file:
        np.testing.assert_array_equal(pixels(file), RGB)
        with pytest.raises(BadPicture, match=r"a\.png: the file is empty"):
            pixels(file)
    with pytest.raises(BadPicture, match=r"`image` \(bytes\): cannot be decoded"):
        pixels(b"no picture")


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pil_images_of_every_mode(mode):
    # Grey, black and white survive every mode.
    image = PIL.Image.fromarray(np.kron([[0, 255], [255, 0]], np.ones((8, 8))).astype(np.uint8))
    path = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")
    found = pixels(image.convert(path).convert(mode))
    np.testing.assert_allclose(found, np.asarray(image.convert("RGB")), atol=4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.int32), [0, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0, 257, 65535]], np.uint16), [0, 1, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 255]], np.float32), [0, 100, 255]),
    ],
)
def test_pil_images_of_deep_pixels(values, expected):
    assert pixels(PIL.Image.fromarray(values))[0, :, 0].tolist() == expected
    with pytest.raises(ValueError, match="is needed"):
        pixels(PIL.Image.fromarray(np.array([[-1]], np.int32)))


def test_a_pil_image_of_a_file_is_turned_and_refused_as_the_file():
    photo = saved(RGB, "JPEG", orientation=6, quality=100, subsampling=0)
    for follow_exif in (True, False):
        found = pixels(PIL.Image.open(io.BytesIO(photo)), follow_exif=follow_exif)
        np.testing.assert_allclose(found, pixels(photo, follow_exif=follow_exif), atol=1)
    with pytest.raises(BadPicture, match=r"`image` \(a PIL image of mode RGB, 9×7\): cannot be decoded"):
        pixels(PIL.Image.open(io.BytesIO(photo[:-40])))


def test_one_picture_is_told_from_several():
    for source in (
        RGB,
        GREY,
        PNG,
        "a.png",
        pathlib.Path("a"),
        io.BytesIO(PNG),
        PIL.Image.new("L", (2, 2)),
        RGB[..., :1],
    ):
        assert is_one_picture(source)
    for source in ([RGB], iter([RGB]), RGB[None], np.zeros((5, 20, 30), np.uint8), ()):
        assert not is_one_picture(source)


def test_a_file_with_frames_is_a_source_for_each(tmp_path: pathlib.Path):
    pages, one = tmp_path / "pages.tif", tmp_path / "one.png"
    pages.write_bytes(saved(RGB, "TIFF", RGB[::-1].copy()))
    one.write_bytes(PNG)
    sources = list(each_frame([pages, one, RGB, tmp_path / "gone.png"], follow_exif=True, max_pixels=None))
    found = [pixels(source() if callable(source) else source) for source in sources[:-1]]
    np.testing.assert_array_equal(found, [RGB, RGB[::-1], RGB, RGB])
    assert sources[-1] == tmp_path / "gone.png"
