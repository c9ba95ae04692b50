"""The pages of a PDF file as pixels, by PDFium."""

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from dbnet_jax.images.header import kind_of
from dbnet_jax.images.limits import check_size

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

DPI = 200
"""The default of `config.predict.dpi`."""
_POINTS = 72  # an inch in the units of a PDF
_LOCK = threading.Lock()  # PDFium must not run in two threads at a time


def is_pdf(data: bytes) -> bool:
    """Whether these first bytes of a file are those of a PDF. Some programs write other bytes before its mark."""
    return b"%PDF-" in data[:1024] and not kind_of(data)


def count_pages(source: str | os.PathLike[str] | bytes, password: str | None = None) -> int:
    """The pages of a PDF. **Arguments** and **Raises:** as `render_page`."""
    with _opened(source, password) as document:
        return len(document)


def render_page(
    source: str | os.PathLike[str] | bytes, page: int, *, dpi: int, max_pixels: int | None, password: str | None
) -> tuple[UInt8[np.ndarray, "height width 3"], int]:
    """A page as it is printed, on white, with its annotations and its filled form fields.

    The file is opened for each page, and of a path only the parts that the page needs are read: memory holds one page.

    **Arguments:**

    - `source`: the path or the content of the file.
    - `page`: from 0.
    - `dpi`: pixels an inch.
    - `max_pixels`: the most pixels (height × width), see `check_size`.
    - `password`: of an encrypted file.

    **Returns:** RGB in [0, 255], and the number of pages of the file.

    **Raises:** ValueError if the file or the page is damaged, if the file has no pages, if the password is missing or
    wrong, if the page has too many pixels, or if pypdfium2 is not installed.
    """
    with _opened(source, password) as document:
        try:
            from pypdfium2 import PdfiumError

            document.init_forms()
            sheet = document[page]
            scale = dpi / _POINTS
            width, height = (math.ceil(side * scale) for side in sheet.get_size())
            check_size((height, width), max_pixels, f"lower `config.predict.dpi` (={dpi})")
            # A copy, because the pixels end with the document.
            image = np.array(sheet.render(scale=scale, rev_byteorder=True).to_numpy()[..., :3])
        except PdfiumError as error:
            raise ValueError(f"page {page + 1} cannot be read; the PDF file is damaged") from error
        except ValueError as error:
            raise ValueError(f"page {page + 1} {error}") from error
        return image, len(document)


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | bytes, password: str | None) -> "Iterator[PdfDocument]":
    try:
        from pypdfium2 import PdfDocument, raw
    except ImportError as error:
        raise ValueError("a PDF file, which pypdfium2 reads: pip install 'dbnet_jax[pdf]'") from error
    secret = None if password is None else password.encode()
    with _LOCK:
        # `PdfDocument` would open it too, and would give a file without pages the error of an earlier file.
        if isinstance(source, bytes):
            handle = raw.FPDF_LoadMemDocument64(source, len(source), secret)
        else:
            handle = raw.FPDF_LoadDocument(os.fsencode(source), secret)
        if not handle:
            raise ValueError(_why(raw.FPDF_GetLastError(), password))
        with contextlib.closing(PdfDocument(handle)) as document:
            if not len(document):
                raise ValueError("has no pages")
            yield document


def _why(code: int, password: str | None) -> str:
    """Why PDFium does not open a file."""
    from pypdfium2 import raw

    if code == raw.FPDF_ERR_PASSWORD and password is None:
        return "is encrypted; `config.predict.password` takes its password"
    if code == raw.FPDF_ERR_PASSWORD:
        return "is encrypted, and `config.predict.password` is not its password"
    if code == raw.FPDF_ERR_SECURITY:
        return "is encrypted by a method that PDFium does not know; save it without encryption"
    return "the PDF file is damaged: it cannot be opened"
