"""Pictures of every kind decode to 8-bit RGB; broken ones are refused with their name and the reason."""

import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.images.decode import BadPicture, decode_image
from tests.helpers.pictures import saved, with_orientation

# Smooth, so that JPEG keeps it; every channel and every corner differs.
ROWS, COLUMNS = np.mgrid[0:40, 0:56]
PICTURE = np.stack([5 * ROWS, 4 * COLUMNS, 255 - 3 * (ROWS + COLUMNS) // 2], axis=-1).clip(0, 255).astype(np.uint8)


def encode(rgb, suffix):
    return cv2.imencode(suffix, rgb[:, :, ::-1])[1].tobytes()


JPEG, PNG = encode(PICTURE, ".jpg"), encode(PICTURE, ".png")
THUMBED = with_orientation(JPEG, 1, thumbnail=JPEG)


def png(width, height, bits, colour_type, rows, palette=None):
    """A PNG file of a kind that OpenCV does not write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    palette_chunk = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette_chunk + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".png", 0), (".bmp", 0), (".tiff", 0), (".webp", 4), (".jpg", 4), (".gif", 20)]
)
def test_formats_give_rgb(suffix, tolerance):
    image = decode_image(encode(PICTURE, suffix), "a" + suffix)
    assert image.shape == PICTURE.shape
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - PICTURE).mean() <= tolerance


def test_progressive_jpeg():
    data = cv2.imencode(".jpg", PICTURE[:, :, ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert np.abs(decode_image(data, "a.jpg").astype(int) - PICTURE).mean() <= 4


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_grey_becomes_rgb(suffix):
    grey = PICTURE[:, :, 0]
    image = decode_image(cv2.imencode(suffix, grey)[1].tobytes(), "grey" + suffix)
    assert image.shape == (40, 56, 3)
    assert (image == image[:, :, :1]).all()
    assert np.abs(image[:, :, 0].astype(int) - grey).max() <= (4 if suffix == ".jpg" else 0)


def test_16_bits_are_scaled():
    values = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16)
    image = decode_image(cv2.imencode(".png", values)[1].tobytes(), "deep.png")
    np.testing.assert_array_equal(image[:, :, 0], [[0, 1, 255], [0, 1, 128]])
    colour = np.stack([values, values[::-1], 65535 - values], axis=-1)
    image = decode_image(cv2.imencode(".png", colour[:, :, ::-1])[1].tobytes(), "deep.png")
    np.testing.assert_array_equal(image[0, 2], [255, 128, 0])


def test_alpha_is_laid_over_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    image = decode_image(cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes(), "a.png")
    np.testing.assert_array_equal(image, [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]])


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*((kind, "RGBA") for kind in ("PNG", "TIFF", "WEBP", "GIF", "AVIF")), ("PNG", "LA"), ("TIFF", "LA"), ("PNG", "P")],
)
def test_light_ink_on_a_transparent_ground_is_seen_in_every_format(kind, mode):
    ink = np.zeros((20, 40, 4), np.uint8)
    ink[..., :3], ink[5:15, 10:30, 3], ink[2:5, 10:30, 3] = 255, 255, 128
    image = decode_image(saved(PIL.Image.fromarray(ink).convert(mode), kind, **LOSSLESS.get(kind, {})), "logo")
    assert image[0, 0].max() <= 2
    assert image[6:14, 12:28].min() >= 250
    assert kind == "GIF" or mode == "P" or np.abs(image[3, 12:28].astype(int) - 128).max() <= 4


LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "speed": 9}}


@pytest.mark.parametrize("depth", [10, 12])
def test_avif_of_more_than_8_bits_is_scaled(depth):
    values = np.zeros((32, 32, 3), np.uint16)
    values[:, 16:] = 2**depth - 1
    data = cv2.imencode(".avif", values, [cv2.IMWRITE_AVIF_DEPTH, depth])[1].tobytes()
    np.testing.assert_allclose(decode_image(data, "deep.avif"), values // (2**depth - 1) * 255, atol=8)


def test_palette_grey_alpha_and_bilevel_png():
    palette = bytes([255, 0, 0, 0, 255, 0, 10, 20, 30])
    np.testing.assert_array_equal(
        decode_image(png(3, 1, 8, 3, [bytes([2, 0, 1])], palette), "palette.png"),
        [[[10, 20, 30], [255, 0, 0], [0, 255, 0]]],
    )
    np.testing.assert_array_equal(
        decode_image(png(2, 1, 8, 4, [bytes([40, 255, 40, 0])]), "grey_alpha.png")[0, :, 1], [40, 255]
    )
    np.testing.assert_array_equal(
        decode_image(png(4, 1, 1, 0, [bytes([0b01010000])]), "bits.png")[0, :, 2], [0, 255, 0, 255]
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_pixel(suffix, channels):
    pixel = np.full((1, 1, channels), 77, np.uint8)
    image = decode_image(cv2.imencode(suffix, pixel)[1].tobytes(), "one" + suffix)
    assert image.shape == (1, 1, 3)
    assert np.abs(image.astype(int) - 77).max() <= 3


def test_exif_orientation_is_followed_only_when_told():
    data = with_orientation(JPEG, 6)
    np.testing.assert_array_equal(decode_image(data, "a.jpg"), decode_image(JPEG, "a.jpg"))
    turned = decode_image(data, "a.jpg", follow_exif=True)
    np.testing.assert_array_equal(turned, np.rot90(decode_image(JPEG, "a.jpg"), -1))


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True), data=st.sampled_from([JPEG, PNG, THUMBED]))
def test_every_truncation_is_refused(share, data):
    with pytest.raises(BadPicture, match=r"^cut\.pic: .*(truncated|empty|cannot be decoded)"):
        decode_image(data[: int(share * len(data))], "cut.pic")


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".gif", ".tiff"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncation_in_other_formats(suffix, share):
    data = encode(PICTURE, suffix)
    with pytest.raises(BadPicture, match=r"^cut\.pic: "):
        decode_image(data[: int(share * len(data))], "cut.pic")


def test_a_download_filled_up_with_zeros_is_truncated():
    for data in (JPEG, PNG):
        half = data[: len(data) // 2]
        with pytest.raises(BadPicture, match=r"truncated|damaged"):
            decode_image(half + b"\0" * (len(data) - len(half)), "hole")


def test_bytes_after_the_end_are_fine():
    for data in (JPEG, PNG):
        for tail in (b"\0" * 3000, b"trailing \xff\xd8 garbage"):
            np.testing.assert_array_equal(decode_image(data + tail, "a"), decode_image(data, "a"))


def test_a_flipped_bit_in_a_png_is_found():
    position = len(PNG) // 2
    data = PNG[:position] + bytes([PNG[position] ^ 4]) + PNG[position + 1 :]
    with pytest.raises(BadPicture, match=r"bits\.png: the PNG file is damaged: wrong checksum"):
        decode_image(data, "bits.png")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"plain text", "not a picture"), (b"\0" * 500, "not a picture"), (b"\xff\xd8", "truncated")],
)
def test_no_picture(data, reason):
    with pytest.raises(BadPicture, match=rf"^img_1\.jpg: .*{reason}"):
        decode_image(data, "img_1.jpg")


def test_float_pixels_are_refused():
    data = cv2.imencode(".tiff", np.zeros((4, 4), np.float32))[1].tobytes()
    with pytest.raises(BadPicture, match=r"float\.tiff: has float32 pixels"):
        decode_image(data, "float.tiff")


def test_refusals_are_silent(capfd):
    for data in (b"", b"plain text", JPEG[:-1], JPEG[:300], PNG[:-1], PNG[:300]):
        with pytest.raises(BadPicture):
            decode_image(data, "a")
    assert capfd.readouterr() == ("", "")


@settings(max_examples=200)
@given(data=st.binary(max_size=80), start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM"]))
def test_garbage_never_crashes(data, start):
    try:
        image = decode_image(start + data, "garbage")
    except BadPicture:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3


def test_what_telephones_store_is_called_by_its_name():
    with pytest.raises(BadPicture, match=r"^IMG_1\.HEIC: HEIC, which OpenCV does not read; save it as JPEG or PNG"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(40), "IMG_1.HEIC")
