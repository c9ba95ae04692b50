"""End-to-end scores of a detector and a recogniser: on a data set, in the report, on the page, on the command line."""

import dataclasses
import json

import cv2
import pytest
from absl.app import UsageError

from dbnet_jax.commands.options import parse
from dbnet_jax.commands.sources import load_recognizer
from dbnet_jax.evaluation.end_to_end import check_texts, with_readings
from dbnet_jax.evaluation.evaluator import Evaluator
from dbnet_jax.evaluation.reading import ReadWord
from dbnet_jax.pages.evaluation import write_report
from dbnet_jax.reader import Line, Page, Reader, Word
from dbnet_jax.recognition import Recognition, Recognizer
from dbnet_jax.tasks.detection import Detection
from input_pipeline.datasets.sample import Dataset, Sample
from tests.helpers.brightness import BrightnessDetector, quad, white_box
from tests.helpers.page import Page as HtmlPage

TEXTS = (["one", "two"], ["sale!", "###"], ["low", ""], [])


class Signs(Dataset):
    """Pictures with a white box each, and a second truth that is not in the picture. The last has no texts."""

    problems: list = []  # noqa: RUF012

    def __len__(self) -> int:
        return len(TEXTS)

    def name(self, index: int) -> str:
        return f"sign_{index}.png"

    def __getitem__(self, index: int) -> Sample:
        image = white_box((100, 150), 40, 30, 100, 60)
        truths = [quad(40, 30, 100, 60), quad(5, 70, 35, 90)]
        return Sample(self.name(index), image, truths, [False, TEXTS[index][1:] == ["###"]], TEXTS[index])


def read(image, found) -> Page:
    """Every word is "SALE"; the words come in another order than the detections."""
    words = [Word(polygon, "SALE", 0.5, 0.9) for polygon in reversed(found.polygons)]
    return Page([Line(words)] if words else [], image.shape[:2])


def test_words_are_scored_where_they_are_found_and_shown_on_the_page(tmp_path):
    detector = BrightnessDetector(resize="none")
    detector.config.data.update({"name": "icdar2015"})
    alone = Evaluator(Signs()).run(detector)
    assert "word_hmean" not in alone.summary()
    found = with_readings(alone, Signs(), read, "mine")
    # Counted: two truths, one, one (a truth without text is ignored), none; and three detections.
    assert found.reading.words == [
        [ReadWord("one", "SALE", "misread"), ReadWord("two", "", "missed")],
        [ReadWord("sale!", "SALE", "right")],
        [ReadWord("low", "SALE", "misread")],
        [],
    ]
    assert found.reading.errors == [2, 0, 1, 0]
    scores = {"word_precision": 1 / 3, "word_recall": 1 / 4, "word_hmean": 2 / 7}
    assert found.summary() == alone.summary() | {name: pytest.approx(value) for name, value in scores.items()}
    detector.config.evaluate.page_pictures = 2
    write_report(tmp_path, found, detector, Signs())
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["word_hmean"] == pytest.approx(2 / 7)
    assert written["measured_with"]["recognizer"] == "mine"
    words = HtmlPage(tmp_path / "predictions/index.html").words
    assert {"word hmean", "misread", "SALE", "two", "sign_0.png", "sign_2.png"} <= set(words)
    assert "sign_1.png" not in words


def test_pictures_and_words_are_one_row_of_a_card(tmp_path):
    """The cards of a row share the heights of three rows: a fourth part would lie on the footer."""
    detector = BrightnessDetector(resize="none")
    detector.config.data.update({"name": "icdar2015"})
    detector.config.evaluate.page_pictures = len(TEXTS)
    found = with_readings(Evaluator(Signs()).run(detector), Signs(), read, "mine")
    write_report(tmp_path, found, detector, Signs())
    assert HtmlPage(tmp_path / "predictions/index.html").children["article"] == ["header", "div", "footer"] * len(TEXTS)


def test_a_data_set_without_texts_is_refused():
    class Silent(Signs):
        def __getitem__(self, index: int) -> Sample:
            return dataclasses.replace(super().__getitem__(index), texts=["", ""])

    check_texts(Signs(), "--recognizer=mine")
    with pytest.raises(ValueError, match="--recognizer=mine needs a data set with texts"):
        check_texts(Silent(), "--recognizer=mine")


def test_the_command_line_scores_words(tmp_path, cli, monkeypatch):
    for n in range(2):
        cv2.imwrite(str(tmp_path / f"p{n}.png"), white_box((100, 150), 40, 30, 100, 60))
        (tmp_path / f"gt_p{n}.txt").write_text("40,30,100,30,100,60,40,60,Sale\n5,70,35,70,35,90,5,90,missed\n")
    monkeypatch.setattr(Detection, "predictor", lambda *_, **__: BrightnessDetector(resize="none"))
    monkeypatch.setattr(Reader, "read_words", lambda _, image, found: read(image, found))
    data = ("--config.data.name=icdar_folder", f"--config.data.dir={tmp_path}", "--config.data.eval_split=trainval")
    command = ("--mode=evaluate", "--weights=small-word", "--config=configs/own_data.py", *data)
    printed = cli(*command, "--recognizer=small-latin", f"--output={tmp_path / 'out'}")
    assert "word_precision 1.0000  word_recall 0.5000" in printed
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["word_recall"] == 0.5
    with pytest.raises(UsageError, match=r"--recognizer=small-word is refused: it is for detection"):
        cli(*command, "--recognizer=small-word")
    with pytest.raises(UsageError, match=r"--recognizer reads what a detector finds"):
        cli("--mode=evaluate", "--weights=small-latin", "--recognizer=small-latin", *command[2:])


def test_a_recogniser_is_scored_on_the_words_of_a_detectors_data_again_and_again(tmp_path, cli, monkeypatch):
    cv2.imwrite(str(tmp_path / "p.png"), white_box((100, 150), 40, 30, 100, 60))
    (tmp_path / "gt_p.txt").write_text("40,30,100,30,100,60,40,60,Sale\n")
    monkeypatch.setattr(Recognizer, "read_upright", lambda _, crops: [Recognition("SALE", 0.5) for _ in crops])
    data = ("--config.data.name=icdar_folder", f"--config.data.dir={tmp_path}", "--config.data.eval_split=trainval")
    command = ("--mode=evaluate", "--weights=small-latin", "--config=configs/own_data.py", *data)
    for _ in range(2):
        assert "accuracy 1.0000  accuracy_case_sensitive 0.0000" in cli(*command, f"--output={tmp_path / 'out'}")
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["protocol"] == "words"


def test_fields_that_a_recogniser_alone_has_are_the_recognisers(tmp_path):
    (tmp_path / "words.txt").write_text("open\nclosed\n")
    fields = (f"--config.predict.lexicon={tmp_path / 'words.txt'}", "--config.beam=3", "--config.predict.batch_size=2")
    options = parse(["read", "photo.jpg", *fields], tmp_path)
    recognizer = load_recognizer("small-latin", options)
    assert (recognizer.config.predict.beam, recognizer.config.predict.batch_size) == (3, 32)
    assert recognizer.config.predict.lexicon == str(tmp_path / "words.txt")
    assert options.fields == [("predict.batch_size", "2")]


def test_a_back_end_is_that_of_detector_and_recogniser(tmp_path):
    options = parse(["read", "photo.jpg", "--config.predict.backend=auto"], tmp_path)
    assert load_recognizer("small-latin", options).config.predict.backend == "auto"
    assert options.fields == [("predict.backend", "auto")]


def test_too_many_words_that_cannot_be_read_are_an_error(tmp_path, cli, monkeypatch):
    monkeypatch.setattr(Recognizer, "read_upright", lambda _, crops: [Recognition("SALE", 0.5) for _ in crops])
    cv2.imwrite(str(tmp_path / "a.png"), white_box((32, 60), 4, 4, 50, 20))
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "labels.txt").write_text("a.png\tSale\nb.png\tSale\n")
    data = ("--config.data.name=word_list", f"--config.data.dir={tmp_path}", "--config.data.eval_split=trainval")
    with pytest.raises(ValueError, match=r"1 of 2 words of the evaluation split cannot be read[^$]*b\.png"):
        cli("--mode=evaluate", "--weights=small-latin", "--config=configs/crnn.py", *data, f"--output={tmp_path / 'o'}")
