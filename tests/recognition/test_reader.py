"""Both stages together, and the formats of what was read."""

import threading
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dbnet_jax import reader
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.images.crops import cut_between
from dbnet_jax.pages.reading import ReadingPage
from dbnet_jax.postprocess import Detections
from dbnet_jax.reader import Line, Page, Reader, Word
from dbnet_jax.recognition import Recognition, Recognizer
from dbnet_jax.transcripts.formats import TRANSCRIPTS, as_json
from tests.helpers.brightness import BrightnessDetector, white_box


class Shades(Recognizer):
    """Reads a crop as its mean grey; a crop whose first row is darker than its last is surer."""

    def __init__(self):
        self.config = recognition_config()

    def read_upright(self, crops):
        return [
            Recognition(str(round(float(crop.mean()) / 10)), 0.9 if crop[0].mean() <= crop[-1].mean() else 0.4)
            for crop in crops
        ]


def box(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]], np.float32)


def test_words_come_in_reading_order():
    image = np.zeros((100, 300, 3), np.uint8)
    boxes = [box(150, 10, 60, 20), box(80, 12, 60, 20), box(80, 50, 60, 20)]
    for i, (left, top, *_) in enumerate((one[0, 0], one[0, 1]) for one in boxes):
        image[int(top) : int(top) + 20, int(left) : int(left) + 60] = 50 * (i + 1)
    found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32))
    page = Reader(BrightnessDetector(), Shades()).read_words(image, found)
    assert page.text == "10 5\n15"
    assert [word.detection_score for word in page.words] == pytest.approx([0.8, 0.9, 0.7])
    assert Reader(BrightnessDetector(), Shades()).read_words(image, Detections([], np.zeros(0, np.float32))).text == ""


def test_the_surer_turn_of_a_tall_word_is_taken():
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, :, :] = np.arange(100, dtype=np.uint8)[None, :, None] * 2
    found = Detections([box(40, 5, 20, 90)], np.array([0.9], np.float32))
    (word,) = Reader(BrightnessDetector(), Shades()).read_words(image, found).words
    assert word.score == 0.9


def test_words_that_are_not_read_or_hardly_are_left_out(tmp_path):
    class Given(Shades):
        def read_upright(self, crops):
            return [Recognition("a", 0.19), Recognition("b", 0.2), Recognition("", 0.9)]

    found = Detections([box(20 * i, 10, 18, 12) for i in range(3)], np.ones(3, np.float32))
    reader = Reader(BrightnessDetector(), Given())
    image = np.zeros((40, 80, 3), np.uint8)
    page = reader.read_words(image, found)
    assert (page.text, page.left_out, as_json(page)["left_out"]) == ("b", 2, 2)
    written = ReadingPage(tmp_path, "title")
    written.add("a.png", image, page)
    assert "2 hardly readable, left out" in written.close({}).read_text()
    reader.recognizer.config.predict.text_threshold = 0.0
    assert reader.read_words(image, found).text == "a b"


def test_words_of_many_pictures_are_cut_out_in_threads(monkeypatch):
    threads = set()

    def cut(*arguments):
        threads.add(threading.current_thread())
        return cut_between(*arguments)

    monkeypatch.setattr(reader, "cut_between", cut)
    pictures = [white_box((100, 200), 20 + 10 * i, 30, 100, 60) for i in range(5)]
    both = Reader(BrightnessDetector(), Shades())
    pages = list(both.read_many([*pictures[:3], b"no picture", *pictures[3:]]))
    assert isinstance(pages.pop(3), ValueError)
    for picture, found in zip(pictures, pages, strict=True):
        assert found.size == (100, 200)
        (word,) = found.words
        np.testing.assert_array_equal(word.polygon, both.detector.detect(picture).polygons[0])
    assert threads
    assert threading.main_thread() not in threads
    with pytest.raises(ValueError, match="must be several pictures"):
        list(both.read_many(pictures[0]))


@pytest.fixture
def page() -> Page:
    words = [Word(box(10, 10, 40, 10), 'A&<"', 0.5, 0.9), Word(box(60, 10, 400, 10), "b\x0c", 1.0, 0.8)]
    return Page([Line(words), Line([Word(box(-5, 40, 30, 10), "ü", 0.25, 0.7)])], (80, 200))


def test_every_format_has_every_word(page):
    made = {kind: function(page, "a & b.jpg") for kind, (_, function) in TRANSCRIPTS.items()}
    assert made["text"] == 'A&<" b\x0c\nü\n'
    assert made["tsv"].splitlines()[1] == '1\t1\t10\t10\t40\t10\t50.0\tA&<"'
    assert len(made["tsv"].splitlines()) == 4
    hocr = ET.fromstring(made["hocr"].removeprefix("<!DOCTYPE html>\n"))
    spans = [one for one in hocr.iter() if one.get("class") == "ocrx_word"]
    assert [one.text for one in spans] == ['A&<"', "b", "ü"]
    assert [one.get("title") for one in spans][1:] == ["bbox 60 10 200 20; x_wconf 100", "bbox 0 40 25 50; x_wconf 25"]
    alto = ET.fromstring(made["alto"].split("?>", 1)[1])
    strings = [one for one in alto.iter() if one.tag.endswith("}String")]
    assert [one.get("CONTENT") for one in strings] == ['A&<"', "b", "ü"]
    assert (
        strings[2].attrib.items() >= {"HPOS": "0", "VPOS": "40", "WIDTH": "25", "HEIGHT": "10", "WC": "0.250"}.items()
    )
    assert [one["text"] for line in as_json(page)["lines"] for one in line["words"]] == ['A&<"', "b\x0c", "ü"]
