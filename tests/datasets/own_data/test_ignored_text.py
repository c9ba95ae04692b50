"""Ignored text: one definition for every format and for scores, wherever the mark stands."""

import json

import pytest

from dbnet_jax.evaluation.submissions.formats import find_truth_form, parse_truth
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder
from input_pipeline.datasets.own_data.labelme import LabelMe
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.datasets.parsing.annotations import is_ignored_text
from input_pipeline.datasets.parsing.json_values import as_flag, is_marked_ignored
from tests.helpers.own_labels import FILES, FLAT_WORD, WORD, document, encode, make, write, write_picture
from tests.helpers.problems import said

QUAD = ",".join(map(str, FLAT_WORD))
MARKS = (
    "###",
    ' "###" ',
    "'###'",
    "“###”",
    "「###」",
    "#######",
    "＃＃＃",
    "＂＃＃＃＂",
    "***",
    "＊＊＊",
    "__ignore__",
    '"__IGNORE__"',
)
TEXTS = ("", "#", "##", "*", "**", "#1", "###a", "a ###", "C###", "ignore", "Tea, ###", "★★★", "- - -")


def test_what_is_a_mark_of_ignored_text():
    assert [text for text in MARKS if not is_ignored_text(text)] == []
    assert [text for text in TEXTS if is_ignored_text(text)] == []


def rows(*texts):
    return "\n".join(f"{QUAD},{text}" for text in texts)


@pytest.mark.parametrize(
    ("texts", "read", "ignored"),
    [
        # MLT: a script before the transcription. Where only some rows have one, it is a text with a comma.
        (["Latin,HELLO", "None,###", 'Korean,"###"', "Arabic,a, b"], ["HELLO", "###", '"###"', "a, b"], "0110"),
        (["HINDI,x", '"Latin",＃＃＃', "Devanagari,"], ["x", "＃＃＃", ""], "010"),
        (["Latin,HELLO", "HELLO", "a, b", "Latin,###", "###,Latin"], None, "00011"),
        (["Latin", "###", "Symbols"], None, "010"),
        # Another column: it is not known what it is.
        (["word,HELLO", "word,###", "word,b"], None, "010"),
        (["0,HELLO", '1,"###"', "0,b", "0,＃＃＃"], None, "0101"),
        (["a,HELLO", "b,###", "c,d"], None, "000"),
        # SCUT-CTW1500: four hashes before the transcription; without one, there is nothing behind them.
        (
            ["####HELLO", "#######", "####", "####＃＃＃", "####Tea, 9, ####"],
            ["HELLO", "###", "", "＃＃＃", "Tea, 9, ####"],
            "01010",
        ),
        (["HELLO", "####", "#######", "Tea, 9, ####"], None, "0110"),
        (["#######", "####"], None, "11"),
    ],
)
def test_what_stands_before_the_transcription_is_decided_by_the_set(tmp_path, texts, read, ignored):
    expected = [flag == "1" for flag in ignored]
    # A picture a row: no file alone says what the set is.
    for number, text in enumerate(texts):
        write_picture(tmp_path / f"{number}.jpg")
        write(tmp_path / f"gt_{number}.txt", rows(text))
    dataset = IcdarFolder(tmp_path, "trainval")
    samples = [dataset[index] for index in range(len(texts))]
    assert [sample.ignore for sample in samples] == [[flag] for flag in expected]
    assert [sample.texts for sample in samples] == [[text] for text in read or texts]
    # Scores are by the same rule.
    contents = {f"gt_{number}.txt": rows(text).encode() for number, text in enumerate(texts)}
    form = find_truth_form(contents)
    truths = [parse_truth(data, file, form) for file, data in contents.items()]
    assert [truth.ignore for truth in truths] == [[flag] for flag in expected]
    assert parse_truth(rows(*texts).encode(), "gt_a.txt").ignore == expected


def test_polygons_of_any_length_before_four_hashes(tmp_path):
    five, seven = "10,10,30,10,40,15,30,20,10,20", "10,10,20,9,30,10,40,15,30,20,20,21,10,20"
    text = f"{five},#######\n{seven},####Suite 3, 12\n{five},####2016"
    write_picture(tmp_path / "1.jpg")
    write(tmp_path / "1.txt", text)
    sample, truth = IcdarFolder(tmp_path, "trainval")[0], parse_truth(text.encode(), "gt_1.txt")
    assert sample.texts == ["###", "Suite 3, 12", "2016"]
    for found in (sample, truth):
        assert found.ignore == [True, False, False]
        assert [len(polygon) for polygon in found.polygons] == [5, 7, 5]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["Latin,a", "None,###"], "a script ('Latin', 'None') stands before the transcription of each row"),
        (
            ["word,a", "word,b", "word,c"],
            "nearly all transcriptions begin with one of a few words and a comma ('word')",
        ),
        (["a", "b, c", "Latin,d"], ""),
        (["a, b", "c, d"], ""),
    ],
)
def test_a_column_beside_the_transcription_is_listed(tmp_path, texts, problem):
    write_picture(tmp_path / "1.jpg")
    write(tmp_path / "1.txt", rows(*texts))
    # Lists of pictures and the like are no labels of the set.
    write(tmp_path / "readme.txt", "of no picture, and long\n" * 50)
    found = said(IcdarFolder(tmp_path, "trainval"))
    assert found[-1] == "readme.txt: there is no picture of it"
    assert [line.partition(problem or "-")[0] for line in found[:-1]] == [""] * bool(problem)


def test_the_twin_of_the_label_is_listed(tmp_path):
    make("labelme", tmp_path, [1, 2])
    for number, texts in ((1, ("HELLO", "###")), (2, ("WORLD", ""))):
        content = document("labelme", [number])
        content["shapes"] = [{"label": "text", "points": WORD, "description": text} for text in texts]
        write(tmp_path / f"train/img_{number}.json", encode("labelme", content))
    dataset = LabelMe(tmp_path, "trainval")
    assert said(dataset)[0].startswith("the label of every shape is 'text', and `description` differs")
    assert [dataset[index].ignore for index in range(2)] == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("row", "ignored"),
    [
        ({"label": "text", "description": "###"}, True),
        ({"label": "__ignore__"}, True),
        ({"text": "a", "attributes": {"caption": "＃＃＃"}}, True),
        ({"text": "a", "attributes": {"ignore": True}}, True),
        ({"text": "a", "attributes": {"difficult": "very", "illegible": "yes"}}, True),
        ({"text": "a", "attributes": {"difficult": "very"}}, False),
        ({"text": "a", "difficult": "handwriting"}, False),
        ({"text": "a", "attributes": [1], "flags": None}, False),
        ({"text": "a", "flags": {"ignore": "true"}}, True),
        ({"text": "a", "flags": {"ignore": False}, "difficult": "false", "iscrowd": 0}, False),
        ({"text": "a", "difficult": "True"}, True),
        ({"text": "a", "illegible": 1}, True),
        ({"text": "a", "attributes": {"legibility": "illegible"}}, True),
        ({"text": "a", "attributes": {"legibility": "legible"}}, False),
    ],
)
def test_marks_in_the_fields_of_an_instance(row, ignored):
    assert is_marked_ignored(row) == ignored


OUTLINES = {"points", "polygon", "segmentation", "mask", "vertices", "shape_attributes", "original_width"}


def marked(value, mark):
    """A document with a mark on each of its instances, which have an outline."""
    if isinstance(value, list):
        return [marked(one, mark) for one in value]
    if not isinstance(value, dict):
        return value
    outlined = OUTLINES & value.keys()
    return {key: marked(one, mark) for key, one in value.items()} | (mark if outlined else {})


@pytest.mark.parametrize("mark", [{"difficult": "true"}, {"attributes": {"caption": "###"}}])
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind not in ("icdar_folder", "pascal_voc")])
def test_every_format_has_one_definition(kind, mark, tmp_path):
    make(kind, tmp_path, [1])
    file = tmp_path / FILES[kind]
    write(file, encode(kind, marked(document(kind, [1]), mark)))
    assert open_dataset(kind.split()[0], tmp_path, "trainval")[0].ignore == [True, True]


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *((value, True) for value in (True, 1, 1.0, "true", " Yes ", "1", "Y")),
        *((value, False) for value in (False, 0, None, "false", "No", "0", "", "n")),
    ],
)
def test_flags_in_words(value, flag):
    assert as_flag(value, "difficult") is flag


@pytest.mark.parametrize("value", [2, "2", "maybe", [], {}])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(ValueError, match=r"`difficult` .* must be true or false"):
        as_flag(value, "difficult")


PIXEL = [[0, 0], [1, 0], [1, 1], [0, 1]]
SHARES = [[0.125, 0.25], [0.5, 0.25], [0.5, 0.75], [0.125, 0.75]]


@pytest.mark.parametrize(
    ("instances", "ignored"),
    [
        ([("###", PIXEL)], [True]),
        ([("###", PIXEL), ("word", WORD)], [True, False]),
        ([("###", [[0, 0]] * 4)], []),
        ([("###", [[5, 5], [9, 5], [9, 5], [5, 5]]), ("word", WORD)], [False]),
        # What shows that the other lines are in another unit is no stand-in, and nor is text that counts.
        ([("###", SHARES)], None),
        ([("###", PIXEL), ("word", SHARES)], None),
        ([("word", PIXEL)], None),
    ],
)
def test_stand_ins_for_no_text(tmp_path, instances, ignored):
    make("paddleocr", tmp_path, [1])
    content = json.dumps([{"transcription": text, "points": points} for text, points in instances])
    write(tmp_path / "train.txt", f"img_1.jpg\t{content}")
    dataset = PaddleOcr(tmp_path, "trainval")
    if ignored is None:
        with pytest.raises(BadPicture, match="between 0 and 1"):
            dataset[0]
    else:
        assert dataset[0].ignore == ignored
