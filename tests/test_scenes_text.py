"""Tests of what a scene says and how it is set: words, scripts, fonts, lines, columns."""

import itertools
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.scenes.block import set_column, set_lines
from input_pipeline.datasets.scenes.fonts import BUILTIN, Font, find_fonts, pick_font
from input_pipeline.datasets.scenes.vocabulary import SCRIPTS, UNSPACED, pick_script, pick_words

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


def test_scripts_numbers_case_and_punctuation_come_up():
    rng = np.random.default_rng(2)
    assert {pick_script(rng) for _ in range(400)} == set(SCRIPTS)
    words = [word for _ in range(800) for word in pick_words(rng, "Latin", 2)]
    for test in (
        str.isdigit,
        str.islower,
        str.isupper,
        str.istitle,
        lambda word: not word.isalnum(),
        lambda word: "@" in word,
    ):
        assert any(map(test, words))
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


def test_text_without_ink_gives_no_block():
    assert set_lines([[" "]], Font(), 30) is None
    assert set_column("  ", Font(), 30) is None


def test_builtin_fonts_alone():
    assert find_fonts("builtin") == BUILTIN
    assert {pick_font(np.random.default_rng(i), BUILTIN).face for i in range(40)} == set(BUILTIN)


def test_a_folder_of_fonts_is_read_without_what_is_no_font(tmp_path):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "text.txt").write_text("no font either")
    assert find_fonts(str(tmp_path)) == BUILTIN
    system = find_fonts()[len(BUILTIN) :]
    if not system:
        pytest.skip("needs a font on the machine")
    shutil.copy(system[0], tmp_path / "deeper" / "good.TTF")
    shutil.copy(system[0], tmp_path / "symbols.ttf")
    find_fonts.cache_clear()
    assert find_fonts(str(tmp_path)) == (*BUILTIN, str(tmp_path / "deeper/good.TTF"))


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.data\.fonts.*nothing"):
        find_fonts(str(tmp_path / "nothing"))
