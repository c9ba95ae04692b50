"""Pages of PDF files are pictures, and what is wrong with a file or a page is said."""

import pathlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.PngImagePlugin
import pytest

from dbnet_jax.images import decode
from dbnet_jax.images.decode import BadPicture, count_frames, decode_picture, read_picture
from tests.helpers.brightness import BrightnessDetector, quad
from tests.helpers.pdf_files import pdf_file
from tests.helpers.pictures import saved

pdfium = pytest.importorskip("pypdfium2")

BOXES = [(10, 20, 60, 50), (30, 10, 100, 40), (20, 40, 70, 70)]


def bright(image: np.ndarray) -> list[int]:
    """Left, top, right and bottom of what is white."""
    rows, columns = np.nonzero((image > 127).all(-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_a_page_has_its_size_and_content_at_every_resolution(tmp_path: pathlib.Path):
    path = tmp_path / "pages.pdf"
    path.write_bytes(b"first some other bytes\n" + pdf_file(BOXES))  # as some mail programs write it
    assert count_frames(path) == 3
    for dpi in (72, 180):
        for page, box in enumerate(BOXES):
            picture = read_picture(path, frame=page, dpi=dpi)
            assert (picture.image.shape, picture.notes) == ((80 * dpi // 72, 120 * dpi // 72, 3), ())
            np.testing.assert_allclose(bright(picture.image), np.multiply(box, dpi / 72), atol=1)
    first = decode_picture(pdf_file(BOXES), "pages", dpi=72)
    np.testing.assert_array_equal(first.image, read_picture(path, frame=0, dpi=72).image)
    assert first.notes == ('has 3 pages; the first was read; `config.predict.frames` = "all" reads all of them',)
    turned = pdf_file(BOXES).replace(b"/MediaBox [0 0 120 80]", b"/MediaBox [0 0 120 80] /Rotate 90")
    assert bright(decode_picture(turned, "turned", dpi=72).image) == [80 - 50, 10, 80 - 20, 60]
    assert decode_picture(pdf_file(BOXES, ink="1 0 0 rg"), "red").image.reshape(-1, 3).max(0).tolist() == [255, 0, 0]


def test_a_picture_that_mentions_pdf_is_a_picture():
    note = PIL.PngImagePlugin.PngInfo()
    note.add_text("from", "%PDF-1.7")
    data = saved(np.zeros((5, 7, 3), np.uint8), "PNG", pnginfo=note)
    assert b"%PDF-" in data[:1024]
    assert decode_picture(data, "a").image.shape == (5, 7, 3)


LOCKED = pdf_file(BOXES, password="key")
BROKEN = {
    "locked": (LOCKED, {}, "is encrypted; `config.predict.password` takes its password"),
    "wrong": (LOCKED, {"password": "no"}, "is encrypted, and `config.predict.password` is not its password"),
    "empty": (pdf_file([]), {}, "has no pages"),
    "short": (pdf_file(BOXES)[:40], {}, "the PDF file is damaged: it cannot be opened"),
    "noise": (b"%PDF-1.7\n" + bytes(range(256)) * 20, {}, "the PDF file is damaged: it cannot be opened"),
    "unknown": (
        LOCKED.replace(b"/Standard", b"/Stranger"),
        {"password": "key"},
        "is encrypted by a method that PDFium does not know; save it without encryption",
    ),
    "large": (
        pdf_file(BOXES, size=(14400, 14400)),
        {},
        "page 1 has 40000×40000 pixels (1,600 million), more than `config.predict.max_pixels` (=250000000); lower "
        "`config.predict.dpi` (=200), or raise the limit",
    ),
    "gone": (pdf_file(BOXES), {"frame": 3}, "page 4 cannot be read; the PDF file is damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_with_a_file_or_a_page_is_said(tmp_path: pathlib.Path, kind: str):
    data, options, expected = BROKEN[kind]
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    for read, source in (
        (lambda: read_picture(path, **options), str(path)),
        (lambda: decode_picture(data, "b", **options), "b"),
    ):
        with pytest.raises(BadPicture) as raised:
            read()
        assert str(raised.value) == f"{source}: {expected}"
    assert count_frames(path, options.get("password")) == (3 if kind in ("large", "gone") else 1)


def test_a_locked_file_is_read_with_its_password_and_an_empty_one_named_afterwards():
    np.testing.assert_array_equal(
        decode_picture(LOCKED, "a", password="key").image, decode_picture(pdf_file(BOXES), "a").image
    )
    for data, expected in ((LOCKED, "is encrypted"), (pdf_file([]), "has no pages")):
        with pytest.raises(BadPicture, match=expected):
            decode_picture(data, "a")


def test_without_the_library_a_file_says_what_to_install(monkeypatch, tmp_path: pathlib.Path):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "a.pdf").write_bytes(pdf_file(BOXES))
    assert count_frames(tmp_path / "a.pdf") == 1
    with pytest.raises(BadPicture, match=r"a\.pdf: a PDF file, which pypdfium2 reads: pip install 'dbnet_jax\[pdf\]'"):
        read_picture(tmp_path / "a.pdf")


def test_threads_take_turns_in_the_library(tmp_path: pathlib.Path, monkeypatch):
    path = tmp_path / "pages.pdf"
    path.write_bytes(pdf_file(BOXES * 8))
    render, running, most = pdfium.PdfPage.render, [], []

    def slow(*args, **options):
        running.append(args)
        most.append(len(running))
        time.sleep(0.002)
        running.pop()
        return render(*args, **options)

    monkeypatch.setattr(pdfium.PdfPage, "render", slow)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda page: read_picture(path, frame=page, dpi=72).image, range(24)))
    assert [bright(image) for image in images] == [list(box) for box in BOXES * 8]
    assert max(most) == 1


def test_a_detector_renders_the_pages_that_it_needs(tmp_path: pathlib.Path, monkeypatch):
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf_file(BOXES * 100))
    rendered = []
    render = decode.render_page
    monkeypatch.setattr(
        decode, "render_page", lambda *args, **options: rendered.append(args) or render(*args, **options)
    )
    detector = BrightnessDetector(resize="none", frames="all", dpi=72)
    found = detector.detect_many([path])
    for box, one in zip(BOXES, found, strict=False):
        np.testing.assert_allclose(one.polygons[0], quad(*box), atol=2)
    found.close()
    assert 3 <= len(rendered) < 40
    rendered.clear()
    assert detector.detect(path).notes[0].startswith("has 300 pages; the first was read")
    assert len(rendered) == 1
