"""One's own data: label files in other encodings than UTF-8, and names in other spellings than the files'."""

import json
import re
import unicodedata
import urllib.parse

import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.parsing.encodings import decode_text
from tests.helpers.own_labels import FILES, document, encode, icdar_text, names, write, write_picture
from tests.helpers.problems import said

# Of each encoding: the name of a picture, a transcription in which a second byte is 0x5C, and what the problem says.
WRITTEN = {
    "gbk": ("街道", "人民医院安全出口誠", "GB18030 (GBK)"),
    "gb18030": ("街道", "营业中", "GB18030 (GBK)"),
    "big5": ("臺北車站", "功夫蓋飯", "Big5"),
    "shift_jis": ("東京駅", "営業中ソ表", "Shift-JIS"),
    "euc_kr": ("서울역", "출구", "EUC-KR"),
}
ONE_FILE = ("paddleocr", "coco_text v2")  # of lines and of one document, which all other formats have


def label_text(kind, name, text="word"):
    """A label file of two pictures, NAME1.jpg and NAME2.jpg, with a transcription."""
    written = encode(kind, document(kind, [1] if kind == "labelme" else [1, 2])).decode()
    return re.sub(r"img_(?=\d)", name, written).replace('"word"', json.dumps(text, ensure_ascii=False))


@pytest.mark.parametrize("kind", ONE_FILE)
@pytest.mark.parametrize("encoding", WRITTEN)
def test_a_label_file_in_an_encoding_of_east_asia(kind, encoding, tmp_path):
    name, text, called = WRITTEN[encoding]
    for number in (1, 2):
        write_picture(tmp_path / f"{name}{number}.jpg")
    write(tmp_path / FILES[kind], label_text(kind, name, text).encode(encoding))
    dataset = open_dataset(kind.split()[0], tmp_path, "trainval")
    assert names(dataset) == [f"{name}1.jpg", f"{name}2.jpg"]
    assert [dataset[index].texts[0] for index in range(2)] == [text, text]
    (problem,) = said(dataset)
    assert problem.startswith(f"{FILES[kind]}: not UTF-8 (byte ")
    assert f"read as {called}" in problem


def test_the_existing_pictures_decide_about_the_encoding(tmp_path):
    # Alone, these bytes are likelier to be Korean.
    name = "出口"
    assert decode_text(name.encode("gbk"), "")[0] != name
    write_picture(tmp_path / f"{name}1.jpg")
    write(tmp_path / "train.txt", label_text("paddleocr", name).encode("gbk"))
    assert open_dataset("paddleocr", tmp_path, "trainval")[0].name == f"{name}1.jpg"


@pytest.mark.parametrize(
    ("encoding", "name", "called"),
    [("euc_jp", "写真", "EUC-JP"), ("cp1251", "вывеска", "Windows-1251"), ("cp1250", "žluť", "Windows-1250")],
)
def test_the_existing_pictures_show_another_encoding(encoding, name, called, tmp_path):
    write_picture(tmp_path / f"{name}1.jpg")
    write(tmp_path / "train.txt", label_text("paddleocr", name, name).encode(encoding))
    dataset = open_dataset("paddleocr", tmp_path, "trainval")
    assert (dataset[0].name, dataset[0].texts[0]) == (f"{name}1.jpg", name)
    assert f"read as {called}" in said(dataset)[0]


def test_lines_that_can_be_read_decide_about_the_encoding(tmp_path):
    # In all other encodings, the last byte of the text is a backslash before the quote.
    data = label_text("paddleocr", "img_", "ﾀ表").encode("cp932")
    assert "ﾀ表" not in decode_text(data, "")[0]
    write_picture(tmp_path / "img_1.jpg")
    write(tmp_path / "train.txt", data)
    assert open_dataset("paddleocr", tmp_path, "trainval")[0].texts[0] == "ﾀ表"


@pytest.mark.parametrize("encoding", WRITTEN)
def test_files_of_one_picture_in_an_encoding_of_east_asia(encoding, tmp_path):
    name, text, called = WRITTEN[encoding]
    write_picture(tmp_path / "img_1.jpg")
    write(tmp_path / "img_1.json", label_text("labelme", name, text).encode(encoding))
    write_picture(tmp_path / f"{name}.jpg")
    write(tmp_path / f"gt_{name}.txt", icdar_text().replace("word", text).encode(encoding))
    sample = open_dataset("labelme", tmp_path, "trainval")[0]
    assert sample.texts[0] == text
    assert f"img_1.json: not UTF-8 (byte 33); read as {called}" in said(sample)[0]
    sample = open_dataset("icdar_folder", tmp_path, "trainval")[1]
    assert (sample.name, sample.texts) == (f"{name}.jpg", [text, "###"])
    assert f"read as {called}" in said(sample)[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("kind", ONE_FILE)
def test_unicode_encodings_are_no_problem(kind, encoding, tmp_path):
    for number in (1, 2):
        write_picture(tmp_path / f"街道{number}.jpg")
    write(tmp_path / FILES[kind], label_text(kind, "街道", "营业中").encode(encoding))
    dataset = open_dataset(kind.split()[0], tmp_path, "trainval")
    assert (dataset[1].name, dataset[1].texts[0], said(dataset)) == ("街道2.jpg", "营业中", [])


def test_a_few_damaged_bytes_do_not_change_the_encoding():
    text, (problem,) = decode_text("café, 北京, España".encode() + b"\xc4\xe3", "a.txt")
    assert text.startswith("café, 北京, España")
    assert "such bytes are read as Latin-1" in str(problem)


@pytest.mark.parametrize("text", ["Größe, peña, forêt", "São Paulo, NÃO", "Ärzte", "É"])
def test_latin_1_stays_latin_1(text):
    assert decode_text(text.encode("latin-1"), "a.txt")[0] == text


def test_errors_name_the_encoding(tmp_path):
    # No picture is there, or the document is damaged besides.
    write(tmp_path / "train.txt", label_text("paddleocr", "停车场入口").encode("gbk"))
    with pytest.raises(
        FileNotFoundError, match=r"停车场入口1\.jpg(?s:.)*train\.txt: not UTF-8 \(byte 2\); read as GB18030"
    ):
        open_dataset("paddleocr", tmp_path, "trainval")
    write(tmp_path / "train.json", label_text("coco_text", "街道").encode("gbk")[:-9])
    with pytest.raises(ValueError, match=r"train\.json: not JSON: .*; not UTF-8 \(byte "):
        open_dataset("coco_text", tmp_path, "trainval")
    write_picture(tmp_path / "img_1.jpg")
    write(tmp_path / "img_1.json", label_text("labelme", "街道").encode("gbk")[:-9])
    with pytest.raises(BadPicture, match=r"img_1\.json: not JSON: .*; not UTF-8 \(byte "):
        open_dataset("labelme", tmp_path, "trainval", labels=".")[0]


@pytest.mark.parametrize("kind", [*ONE_FILE, "labelme", "icdar_folder"])
@pytest.mark.parametrize(
    ("spell", "spelled"),
    [("NFC", "NFD"), ("NFD", "NFC"), ("percent", "NFC"), ("percent", "NFD")],
)
def test_names_are_found_in_any_spelling(kind, spell, spelled, tmp_path):
    def write_as(form, name):
        return urllib.parse.quote(name) if form == "percent" else unicodedata.normalize(form, name)

    # A folder's name counts as well.
    folder, name = "é té" if kind in ONE_FILE else "", "간판 Café "
    for number in (1, 2):
        write_picture(tmp_path / write_as(spelled, folder) / f"{write_as(spelled, name)}{number}.jpg")
    for number in (1, 2):
        if kind == "icdar_folder":
            write(tmp_path / f"gt_{write_as(spell, name)}{number}.txt", icdar_text())
        elif kind == "labelme":
            write(tmp_path / f"{write_as(spell, name)}{number}.json", encode(kind, document(kind, [number])))
    if folder:
        write(tmp_path / FILES[kind], label_text(kind, f"{write_as(spell, folder)}/{write_as(spell, name)}"))
    dataset = open_dataset(kind.split()[0], tmp_path, "trainval")
    assert len(dataset) == 2
    assert [dataset[index].texts[0] for index in range(2)] == ["word", "word"]
    assert said(dataset) == []


def test_the_benchmarks_find_annotations_in_any_spelling(tmp_path):
    for number, name in enumerate(("Café", "간판")):
        write_picture(tmp_path / "ch4_test_images" / f"{number} {unicodedata.normalize('NFD', name)}.jpg")
        write(
            tmp_path / "Challenge4_Test_Task1_GT" / f"gt_{number} {unicodedata.normalize('NFC', name)}.txt",
            icdar_text(),
        )
    dataset = open_dataset("icdar2015", tmp_path, "test")
    assert [dataset[index].texts[0] for index in range(2)] == ["word", "word"]
    assert not any("without a picture" in problem for problem in said(dataset))


def test_a_picture_that_labelme_names_in_another_spelling(tmp_path):
    write_picture(tmp_path / unicodedata.normalize("NFD", "Café.jpg"))
    write(tmp_path / "a.json", json.dumps({**document("labelme", [1]), "imagePath": "Café.jpg"}))
    dataset = open_dataset("labelme", tmp_path, "trainval")
    assert (dataset[0].texts[0], said(dataset)) == ("word", [])


def test_a_name_comes_before_its_other_spellings(tmp_path):
    # On a file system that tells them apart, both are pictures of their own.
    for number, form in enumerate(("NFC", "NFD")):
        name = unicodedata.normalize(form, "é")
        write_picture(tmp_path / f"{name}.jpg", 60 + number)
        write(tmp_path / f"{name}.txt", icdar_text().replace("word", form))
    dataset = open_dataset("icdar_folder", tmp_path, "trainval")
    assert len(dataset) == 2
    for index in range(2):
        sample = dataset[index]
        assert sample.name == unicodedata.normalize(sample.texts[0], "é") + ".jpg"
