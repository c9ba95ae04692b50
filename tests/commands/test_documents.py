"""PDF files and TIFF files of many pages through the commands: an entry for each page, in order."""

import errno
import json
import pathlib

import jax
import numpy as np
import pytest

from dbnet_jax.commands import read, serve
from dbnet_jax.commands.options import parse
from dbnet_jax.commands.predict import predict_files
from dbnet_jax.commands.read import FORMATS, read_files
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.reader import Reader
from dbnet_jax.recognition import Recognition, Recognizer
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import BrightnessDetector, quad, white_box
from tests.helpers.pdf_files import pdf_file
from tests.helpers.pictures import saved, write

pdfium = pytest.importorskip("pypdfium2")

BOXES = [(10, 20, 60, 50), (30, 10, 100, 40), (20, 40, 70, 70)]
NAMES = ["book.pdf#1", "book.pdf#2", "book.pdf#3", "locked.pdf", "one.pdf", "photo.png", "scan.tif#1", "scan.tif#2"]


class Numbers(Recognizer):
    """Reads the crops that it is given as word1, word2, …"""

    def __init__(self):
        self.config = recognition_config()
        self.seen = 0

    def read_upright(self, crops):
        first, self.seen = self.seen, self.seen + len(crops)
        return [Recognition(f"word{first + i + 1}", 0.9) for i in range(len(crops))]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "book.pdf").write_bytes(pdf_file(BOXES))
    (folder / "locked.pdf").write_bytes(pdf_file(BOXES, password="key"))
    (folder / "one.pdf").write_bytes(pdf_file(BOXES[1:2]))
    pages = [white_box((80, 120), *box) for box in BOXES[:2]]
    (folder / "scan.tif").write_bytes(saved(pages[0], "TIFF", pages[1]))
    write(folder / "photo.png", pages[0])
    return folder


def detector(**predict: object) -> BrightnessDetector:
    return BrightnessDetector(resize="none", dpi=72, **predict)


def test_prediction_has_an_entry_for_each_page(folder, tmp_path):
    output = tmp_path / "out"
    found = predict_files(detector(frames="all"), folder, output)
    listed = json.loads((output / "detections.json").read_text())
    assert list(listed["pictures"]) == [name for name in NAMES if name != "locked.pdf"]
    assert list(listed["skipped"]) == list(found.skipped) == ["locked.pdf"]
    assert "`config.predict.password` takes its password" in found.skipped["locked.pdf"]
    for number, box in enumerate(BOXES, 1):
        (one,) = listed["pictures"][f"book.pdf#{number}"]["detections"]
        np.testing.assert_allclose(one["polygon"], quad(*box), atol=2)
        assert (output / f"icdar/res_book.pdf#{number}.txt").is_file()
        assert f"book.pdf#{number}" in (output / "index.html").read_text()
    found = predict_files(detector(frames="all", password="key"), folder / "locked.pdf", output, ["json"])
    assert (found.pictures, found.skipped) == (3, {})
    predict_files(detector(), folder, output, ["json"])
    listed = json.loads((output / "detections.json").read_text())
    assert list(listed["pictures"]) == ["book.pdf", "one.pdf", "photo.png", "scan.tif"]
    note = 'has 3 pages; the first was read; `config.predict.frames` = "all" reads all of them'
    assert listed["pictures"]["book.pdf"]["notes"] == [note]


def test_reading_has_an_entry_for_each_page_and_one_searchable_file_for_all(folder, tmp_path):
    output = tmp_path / "out"
    pages, skipped = read_files(Reader(detector(frames="all"), Numbers()), [str(folder)], output)
    assert (list(pages), list(skipped)) == ([name for name in NAMES if name != "locked.pdf"], ["locked.pdf"])
    assert list(json.loads((output / "reading.json").read_text())["pictures"]) == list(pages)
    assert (output / "text/book.pdf#2.txt").read_text() == "word2\n"
    texts = {}
    for file in (output / "pdf").iterdir():
        with pdfium.PdfDocument(file) as document:
            texts[file.name] = [page.get_textpage().get_text_range() for page in document]
            assert [page.get_size() for page in document] == [(120, 80)] * len(document)
    assert texts == {
        "book.pdf.pdf": ["word1", "word2", "word3"],
        "one.pdf.pdf": ["word4"],
        "photo.png.pdf": ["word5"],
        "scan.tif.pdf": ["word6", "word7"],
    }
    assert "pdf" in FORMATS
    read_files(Reader(detector(), Numbers()), [str(folder / "one.pdf")], output, ["pdf"])
    assert [file.name for file in (output / "pdf").iterdir()] == ["one.pdf.pdf"]


def test_a_reader_reads_the_first_page_or_each(folder):
    book, locked = folder / "book.pdf", folder / "locked.pdf"
    for frames in ("first", "all"):
        page = Reader(detector(frames=frames), Numbers()).read(book)
        assert page.text == "word1"
        assert page.notes[0].startswith("has 3 pages; the first was read")
    found = list(Reader(detector(frames="all"), Numbers()).read_many([book, locked, lambda: book]))
    assert [str(one) if isinstance(one, ValueError) else one.text for one in found] == [
        *("word1", "word2", "word3"),
        f"{locked}: is encrypted; `config.predict.password` takes its password",
        "word4",
    ]
    with pytest.raises(ValueError, match=r"must be several pictures: put a single one into a list"):
        next(Reader(detector(), Numbers()).read_many(str(book)))


def test_a_format_that_cannot_be_written_takes_no_other_with_it(folder, tmp_path, monkeypatch):
    output = tmp_path / "out"
    read_files(Reader(detector(), Numbers()), [str(folder / "one.pdf")], output)
    before = (output / "reading.json").read_bytes()

    def full(file: pathlib.Path, content: str) -> None:
        if file.name == "reading.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write_text(content)

    monkeypatch.setattr(read, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        read_files(Reader(detector(), Numbers()), [str(folder / "photo.png")], output)
    assert (output / "reading.json").read_bytes() == before
    assert "photo.png" in (output / "index.html").read_text()
    assert [file.name for file in (output / "pdf").iterdir()] == ["photo.png.pdf"]
    listed = json.loads((output / ".dbnet_jax.json").read_text())
    assert (listed["json"], listed["pdf"]) == (["reading.json"], ["pdf/photo.png.pdf"])
    assert listed["text"] == ["text/photo.png.txt"]


def test_reading_and_serving_take_the_detector_of_a_run(folder, tmp_path, cli, monkeypatch):
    workdir, taken = tiny.make_run(tmp_path / "run"), []

    def taking(config, variables):
        assert all((leaf == 1).all() for leaf in jax.tree.leaves(variables))
        taken.append((config.model.width, config.predict.size))
        return detector()

    for command in (read, serve):
        monkeypatch.setattr(command, "load_recognizer", lambda *_: Numbers())
        monkeypatch.setattr(command, "Detector", taking)
    flags = (f"--workdir={workdir}", "--config.predict.size=96")
    cli("read", *flags, str(folder / "photo.png"))
    assert (workdir / "readings/text/photo.png.txt").read_text() == "word1\n"
    serve._models(parse(["serve", *flags], tmp_path))
    assert taken == [(4, 96)] * 2
