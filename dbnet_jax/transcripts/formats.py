"""The text of a page in the formats of readers and archives: JSON, plain text, TSV, hOCR and ALTO."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from dbnet_jax.reader import Line, Page, Word
from dbnet_jax.typing import Polygon

_ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
_XHTML = "http://www.w3.org/1999/xhtml"
Box = tuple[int, int, int, int]


def as_json(page: Page) -> dict[str, object]:
    """The page as plain values: "height" and "width" in pixels, "text", and "lines" with their "words".

    A word has "polygon" [[x, y], …], "text", "score" and "detection_score".
    """
    return {
        "height": page.size[0],
        "width": page.size[1],
        "text": page.text,
        **({"notes": list(page.notes)} if page.notes else {}),
        **({"left_out": page.left_out} if page.left_out else {}),
        "lines": [{"text": line.text, "words": [_word_json(word) for word in line.words]} for line in page.lines],
    }


def _word_json(word: Word) -> dict[str, object]:
    return {
        "polygon": [[round(float(x), 2), round(float(y), 2)] for x, y in word.polygon],
        "text": word.text,
        "score": round(word.score, 4),
        "detection_score": round(word.detection_score, 4),
    }


def as_text(page: Page, name: str = "") -> str:
    """A line of text for each line of the page."""
    return page.text + "\n" if page.lines else ""


def as_tsv(page: Page, name: str = "") -> str:
    """A row for each word: line, word, left, top, width, height in pixels, score in [0, 100] and text."""
    rows = ["line\tword\tleft\ttop\twidth\theight\tscore\ttext"]
    for i, line in enumerate(page.lines, 1):
        for j, word in enumerate(line.words, 1):
            left, top, right, bottom = _box(word.polygon, page)
            text = " ".join(word.text.split())
            rows.append(f"{i}\t{j}\t{left}\t{top}\t{right - left}\t{bottom - top}\t{100 * word.score:.1f}\t{text}")
    return "\n".join(rows) + "\n"


def as_hocr(page: Page, name: str = "") -> str:
    """hOCR 1.2 (http://kba.github.io/hocr-spec/1.2/): XHTML with a box and a confidence for each word.

    **Arguments:** `page`; `name`: of the picture.
    """
    html = ET.Element("html", {"xmlns": _XHTML, "lang": "und"})
    head = ET.SubElement(html, "head")
    name = _xml_text(name)
    ET.SubElement(head, "title").text = name
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    ET.SubElement(head, "meta", {"name": "ocr-system", "content": "dbnet_jax"})
    ET.SubElement(head, "meta", {"name": "ocr-langs", "content": "unknown"})
    ET.SubElement(head, "meta", {"name": "ocr-number-of-pages", "content": "1"})
    ET.SubElement(head, "meta", {"name": "ocr-capabilities", "content": "ocr_page ocr_line ocrx_word"})
    body = ET.SubElement(html, "body")
    height, width = page.size
    # Readers part the properties at each semicolon, also in a quoted name.
    file = name.replace('"', "%22").replace(";", "%3B")
    whole = ET.SubElement(
        body, "div", {"class": "ocr_page", "id": "page_1", "title": f'image "{file}"; bbox 0 0 {width} {height}'}
    )
    for i, line in enumerate(page.lines, 1):
        attributes = {"class": "ocr_line", "id": f"line_{i}", "title": _bbox(_box(line.polygon, page))}
        spans = ET.SubElement(whole, "span", attributes)
        for j, word in enumerate(line.words, 1):
            title = f"{_bbox(_box(word.polygon, page))}; x_wconf {round(100 * word.score)}"
            span = ET.SubElement(spans, "span", {"class": "ocrx_word", "id": f"word_{i}_{j}", "title": title})
            span.text, span.tail = _xml_text(word.text), " "
    # HTML has no empty tags but those of meta: `<span/>` would hold all that follows.
    text = ET.tostring(html, encoding="unicode", short_empty_elements=False).replace("></meta>", " />")
    return f"<!DOCTYPE html>\n{text}\n"


def as_alto(page: Page, name: str = "") -> str:
    """ALTO 4 (https://www.loc.gov/standards/alto/): words with boxes, polygons and confidences, in pixels.

    **Arguments:** `page`; `name`: of the picture.
    """
    alto = ET.Element("alto", {"xmlns": _ALTO})
    description = ET.SubElement(alto, "Description")
    ET.SubElement(description, "MeasurementUnit").text = "pixel"
    source = ET.SubElement(description, "sourceImageInformation")
    ET.SubElement(source, "fileName").text = _xml_text(name)
    height, width = page.size
    layout = ET.SubElement(alto, "Layout")
    sheet = ET.SubElement(
        layout, "Page", {"ID": "page_1", "PHYSICAL_IMG_NR": "1", "HEIGHT": str(height), "WIDTH": str(width)}
    )
    space = ET.SubElement(sheet, "PrintSpace", _alto_box((0, 0, width, height)))
    for i, line in enumerate(page.lines, 1):
        box = _alto_box(_box(line.polygon, page))
        block = ET.SubElement(space, "TextBlock", {"ID": f"block_{i}", **box})
        _alto_line(ET.SubElement(block, "TextLine", {"ID": f"line_{i}", **box}), line, page, i)
    ET.indent(alto)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(alto, encoding="unicode") + "\n"


def _alto_line(element: ET.Element, line: Line, page: Page, number: int) -> None:
    for j, word in enumerate(line.words, 1):
        if j > 1:
            ET.SubElement(element, "SP")
        attributes = {"ID": f"word_{number}_{j}", **_alto_box(_box(word.polygon, page))}
        attributes |= {"CONTENT": _xml_text(word.text), "WC": f"{min(max(word.score, 0), 1):.3f}"}
        string = ET.SubElement(element, "String", attributes)
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in word.polygon)
        ET.SubElement(ET.SubElement(string, "Shape"), "Polygon", {"POINTS": points})


def _alto_box(box: Box) -> dict[str, str]:
    left, top, right, bottom = box
    values = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    return {name: str(value) for name, value in values.items()}


def _box(polygon: Polygon, page: Page) -> Box:
    """Left, top, right and bottom, in whole pixels of the page."""
    size = np.array(page.size[::-1])
    left, top = np.clip(np.floor(polygon.min(0)), 0, size).astype(int).tolist()
    right, bottom = np.clip(np.ceil(polygon.max(0)), 0, size).astype(int).tolist()
    return left, top, right, bottom


def _bbox(box: Box) -> str:
    return f"bbox {' '.join(map(str, box))}"


def _xml_text(text: str) -> str:
    """The text without characters that XML 1.0 cannot hold."""
    return "".join(
        one
        for one in text
        if one in "\t\n\r" or " " <= one <= "\ud7ff" or (one >= "\ue000" and one not in "\ufffe\uffff")
    )


TRANSCRIPTS: dict[str, tuple[str, Callable[[Page, str], str]]] = {
    "text": (".txt", as_text),
    "tsv": (".tsv", as_tsv),
    "hocr": (".hocr", as_hocr),
    "alto": (".alto.xml", as_alto),
}
"""The formats with a file for each picture: the ending of its name, and how it is made."""
