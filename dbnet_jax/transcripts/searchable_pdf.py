"""Searchable PDF files: pictures of pages, with their text invisible behind them.

The files are written by hand, page after page, because PDF libraries hold a document in memory until its end, and have
no font that covers every script. The structure is that of PDF 1.7 (ISO 32000-1).
"""

import itertools
import pathlib
import unicodedata
import zlib
from collections.abc import Mapping

import cv2
import numpy as np

from dbnet_jax.files import complete, naming, partial_of
from dbnet_jax.images import drawing
from dbnet_jax.images.crops import text_sides
from dbnet_jax.reader import Line, Page
from dbnet_jax.transcripts.glyphless_font import ADVANCE, FONT_NAME, GLYPH, glyphless_font, unicode_map
from dbnet_jax.typing import Image, Polygon

_POINTS = 72  # an inch in the units of a PDF
_LONGEST = 14400  # points of a page's side, at most
_JPEG_QUALITY, _LONGEST_JPEG = 85, 65500  # pixels
# The objects that all pages share, by their numbers.
_CATALOG, _PAGES, _FONT, _CID_FONT, _DESCRIPTOR, _FONT_FILE, _UNICODE, _GLYPHS = range(1, 9)


class SearchablePdfs:
    """A searchable PDF for each of several files, whose pages come one after another.

    Memory holds one page. A file has its name when it is complete, see `partial_of`.

    **Arguments:** `folder`: of the files, made where there is none; `dpi`: pixels of a picture that are an inch.
    """

    def __init__(self, folder: pathlib.Path, dpi: int) -> None:
        self._folder, self._dpi = folder, dpi
        self._name = ""
        self._open: _Document | None = None
        self.files: list[str] = []
        """The files that are complete so far, by their paths from `folder`."""

    def add(self, name: str, image: Image, page: Page) -> None:
        """Adds a page to the file `name`, a path from the folder; a new name completes the file before it."""
        if name != self._name:
            self.close()
            self._open, self._name = _Document(self._folder / name), name
        assert self._open is not None
        self._open.add(image, page, min(_POINTS / self._dpi, _LONGEST / max(page.size)))

    def close(self) -> None:
        """Completes the last file. **Raises:** OSError."""
        if self._open is not None:
            document, self._open = self._open, None
            document.close()
            self.files.append(self._name)


class _Document:
    """One PDF file, written from its beginning to its end."""

    def __init__(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._partial = path, partial_of(path)
        self._pages: list[int] = []
        self._offsets: dict[int, int] = {}
        self._next = _GLYPHS + 1
        self._codes: dict[str, int] = {}
        with naming(path):
            self._file = self._partial.open("wb")
            # Bytes over 127 show programs that the file is no text.
            self._file.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def add(self, image: Image, page: Page, scale: float) -> None:
        """Writes a page; `scale` is in points a pixel. A page that fails is not in the file."""
        height, width = (scale * side for side in page.size)
        number, content, picture = range(self._next, self._next + 3)
        self._next += 3
        placed = f"q {width:.3f} 0 0 {height:.3f} 0 0 cm /Picture Do Q\n"
        text = "".join(self._line(line, height, scale) for line in page.lines)
        resources = f"<< /Font << /Text {_FONT} 0 R >> /XObject << /Picture {picture} 0 R >> >>"
        with naming(self._path):
            self._write_picture(picture, image)
            self._write_stream(content, f"BT 3 Tr\n{text}ET\n{placed}".encode("ascii"))
            self._write(
                number,
                f"<< /Type /Page /Parent {_PAGES} 0 R /MediaBox [0 0 {width:.3f} {height:.3f}] "
                f"/Resources {resources} /Contents {content} 0 R >>",
            )
        self._pages.append(number)

    def close(self) -> None:
        """Writes what the pages share, and moves the file to its place."""
        try:
            with naming(self._path):
                self._write_font()
                kids = " ".join(f"{number} 0 R" for number in self._pages)
                self._write(_PAGES, f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>")
                self._write(_CATALOG, f"<< /Type /Catalog /Pages {_PAGES} 0 R >>")
                self._write_end()
                self._file.close()
                complete(self._partial, self._path)
        except BaseException:
            self._file.close()
            self._partial.unlink(missing_ok=True)
            raise

    def _line(self, line: Line, height: float, scale: float) -> str:
        """The operators that place a line's words, with a space between two."""
        words = [(" ".join(word.text.split()), word.polygon) for word in line.words]
        words = [(text, polygon) for text, polygon in words if text]
        return "".join(
            self._word(text, " " * (i < len(words)), polygon, height, scale)
            for i, (text, polygon) in enumerate(words, 1)
        )

    def _word(self, text: str, space: str, polygon: Polygon, height: float, scale: float) -> str:
        """The operators that stretch a word over the rectangle of its polygon along its direction."""
        upper, lower = text_sides(polygon)
        along = (upper[-1] - upper[0]) + (lower[-1] - lower[0])
        right = along / max(float(np.linalg.norm(along)), 1e-6)
        up = np.array([right[1], -right[0]], np.float32)
        across, down = polygon @ right, polygon @ up
        x, y = across.min() * right + down.min() * up
        size = max(scale * float(np.ptp(down)), 0.01)
        stretch = 100 * scale * float(np.ptp(across)) / (ADVANCE / 1000 * len(text) * size)
        codes = "".join(f"{self._codes.setdefault(one, len(self._codes) + 1):04x}" for one in _as_seen(text) + space)
        turn = f"{right[0]:.5f} {-right[1]:.5f} {right[1]:.5f} {right[0]:.5f}"
        place = f"{turn} {scale * x:.3f} {height - scale * y:.3f} Tm"
        return f"/Text {size:.3f} Tf {max(stretch, 0.01):.3f} Tz {place} <{codes}> Tj\n"

    def _write_picture(self, number: int, image: Image) -> None:
        scale = min(1.0, _LONGEST_JPEG / max(image.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        shown = drawing.resize(image, (height, width)) if scale < 1 else image
        encoded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        self._write_stream(
            number,
            encoded,
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} "
            "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode",
        )

    def _write_font(self) -> None:
        system = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
        self._write(
            _FONT,
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{FONT_NAME} /Encoding /Identity-H "
            f"/DescendantFonts [{_CID_FONT} 0 R] /ToUnicode {_UNICODE} 0 R >>",
        )
        self._write(
            _CID_FONT,
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{FONT_NAME} {system} "
            f"/FontDescriptor {_DESCRIPTOR} 0 R /DW {ADVANCE} /CIDToGIDMap {_GLYPHS} 0 R >>",
        )
        self._write(
            _DESCRIPTOR,
            f"<< /Type /FontDescriptor /FontName /{FONT_NAME} /Flags 4 /FontBBox [0 0 {ADVANCE} 1000] /ItalicAngle 0 "
            f"/Ascent 1000 /Descent 0 /CapHeight 1000 /StemV 80 /FontFile2 {_FONT_FILE} 0 R >>",
        )
        font = glyphless_font()
        self._write_stream(_FONT_FILE, font, f"/Length1 {len(font)}")
        self._write_stream(_UNICODE, unicode_map(self._codes))
        self._write_stream(_GLYPHS, GLYPH.to_bytes(2, "big") * (len(self._codes) + 1))

    def _write_stream(self, number: int, content: bytes, entries: str = "") -> None:
        """Writes an object with content, which is compressed where `entries` state no filter."""
        if "/Filter" not in entries:
            content, entries = zlib.compress(content), f"{entries} /Filter /FlateDecode"
        head = f"<< {entries} /Length {len(content)} >>\nstream\n"
        self._write(number, head.encode("ascii") + content + b"\nendstream")

    def _write(self, number: int, content: str | bytes) -> None:
        self._offsets[number] = self._file.tell()
        body = content.encode("ascii") if isinstance(content, str) else content
        self._file.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))

    def _write_end(self) -> None:
        """The places of all objects."""
        start, count = self._file.tell(), self._next
        rows = "".join(_place(self._offsets, number) for number in range(1, count))
        self._file.write(
            f"xref\n0 {count}\n0000000000 65535 f \n{rows}"
            f"trailer\n<< /Size {count} /Root {_CATALOG} 0 R >>\nstartxref\n{start}\n%%EOF\n".encode("ascii")
        )


def _as_seen(text: str) -> str:
    """The characters from left to right, as a PDF has them: what is written from right to left is turned round."""
    kinds = [unicodedata.bidirectional(one) for one in text]
    if not {"R", "AL"} & {*kinds}:
        return text
    runs = itertools.groupby(zip(text, kinds, strict=True), key=lambda pair: pair[1] in ("L", "EN", "AN"))
    turned = ["".join(one for one, _ in run)[:: 1 if forwards else -1] for forwards, run in runs]
    return "".join(reversed(turned))


def _place(offsets: Mapping[int, int], number: int) -> str:
    """The line of an object: its offset, or that it is not there, as after a page that failed."""
    return f"{offsets[number]:010} 00000 n \n" if number in offsets else "0000000000 65535 f \n"
