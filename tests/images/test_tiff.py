"""The tags of a TIFF file cannot ask for more work or memory than its bytes and its picture are worth."""

import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg

from dbnet_jax.images import tiff
from dbnet_jax.images.decode import BadPicture, decode_image
from tests.helpers.pictures import saved
from tests.helpers.tiff_files import START, tiff_file

SIDE = 16
DEFLATE, JPEG = 8, 7
PIXELS = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)


def jpeg(rows: int, columns: int) -> bytes:
    return saved(np.full((rows, columns), 90, np.uint8), "JPEG")


def test_strips_that_share_their_bytes_are_looked_at_once(monkeypatch):
    content = zlib.compress(bytes(SIDE)) + bytes(2**20)
    count = 500
    shared = tiff_file(content, SIDE, {259: DEFLATE, 278: 1, 273: [START] * count, 279: [len(content)] * count})
    looked = []
    inflated = tiff._inflated
    monkeypatch.setattr(tiff, "_inflated", lambda codes, most: looked.append(codes) or inflated(codes, most))
    tracemalloc.start()
    try:
        assert not decode_image(shared, "blank").any()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(looked) == 1
    assert peak < 10 * len(content)


@pytest.mark.parametrize("compression", [DEFLATE, JPEG])
def test_strips_of_more_bytes_than_the_file_are_refused_before_they_are_decoded(compression, monkeypatch):
    content = zlib.compress(bytes(SIDE)) if compression == DEFLATE else jpeg(1, SIDE)
    content += bytes(1000)
    places = {273: range(START, START + SIDE), 279: [len(content) - at for at in range(SIDE)]}
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match=r"^a: the TIFF file is damaged: its strips have more bytes than the file"):
        decode_image(tiff_file(content, SIDE, {259: compression, 278: 1, **places}), "a")


@pytest.mark.parametrize("size", [2**32 - 1, -1])
def test_strips_cannot_be_as_long_as_they_like(size):
    content = zlib.compress(PIXELS.tobytes())
    data = tiff_file(content, SIDE, {259: DEFLATE, 279: size % 2**32})
    entry = data.rindex(b"\x17\x01\x04\0")
    signed = data[: entry + 2] + bytes([4 if size > 0 else 9]) + data[entry + 3 :]
    with pytest.raises(BadPicture, match=r"^a: the TIFF file is damaged: (its strips have more|the places of)"):
        decode_image(signed, "a")


def of_jpegs(*parts: bytes, **tags: int) -> bytes:
    """A TIFF of JPEG strips, or of tiles of that `tile` of pixels."""
    places = [START + sum(map(len, parts[:index])) for index in range(len(parts))]
    first = {322: tags["tile"], 323: tags["tile"]} if tags else {278: SIDE // len(parts)}
    at, sizes = (324, 325) if tags else (273, 279)
    return tiff_file(b"".join(parts), SIDE, {259: JPEG, **first, at: places, sizes: list(map(len, parts))})


@pytest.mark.parametrize(
    "data",
    [
        of_jpegs(jpeg(300, 300)),
        of_jpegs(jpeg(SIDE, 64)),
        of_jpegs(jpeg(64, SIDE)),
        of_jpegs(jpeg(8, SIDE), jpeg(300, 300)),
        of_jpegs(jpeg(128, 64), tile=64),
    ],
    ids=["strip", "wide strip", "high strip", "second strip", "tile"],
)
def test_a_jpeg_that_is_larger_than_its_place_is_not_decoded(data, monkeypatch):
    decode = simplejpeg.decode_jpeg

    def decode_small(codes, space):
        image = decode(codes, space)
        assert image.shape[:2] == (8, SIDE)
        return image

    monkeypatch.setattr("dbnet_jax.images.jpeg.simplejpeg.decode_jpeg", decode_small)
    with pytest.raises(BadPicture, match=r"^a: the TIFF file is damaged: a JPEG of \d+×\d+ pixels is larger than its"):
        decode_image(data, "a")


@pytest.mark.parametrize(
    "data",
    [of_jpegs(jpeg(8, SIDE), jpeg(8, SIDE)), of_jpegs(jpeg(24, SIDE)), of_jpegs(jpeg(64, 64), tile=64)],
    ids=["strips", "strip of whole blocks", "tile"],
)
def test_a_jpeg_may_fill_its_place(data):
    np.testing.assert_array_equal(decode_image(data, "a"), np.full((SIDE, SIDE, 3), 90))


@pytest.mark.parametrize("compression", [1, 5, DEFLATE, JPEG])
def test_tiles_that_are_far_larger_than_their_picture_are_refused(compression, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    tags = {259: compression, 322: 9008, 323: 9008, 324: START, 325: 100}
    with pytest.raises(BadPicture, match=r"its tiles of 9008×9008 pixels are larger than its picture of 16×16"):
        decode_image(tiff_file(bytes(100), SIDE, tags), "a")


def test_jpeg_tables_are_short_because_they_are_read_with_each_strip(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    data = tiff_file(jpeg(SIDE, SIDE), SIDE, {259: JPEG, 347: bytes(2**17)})
    with pytest.raises(BadPicture, match="its JPEG tables are none"):
        decode_image(data, "a")
