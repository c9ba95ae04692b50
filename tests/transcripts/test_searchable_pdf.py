"""A searchable PDF looks as its pictures, and its words are found where they stand."""

import pathlib
import re

import cv2
import numpy as np
import pytest

from dbnet_jax.images.decode import read_picture
from dbnet_jax.reader import Line, Page, Word
from dbnet_jax.transcripts.searchable_pdf import SearchablePdfs
from tests.helpers.full_disk import files_of_at_most

pdfium = pytest.importorskip("pypdfium2")

SIZE = (640, 800)
WORDS = {
    "Hello": ((140, 60), (200, 40), 0),
    "(world)\\": ((400, 60), (260, 40), 0),
    "climbing": ((300, 260), (300, 50), -30),
    "steep": ((600, 300), (300, 50), 60),
    "upright": ((60, 400), (40, 300), 0),
    "日本語": ((200, 500), (200, 40), 0),
    "Привет": ((420, 500), (200, 40), 5),
    "שלום": ((200, 560), (200, 40), 0),
    "مرحبا12": ((420, 560), (200, 40), 0),
}


def rectangle(centre: tuple[int, int], size: tuple[int, int], degrees: float) -> np.ndarray:
    return cv2.boxPoints((centre, size, degrees)).astype(np.float32)


def page_of(words: dict[str, tuple]) -> Page:
    return Page([Line([Word(rectangle(*place), text, 0.9, 0.9)]) for text, place in words.items()], SIZE)


def picture() -> np.ndarray:
    """A picture that JPEG keeps nearly as it is."""
    down, right = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([down / 3, right / 4, (down + right) / 8], -1).astype(np.uint8)


def made(folder: pathlib.Path, image: np.ndarray, *pages: Page, dpi: int = 100) -> pathlib.Path:
    pdfs = SearchablePdfs(folder, dpi)
    for page in pages:
        pdfs.add("in/a.pdf", image, page)
    pdfs.close()
    assert pdfs.files == ["in/a.pdf"]
    assert [file.name for file in (folder / "in").iterdir()] == ["a.pdf"]
    return folder / "in/a.pdf"


def place(page: "pdfium.PdfPage", text: str, dpi: int) -> np.ndarray:
    """Left, top, right and bottom of a text, in pixels of the picture."""
    found = page.get_textpage()
    first, count = found.search(text, match_case=True).get_next()
    left, low, right, high = np.transpose([found.get_charbox(i) for i in range(first, first + count)])
    corners = np.array([left.min(), page.get_height() - high.max(), right.max(), page.get_height() - low.min()])
    return corners * dpi / 72


def iou(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = np.prod(np.maximum(high - low, 0))
    return both / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - both)


def test_words_of_every_script_and_angle_are_found_where_they_stand(tmp_path: pathlib.Path):
    for dpi in (100, 300):
        with pdfium.PdfDocument(made(tmp_path / str(dpi), picture(), page_of(WORDS), dpi=dpi)) as document:
            (page,) = document
            for text, where in WORDS.items():
                polygon = rectangle(*where)
                assert iou(place(page, text, dpi), np.concatenate([polygon.min(0), polygon.max(0)])) > 0.95, text


def test_lines_words_and_pages_are_copied_as_they_were_read(tmp_path: pathlib.Path):
    words = [
        Word(rectangle((100 + 150 * i, 50), (100, 30), 0), text, 0.9, 0.9)
        for i, text in enumerate(["a", "\n", "bc", ""])
    ]
    emoji = Line([Word(rectangle((100, 150), (100, 30), 0), "👍é\ud800", 0.9, 0.9)])
    many = Line([Word(rectangle((300, 300), (500, 30), 0), "".join(map(chr, range(0x4E00, 0x4E00 + 300))), 0.9, 0.9)])
    path = made(tmp_path, picture(), Page([Line(words), emoji], SIZE), Page([], SIZE), Page([many], SIZE))
    with pdfium.PdfDocument(path) as document:
        assert [page.get_textpage().get_text_range() for page in document] == ["a bc\r\n👍é?", "", many.text]


def test_the_pages_look_as_the_pictures(tmp_path: pathlib.Path):
    path = made(tmp_path, picture(), page_of(WORDS), page_of({}))
    for number in range(2):
        shown = read_picture(path, frame=number, dpi=100).image
        assert shown.shape == picture().shape
        assert np.abs(shown.astype(int) - picture()).max() < 25
    with pdfium.PdfDocument(path) as document:
        drawn = [one for one in document[0].get_objects() if one.type == pdfium.raw.FPDF_PAGEOBJ_TEXT]
        modes = {pdfium.raw.FPDFTextObj_GetTextRenderMode(one) for one in drawn}
        assert (len(drawn), modes) == (len(WORDS), {pdfium.raw.FPDF_TEXTRENDERMODE_INVISIBLE})
    long = made(tmp_path / "long", np.zeros((2, 70_000, 3), np.uint8), Page([], (2, 70_000)))
    with pdfium.PdfDocument(long) as document:
        assert document[0].get_width() == pytest.approx(14400)


def test_another_name_begins_another_file_and_a_full_disk_leaves_none(tmp_path: pathlib.Path):
    pdfs = SearchablePdfs(tmp_path, 100)
    pdfs.close()
    for name in ("a.pdf", "a.pdf", "b.pdf"):
        pdfs.add(name, picture(), page_of(WORDS))
    assert (pdfs.files, (tmp_path / "b.pdf").exists()) == (["a.pdf"], False)
    with pytest.raises(OSError, match=r"b\.pdf"), files_of_at_most(1000):
        pdfs.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.pdf"]
    with pdfium.PdfDocument(tmp_path / "a.pdf") as document:
        assert len(document) == 2


def test_the_table_has_the_place_of_every_object(tmp_path: pathlib.Path):
    """Programs repair a file with a wrong table, or refuse it."""
    content = made(tmp_path, picture(), page_of(WORDS), page_of({})).read_bytes()
    start = int(content.split()[-2])
    count, rows = re.match(rb"xref\n0 (\d+)\n((?:\d{10} \d{5} [nf] \n)+)trailer", content[start:]).groups()
    assert len(rows) == 20 * int(count)
    for number, row in enumerate(rows.split(b"\n")[1:-1], 1):
        assert content[int(row[:10]) :].startswith(b"%d 0 obj\n" % number)


def interrupt(*args: object) -> None:
    raise KeyboardInterrupt


def test_a_page_that_fails_is_not_in_the_file(tmp_path: pathlib.Path, monkeypatch):
    pdfs = SearchablePdfs(tmp_path, 100)
    pdfs.add("a.pdf", picture(), page_of({"Hello": WORDS["Hello"]}))
    with monkeypatch.context() as broken:
        broken.setattr(cv2, "imencode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pdfs.add("a.pdf", picture(), page_of(WORDS))
    pdfs.close()
    with pdfium.PdfDocument(tmp_path / "a.pdf") as document:
        assert [page.get_textpage().get_text_range() for page in document] == ["Hello"]
