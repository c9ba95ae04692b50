"""Every format that states how it is to be turned is turned; every file with frames gives each of them."""

import cv2
import numpy as np
import PIL.Image
import pytest

from dbnet_jax.images.decode import BadPicture, decode_image, decode_picture
from dbnet_jax.images.header import read_header, stored, turned
from tests.helpers.pictures import saved

# The corners differ.
IMAGE = np.full((40, 60, 3), 128, np.uint8)
IMAGE[:15, :20], IMAGE[25:, 45:], IMAGE[:15, 45:] = 0, 255, (250, 30, 30)
# By the definition of EXIF: where the first row and the first column of the stored pixels are in the upright picture.
UPRIGHT = {
    1: IMAGE,
    2: IMAGE[:, ::-1],
    3: IMAGE[::-1, ::-1],
    4: IMAGE[::-1],
    5: IMAGE.transpose(1, 0, 2),
    6: IMAGE.transpose(1, 0, 2)[:, ::-1],
    7: IMAGE.transpose(1, 0, 2)[::-1, ::-1],
    8: IMAGE.transpose(1, 0, 2)[::-1],
}
OPAQUE = np.dstack([IMAGE, np.full((40, 60), 255, np.uint8)])
THIN = np.dstack([IMAGE, np.full((40, 60), 254, np.uint8)])
FILES = {
    "jpeg": (IMAGE, "JPEG", {"quality": 100, "subsampling": 0}),
    "jpeg_cmyk": (PIL.Image.fromarray(IMAGE).convert("CMYK"), "JPEG", {"quality": 100, "subsampling": 0}),
    "png": (IMAGE, "PNG", {}),
    "png_alpha": (THIN, "PNG", {}),
    "png_palette": (PIL.Image.fromarray(IMAGE).quantize(8), "PNG", {}),
    "png_palette_alpha": (PIL.Image.fromarray(IMAGE).quantize(8), "PNG", {"transparency": bytes([254] * 8)}),
    "webp": (IMAGE, "WEBP", {"quality": 100}),
    "webp_alpha": (THIN, "WEBP", {"lossless": True}),
    "tiff": (IMAGE, "TIFF", {}),
    "tiff_alpha": (OPAQUE, "TIFF", {}),
    "avif": (IMAGE, "AVIF", {"quality": 100, "speed": 9}),
    "avif_alpha": (OPAQUE, "AVIF", {"quality": 100, "speed": 9}),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FILES)
def test_the_orientation_is_followed_only_when_told(kind, orientation):
    image, suffix, options = FILES[kind]
    data = saved(image, suffix, orientation=orientation, **options)
    for found, expected in ((decode_image(data, "a"), IMAGE), (_upright(data), UPRIGHT[orientation])):
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 4


def _upright(data: bytes) -> np.ndarray:
    return decode_image(data, "a", follow_exif=True)


def test_each_turn_has_an_inverse():
    for orientation, upright in UPRIGHT.items():
        np.testing.assert_array_equal(stored(turned(IMAGE, orientation), orientation), IMAGE)
        np.testing.assert_array_equal(turned(IMAGE, orientation), upright)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    data = saved(IMAGE, "PNG", orientation=orientation)
    np.testing.assert_array_equal(_upright(data), IMAGE)


# Frames
FRAMES = [IMAGE, IMAGE[::-1].copy(), np.roll(IMAGE, 20, axis=1)]


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("AVIF", {"quality": 100, "speed": 9})],
)
def test_the_frames_are_counted_and_each_is_read(kind, options):
    data = saved(FRAMES[0], kind, *FRAMES[1:], **options)
    assert read_header(data).frames == 3
    first = decode_picture(data, "a")
    assert first.notes == ("has 3 frames; the first was read",)
    for frame, expected in enumerate(FRAMES):
        found = decode_picture(data, "a", frame=frame)
        assert found.notes == ()
        assert np.abs(found.image.astype(int) - expected).mean() < 12
    assert decode_picture(saved(IMAGE, kind, **options), "a").notes == ()


def test_pages_of_16_bits_are_scaled_as_a_single_one():
    pages = [np.full((4, 6), value, np.uint16) for value in (257, 514)]
    assert (
        decode_picture(saved(pages[0], "TIFF", pages[1]), "a", frame=1).image.tolist() == np.full((4, 6, 3), 2).tolist()
    )


# Rare formats
def encoded(suffix: str, image: np.ndarray = IMAGE) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


RARE = {
    "ppm": encoded(".ppm"),
    "pgm": encoded(".pgm", IMAGE[..., 0].copy()),
    "pbm": encoded(".pbm", IMAGE[..., 0].copy()),
    "pgm with comments": b"P5\n# 1 1\r60\t# 1\n#\n40\n255\n" + bytes(2400),
    "pam": encoded(".pam"),
    "pam with comments": b"P7\n#WIDTH 1\nHEIGHT  40\n WIDTH\t60\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + bytes(2400),
    "sun": encoded(".ras"),
}


@pytest.mark.parametrize("data", RARE.values(), ids=RARE)
def test_the_limit_of_pixels_is_that_of_the_header_in_rare_formats(data, monkeypatch):
    assert decode_picture(data, "a", max_pixels=2400).image.shape == IMAGE.shape
    assert read_header(data).size == (40, 60)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match=r"^a: has 60×40 pixels .*more than `config.predict.max_pixels`"):
        decode_picture(data, "a", max_pixels=2399)


NEVER_DECODED = {
    "hdr": (encoded(".hdr", IMAGE.astype(np.float32)), "Radiance HDR, whose pixels have no white; save it as"),
    "pfm": (encoded(".pfm", IMAGE.astype(np.float32)), "PFM, whose pixels have no white; save it as JPEG or PNG"),
    # OpenCV takes the digits before a comment for a number, and other readers go on behind it.
    "two sizes": (b"P5 9000#9000\n1 1 255\n" + bytes(9000), "the header of the netpbm file is damaged"),
    "a long number": (b"P5 00000000009000 9000 255\n" + bytes(99), "the header of the netpbm file is damaged"),
    "no width": (b"P7\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + bytes(99), "the header of the PAM file is damaged"),
}


@pytest.mark.parametrize(("data", "reason"), NEVER_DECODED.values(), ids=NEVER_DECODED)
def test_a_rare_file_without_a_size_or_a_white_is_refused_before_it_is_decoded(data, reason, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPicture, match=rf"^a: .*{reason}"):
        decode_picture(data, "a", max_pixels=100)


def test_of_two_widths_the_larger_one_counts():
    assert read_header(b"P7\n# WIDTH 1\nWIDTH 9000\nHEIGHT 2\nENDHDR\n").size == (2, 9000)
