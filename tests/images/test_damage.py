"""Files with wrong bytes in their middle are refused, and sound files of every kind are not."""

import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest

from dbnet_jax.images.decode import BadPicture, count_frames, decode_image, decode_picture
from tests.helpers.pictures import saved

ROWS, COLUMNS = np.mgrid[0:96, 0:128]
SMOOTH = np.stack([2 * ROWS, COLUMNS, 255 - ROWS - COLUMNS // 2], axis=-1).astype(np.uint8)
# Detail, so that the codes fill the file and not its header.
PHOTO = np.clip(SMOOTH + np.random.default_rng(0).normal(0, 12, SMOOTH.shape), 0, 255).astype(np.uint8)
ALPHA = np.dstack([PHOTO, (255 * (COLUMNS > 40)).astype(np.uint8)])


def opencv(suffix: str, *options: int, image: np.ndarray = PHOTO) -> bytes:
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image, options)[1].tobytes()


FILES = {
    "jpeg": opencv(".jpg"),
    "jpeg_progressive": opencv(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg_restart": opencv(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "jpeg_grey": opencv(".jpg", image=PHOTO[..., 0]),
    "jpeg_cmyk": saved(PIL.Image.fromarray(PHOTO).convert("CMYK"), "JPEG"),
    "webp": saved(PHOTO, "WEBP"),
    "webp_with_more_chunks": saved(PHOTO, "WEBP", quality=95, xmp=b"<x/>" * 20),
    "webp_alpha": saved(ALPHA, "WEBP"),
    "webp_lossless": saved(PHOTO, "WEBP", lossless=True),
    "tiff_lzw": saved(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff_deflate": saved(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "tiff_jpeg": saved(PHOTO, "TIFF", compression="jpeg", quality=90),
    "png": saved(PHOTO, "PNG"),
    "gif": saved(PHOTO, "GIF"),
}


# Noise in lossless WebP is left out: noise is as long as the codes that it replaces.
HOLES = [(kind, damage) for kind in FILES for damage in ("zeros", "noise", "missing")]


@pytest.mark.parametrize(("kind", "damage"), [hole for hole in HOLES if hole != ("webp_lossless", "noise")])
def test_a_destroyed_middle_is_refused(kind, damage, capfd):
    data, rng = FILES[kind], np.random.default_rng(1)
    sound, accepted = decode_image(data, "sound"), 0
    for start in np.linspace(0.35, 0.7, 8):
        first, last = int(start * len(data)), int((start + 0.12) * len(data))
        middle = {"zeros": bytes(last - first), "noise": rng.bytes(last - first), "missing": b""}[damage]
        try:
            found = decode_image(data[:first] + middle + data[last:], "hole.pic").astype(int)
        except BadPicture:
            continue
        accepted += (np.abs(found - sound).max(axis=2) > 40).mean() > 0.01
    # Wrong codes may have the length of the right ones by chance. No format but PNG has a checksum.
    assert accepted <= 1
    assert "JPEG" not in capfd.readouterr().err  # libjpeg's warnings are the reason, and not a line on stderr


BLANK = {
    "black": np.zeros((200, 300, 3), np.uint8),
    "white": np.full((200, 300, 3), 255, np.uint8),
    "one pixel": np.zeros((1, 1, 3), np.uint8),
    "smooth": SMOOTH,
    "half transparent": np.dstack([SMOOTH, (255 * (ROWS > 40)).astype(np.uint8)]),
}


@pytest.mark.parametrize("image", BLANK.values(), ids=BLANK)
def test_sound_files_of_pictures_with_few_codes_are_taken(image):
    grey = PIL.Image.fromarray(image).convert("L")
    files = [
        *(saved(image, "WEBP", lossless=lossless, xmp=xmp) for lossless in (True, False) for xmp in (b"", b"<x/>" * 9)),
        *(saved(image, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate")),
        *(saved(grey.convert(mode), "TIFF", compression="jpeg") for mode in ("L", "RGB")),
        *(saved(grey.convert("1"), "TIFF", compression=name) for name in ("group3", "group4")),
        *(saved(grey, "JPEG", optimize=True, progressive=progressive) for progressive in (True, False)),
        *(saved(grey.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB")),
        saved(grey.convert("1"), "PNG", optimize=True),
    ]
    for data in files:
        assert decode_image(data, "sound").shape == (*image.shape[:2], 3)


@pytest.mark.parametrize("padding", [b"\0" * 5, b"\xa5"])
def test_padding_that_cameras_write_before_the_end_of_a_jpeg_is_no_damage(padding):
    data = FILES["jpeg"]
    padded = data[:-2] + padding + data[-2:]
    np.testing.assert_array_equal(decode_image(padded, "a"), decode_image(data, "a"))


def test_a_jpeg_with_a_harmless_warning_is_taken_and_a_rare_one_by_opencv():
    data = FILES["jpeg"]
    later = data[:11] + b"\x02" + data[12:]  # a JFIF version that libjpeg does not know
    np.testing.assert_array_equal(decode_image(later, "a"), decode_image(data, "a"))
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07"  # an unknown colour transform
    np.testing.assert_array_equal(decode_image(data[:2] + adobe + data[20:], "a"), decode_image(data, "a"))
    blank = bytearray(saved(np.zeros((64, 64, 3), np.uint8), "JPEG", subsampling=2))
    blank[blank.find(b"\xff\xc0") + 14] = 0x12  # the red difference has twice the rows of the blue one
    assert decode_image(bytes(blank), "a").shape == (64, 64, 3)


def test_a_bmp_without_its_size_is_truncated_by_its_rows():
    data = opencv(".bmp")
    data = data[:2] + bytes(4) + data[6:]
    decode_image(data, "a")
    with pytest.raises(BadPicture, match="the BMP file is truncated"):
        decode_image(data[: len(data) // 2], "a")


# Size
def with_size(data: bytes, marker: bytes, height: int, width: int) -> bytes:
    at = data.find(marker) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_a_file_of_few_bytes_that_claims_many_pixels_is_refused_before_they_are_decoded(monkeypatch):
    small = saved(np.zeros((8, 8), np.uint8), "JPEG")
    header = struct.pack(">II", 15_000, 15_000) + bytes([8, 2, 0, 0, 0])
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    png = FILES["png"][:8] + chunk + FILES["png"][33:]
    gif = FILES["gif"][:6] + struct.pack("<HH", 15_000, 15_000) + FILES["gif"][10:]
    monkeypatch.setattr(cv2, "imdecode", None)
    monkeypatch.setattr("dbnet_jax.images.jpeg.simplejpeg", None)
    for data in (with_size(small, b"\xff\xc0", 15_000, 15_000), png, gif):
        with pytest.raises(BadPicture, match=r"bytes cannot hold the 15000×15000 pixels that it states"):
            decode_picture(data, "bomb", max_pixels=None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "AVIF"])
def test_the_limit_of_pixels_is_that_of_the_header(kind):
    data = saved(SMOOTH, kind)
    assert decode_picture(data, "a", max_pixels=96 * 128).image.shape == SMOOTH.shape
    message = r"^a: has 128×96 pixels .*more than `config.predict.max_pixels` \(=12287\); .*parts, or raise the limit"
    with pytest.raises(BadPicture, match=message):
        decode_picture(data, "a", max_pixels=96 * 128 - 1)


def deflated_tiff(pixels: bytes, side: int) -> bytes:
    """A grey TIFF of one strip, whose header states a square."""
    codes = zlib.compress(pixels)
    numbers = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: side, 279: len(codes)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in numbers.items())
    return b"II*\0" + struct.pack("<I", 8 + len(codes)) + codes + struct.pack("<H", len(numbers)) + entries + bytes(4)


def test_deflated_pixels_of_a_tiff_are_as_many_as_its_header_states():
    assert decode_image(deflated_tiff(bytes(100), 10), "a").shape == (10, 10, 3)
    with pytest.raises(BadPicture, match="its compressed pixels are too few"):
        decode_image(deflated_tiff(bytes(99), 10), "a")


def test_of_a_strip_that_holds_more_than_the_picture_the_rest_is_not_read(monkeypatch):
    sizes = []
    inflate = zlib.decompressobj

    class Counted:
        def __init__(self):
            self.inflate = inflate()

        def __getattr__(self, name):
            return getattr(self.inflate, name)

        def decompress(self, codes, most):
            piece = self.inflate.decompress(codes, most)
            sizes.append(len(piece))
            return piece

    bomb = deflated_tiff(bytes(50_000_000), 10)
    monkeypatch.setattr(zlib, "decompressobj", Counted)
    assert decode_image(bomb, "a").shape == (10, 10, 3)
    assert max(sizes) <= 2**20
    assert sum(sizes) < 20_000_000


def test_pages_that_cannot_be_counted_are_refused_after_the_limit_of_pixels(tmp_path, monkeypatch):
    data = saved(SMOOTH, "TIFF")
    pages = struct.unpack("<I", data[4:8])[0]
    behind = pages + 2 + 12 * struct.unpack("<H", data[pages : pages + 2])[0]
    data = data[:behind] + struct.pack("<I", len(data) + 99) + data[behind + 4 :]
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match=r"^a: has 128×96 pixels"):
        decode_picture(data, "a", max_pixels=99)
    with pytest.raises(BadPicture, match=r"^a: the TIFF file is damaged: its frames cannot be counted"):
        decode_picture(data, "a")
    (tmp_path / "a.tif").write_bytes(data)
    assert count_frames(tmp_path / "a.tif") == 1


def test_the_limits_of_opencv_are_told_with_what_to_do():
    blank = with_size(saved(np.zeros((8, 8), np.uint8), "JPEG"), b"\xff\xc0", 30_000, 40_000) + bytes(3_000_000)
    with pytest.raises(BadPicture, match=r"40000×30000 pixels \(1,200 million\); OpenCV reads at most 2\^30 .*parts"):
        decode_picture(blank, "a", max_pixels=None)


def test_too_little_memory_is_the_problem_of_the_picture(monkeypatch):
    def decode(*arguments):
        raise MemoryError

    monkeypatch.setattr("dbnet_jax.images.decode._decode", decode)
    with pytest.raises(BadPicture, match=r"^a: its 128×96 pixels need more memory than there is"):
        decode_image(FILES["png"], "a")
