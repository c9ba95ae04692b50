"""Tests of what a scene says and how it is set: words, scripts, fonts, lines, columns."""

import itertools
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.rendered.scenes import vocabulary
from input_pipeline.datasets.rendered.scenes.block import set_column, set_lines
from input_pipeline.datasets.rendered.scenes.fonts import BUILTIN, Font, _is_whole, find_fonts, pick_font
from input_pipeline.datasets.rendered.scenes.vocabulary import (
    SCRIPTS,
    UNSPACED,
    pick_character,
    pick_script,
    pick_words,
    script_of,
)

LINES = [["Álgypj", "of"], ["(Qyj)", "ÄÉ", "fig"], ["W"]]


def fonts():
    """Plain, slanted, spaced, narrow; and one of the machine's, if it has any."""
    faces = [Font(), Font("italic", 900), Font("uni", tracking=0.3), Font("sans", 200, tracking=0.1)]
    return faces + [Font(face, 0) for face in find_fonts()[len(BUILTIN) : len(BUILTIN) + 1]]


def draw(text, face="uni"):
    picture = np.zeros((64, 80), np.uint8)
    Font(face).write(picture, text, 16, 44, 32)
    return picture


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_character_can_be_written(script):
    rng = np.random.default_rng(0)
    texts = [word for _ in range(300) for word in pick_words(rng, script, 3)]
    # What a face lacks comes from OpenCV's Unicode font; what that lacks would be a question mark.
    unknown = draw("?").tobytes()
    assert np.array_equal(draw("\u0378"), draw("?"))
    for character in sorted(set("".join(texts)) - {"?"}):
        picture = draw(character)
        assert picture.any(), character
        assert picture.tobytes() != unknown, character


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_are_as_many_as_asked_for_and_varied(script):
    rng = np.random.default_rng(1)
    lines = [pick_words(rng, script, count) for count in (1, 2, 5) for _ in range(60)]
    expected = [1 if script in UNSPACED else count for count in (1, 2, 5) for _ in range(60)]
    assert [len(line) for line in lines] == expected
    words = [word for line in lines for word in line]
    assert all(word and not set(word) & set(" \n") for word in words)
    assert all(any(character.isalnum() or character == "&" for character in word) for word in words)
    assert len(set(words)) > 0.5 * len(words)


@pytest.mark.parametrize("letter", "01IlОΟΙ口ㅇロノくしヘへ")
def test_a_single_character_is_no_stroke_and_no_ring(letter, monkeypatch):
    monkeypatch.setattr(vocabulary, "pick_words", lambda *_: [f"-{letter}{letter}A"])
    found = {pick_character(np.random.default_rng(seed), "Latin") for seed in range(8)}
    assert "A" in found
    assert letter not in found


@pytest.mark.parametrize(
    ("text", "script"),
    [
        *(("Café 12", "Latin"), ("12:30", "Latin"), ("", "Latin"), ("ＡＢ", "Latin"), ("中文 A", "Chinese")),
        *(
            ("お茶と和菓子屋", "Japanese"),
            ("ｶﾅ", "Japanese"),
            ("한글", "Korean"),
            ("Ωμέγα", "Greek"),
            ("Жук", "Cyrillic"),
        ),
        *(("שלום", "Hebrew"), ("سلام 12", "Arabic")),
    ],
)
def test_the_script_of_a_text_is_that_of_most_letters(text, script):
    assert script_of(text) == script


def test_scripts_numbers_case_and_punctuation_come_up():
    rng = np.random.default_rng(2)
    assert {pick_script(rng) for _ in range(400)} == set(SCRIPTS)
    words = [word for _ in range(800) for word in pick_words(rng, "Latin", 2)]
    for test in (str.isdigit, str.islower, str.isupper, str.istitle):
        assert any(map(test, words))
    assert any(not word.isalnum() for word in words)
    assert any("@" in word for word in words)
    assert any(not word.isascii() for word in words)


@pytest.mark.parametrize("font", fonts(), ids=lambda font: pathlib.Path(font.face).name)
def test_boxes_hold_the_ink_in_order_and_do_not_meet(font):
    for leading, space in ((1.05, 0.0), (1.6, 0.6)):
        block = set_lines(LINES, font, 40, align=0.5, leading=leading, space=space)
        assert [line.words for line in block.lines] == LINES
        free = block.letters.copy()
        for line in block.lines:
            for (_, _, right, _), (left, _, _, _) in itertools.pairwise(line.boxes):
                assert right < left
            for left, top, right, bottom in line.boxes:
                inside = block.letters[round(top) : round(bottom), round(left) : round(right)]
                # The ink reaches every side, but for the margin.
                x, y, width, height = cv2.boundingRect((inside >= 64).astype(np.uint8))
                assert max(x, y, inside.shape[1] - x - width, inside.shape[0] - y - height) <= 4
                free[round(top) : round(bottom), round(left) : round(right)] = 0
        assert free.max() < 64
        for above, below in itertools.pairwise(block.lines):
            assert above.box[3] <= below.box[1]


def test_a_line_is_around_its_words():
    line = set_lines([["one", "two", "three"]], Font(), 30).lines[0]
    assert line.text == "one two three"
    assert line.box[0] == line.boxes[0][0]
    assert line.box[2] == line.boxes[-1][2]
    assert line.box[3] - line.box[1] >= max(box[3] - box[1] for box in line.boxes)


def test_lines_are_aligned():
    words = [["a", "much", "longer", "line"], ["short"]]
    for align, side in ((0.0, 0), (1.0, 2)):
        block = set_lines(words, Font(), 40, align=align)
        assert abs(block.lines[0].box[side] - block.lines[1].box[side]) < 5
    middles = [(line.box[0] + line.box[2]) / 2 for line in set_lines(words, Font(), 40, align=0.5).lines]
    assert abs(middles[0] - middles[1]) < 5


def test_a_column_is_one_word_that_runs_down():
    block = set_column("Tower", Font(), 30)
    assert [line.words for line in block.lines] == [["Tower"]]
    height, width = block.letters.shape
    assert block.lines[0].box == (0.0, 0.0, width, height)
    assert height > 3 * width


@pytest.mark.parametrize("text", ["T", "Tower", "TOWERHOUSES."])
def test_a_column_is_as_high_as_its_letters_not_as_long_as_it_is(text):
    letter = set_lines([["T"]], Font(), 30)
    assert set_column(text, Font(), 30).line_height == pytest.approx(letter.line_height, abs=2)


def test_text_without_ink_gives_no_block():
    assert set_lines([[" "]], Font(), 30) is None
    assert set_column("  ", Font(), 30) is None


def test_builtin_fonts_alone():
    assert find_fonts("builtin") == BUILTIN
    assert {pick_font(np.random.default_rng(i), BUILTIN).face for i in range(40)} == set(BUILTIN)


@pytest.fixture(scope="module")
def good():
    """A font of the machine."""
    faces = find_fonts()[len(BUILTIN) :]
    if not faces:
        pytest.skip("needs a font on the machine")
    return pathlib.Path(faces[0])


def test_a_folder_of_fonts_is_read_without_what_is_no_font(tmp_path, good):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "folder.ttf").mkdir()
    (tmp_path / "text.txt").write_text("no font either")
    (tmp_path / "deeper").mkdir()
    shutil.copy(good, tmp_path / "deeper" / "good.TTF")
    shutil.copy(good, tmp_path / "symbols.ttf")
    assert find_fonts(str(tmp_path)) == (*BUILTIN, str(tmp_path / "deeper/good.TTF"))


def test_a_font_file_that_is_cut_short_never_comes_to_opencv(tmp_path, good, monkeypatch):
    monkeypatch.setattr(cv2, "FontFace", lambda face: pytest.fail(f"{face} was opened"))
    font = good.read_bytes()
    tables = np.frombuffer(font, ">u4", 4 * int.from_bytes(font[4:6], "big"), 12).reshape(-1, 4)
    last = tables[:, 2:].sum(1, dtype=np.int64).max()
    for length in (0, 3, 4, 11, 12, 20, 100, len(font) // 3, int(0.9 * len(font)), last - 1):
        cut = tmp_path / f"{length}.ttf"
        cut.write_bytes(font[:length])
        with pytest.raises(ValueError, match="whole font file"):
            Font(str(cut)).write(np.zeros((64, 64), np.uint8), "a", 9, 48, 32)
    with pytest.raises(FileNotFoundError, match="holds fonts"):
        find_fonts(str(tmp_path))


def test_a_font_that_opencv_has_no_memory_for_is_left_out(tmp_path, good, monkeypatch):
    def fail(face):
        raise SystemError("returned a result with an exception set")

    shutil.copy(good, tmp_path / "large.ttf")
    monkeypatch.setattr(cv2, "FontFace", fail)
    with pytest.raises(FileNotFoundError, match="holds fonts"):
        find_fonts(str(tmp_path))


@pytest.mark.parametrize("head", [b"OTTO", b"true", b"\0\1\0\0", b"ttcf" + b"\0\2\0\0" + b"\0\0\0\1" + b"\0\0\0\x14"])
@pytest.mark.parametrize(("length", "expected"), [(100, True), (101, False)])
def test_a_font_is_whole_when_its_last_table_is(tmp_path, head, length, expected):
    file, start = tmp_path / "font.ttf", 0
    if head.startswith(b"ttcf"):
        head, start = head + b"\0" * 4 + b"OTTO", 20
    table = b"glyf" + bytes(4) + (start + 28).to_bytes(4, "big") + length.to_bytes(4, "big")
    file.write_bytes(head + b"\0\1" + bytes(6) + table + bytes(100))
    assert _is_whole(file) == expected


def test_fonts_of_one_name_are_all_used_and_copies_once(tmp_path):
    files = [pathlib.Path(file) for file in find_fonts()[len(BUILTIN) :]][:2]
    if len(files) < 2:
        pytest.skip("needs two fonts on the machine")
    for folder, file in zip(("Lato", "Other", "Third"), (*files, files[0]), strict=True):
        (tmp_path / folder).mkdir()
        shutil.copy(file, tmp_path / folder / "Regular.ttf")
    shutil.copy(files[0], tmp_path / "Bold.ttf")
    expected = ["Bold.ttf", "Lato/Regular.ttf", "Other/Regular.ttf"]
    assert find_fonts(str(tmp_path)) == (*BUILTIN, *(str(tmp_path / name) for name in expected))


def test_a_broken_font_does_not_displace_a_good_one_of_its_name(tmp_path, good):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Regular.ttf").write_bytes(good.read_bytes() if folder == "b" else b"no font")
    assert find_fonts(str(tmp_path)) == (*BUILTIN, str(tmp_path / "b/Regular.ttf"))


def test_a_folder_of_fonts_may_lie_in_the_home_folder(tmp_path, good, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    shutil.copy(good, tmp_path / "mine")
    assert find_fonts("~/mine") == (*BUILTIN, str(tmp_path / "mine" / good.name))


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_that_is_missing_or_without_a_font_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"config\.data\.fonts.*{name}"):
        find_fonts(str(tmp_path / name))
