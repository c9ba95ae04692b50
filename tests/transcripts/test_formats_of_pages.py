"""hOCR and ALTO by the rules of their schemas: elements in their order, attributes, boxes, identifiers."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from dbnet_jax.reader import Line, Page, Word
from dbnet_jax.transcripts.formats import as_alto, as_hocr

NAMES = ('a & b "x";\x0c<1>.jpg', "scans\\page 1.tif#2")


def word(left: float, top: float, width: float, text: str, score: float = 0.5) -> Word:
    corners = [[left, top], [left + width, top], [left + width, top + 10], [left, top + 10]]
    return Word(np.array(corners, np.float32), text, score, 0.9)


PAGES = {
    "nothing": Page([], (80, 200)),
    "odd": Page(
        [
            Line([word(10, 10, 40, 'A&<">'), word(60, 10, 400, "b\x0c", 1.0), word(70, 10, 20, "", 0.0)]),
            Line([word(-50, 40, 30, "ü"), word(0, 40.5, 9.2, "שלום")]),
        ],
        (80, 200),
    ),
}
# Of each element of ALTO 4.4 that is written: its children in their order, and its attributes, a required one with "!".
ALTO = {
    "alto": ("Description? Layout", ""),
    "Description": ("MeasurementUnit sourceImageInformation?", ""),
    "MeasurementUnit": ("", ""),
    "sourceImageInformation": ("fileName?", ""),
    "fileName": ("", ""),
    "Layout": ("Page+", ""),
    "Page": ("PrintSpace?", "ID! PHYSICAL_IMG_NR! HEIGHT WIDTH"),
    "PrintSpace": ("TextBlock*", "HPOS VPOS WIDTH HEIGHT"),
    "TextBlock": ("TextLine*", "ID! HPOS VPOS WIDTH HEIGHT"),
    "TextLine": ("(String SP?)+", "ID HPOS VPOS WIDTH HEIGHT"),
    "String": ("Shape?", "ID HPOS VPOS WIDTH HEIGHT CONTENT! WC"),
    "SP": ("", ""),
    "Shape": ("Polygon", ""),
    "Polygon": ("", "POINTS!"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_alto_follows_its_schema(page, name):
    root = ET.fromstring(as_alto(page, name).split("?>", 1)[1])
    for element in root.iter():
        kind = element.tag.removeprefix("{http://www.loc.gov/standards/alto/ns-v4#}")
        children, attributes = ALTO[kind]
        pattern = re.sub(r"(\w+)", r"(?:\1,)", children).replace(" ", "")
        found = "".join(f"{child.tag.split('}')[1]}," for child in element)
        assert re.fullmatch(pattern, found), (kind, found)
        required = {one[:-1] for one in attributes.split() if one.endswith("!")}
        assert required <= set(element.attrib) <= set(attributes.replace("!", "").split())
        for number in ("HPOS", "VPOS", "WIDTH", "HEIGHT"):
            assert float(element.get(number, 0)) >= 0
        assert 0 <= float(element.get("WC", 0)) <= 1
    ids = [element.get("ID") for element in root.iter() if element.get("ID")]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", one) for one in ids)


class Spans(HTMLParser):
    """The elements of hOCR as a browser nests them: the class, the properties, and the number of open elements."""

    def __init__(self, text: str):
        super().__init__()
        self.depth, self.found, self.capabilities = 0, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("name") == "ocr-capabilities":
            self.capabilities = values["content"]
        if tag == "meta":
            return
        if values.get("class"):
            properties = dict(one.strip().split(" ", 1) for one in values["title"].split(";"))
            self.found.append((self.depth, values["class"], properties, values["id"]))
        self.depth += 1

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        self.depth -= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_hocr_follows_its_specification(page, name):
    text = as_hocr(page, name)
    ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    spans = Spans(text)
    assert spans.depth == 0
    (depth, kind, properties, _), *inner = spans.found
    assert (kind, properties["bbox"]) == ("ocr_page", "0 0 200 80")
    assert re.fullmatch(r'"[^"]+"', properties["image"])
    assert {kind for _, kind, *_ in spans.found} <= set(spans.capabilities.split())
    assert [kind for _, kind, *_ in inner].count("ocrx_word") == len(page.words)
    around: dict[str, list[int]] = {}
    for level, kind, properties, _ in inner:
        box = list(map(int, properties["bbox"].split()))
        assert level == depth + (1 if kind == "ocr_line" else 2)
        assert 0 <= box[0] <= box[2] <= 200
        assert 0 <= box[1] <= box[3] <= 80
        if kind == "ocrx_word":
            assert 0 <= int(properties["x_wconf"]) <= 100
            outer = around["ocr_line"]
            assert outer[0] <= box[0] <= box[2] <= outer[2]
            assert outer[1] <= box[1] <= box[3] <= outer[3]
        around[kind] = box
    ids = [one for *_, one in spans.found]
    assert len(ids) == len(set(ids))
