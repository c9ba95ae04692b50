"""The readers of CTW1500, MLT 2017, HUST-TR400 and of Total-Text's MATLAB labels, on layouts made here."""

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from test_readers import WORD, write, write_picture

from dbnet_jax.decode import BadPicture
from input_pipeline.datasets import BENCHMARKS, open_dataset
from input_pipeline.datasets.annotations import as_polygon, make_sample
from input_pipeline.datasets.ctw1500 import Ctw1500
from input_pipeline.datasets.hust_tr400 import HustTr400
from input_pipeline.datasets.icdar2015 import Icdar2015
from input_pipeline.datasets.mlt2017 import Mlt2017
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.total_text import TotalText

SQUARE = [[10, 10], [30, 10], [30, 20], [10, 20]]
# Fourteen points along the upper and back along the lower edge of a box from (10, 10) to (22, 15).
CURVE = [(2 * i, 0) for i in range(7)] + [(12 - 2 * i, 5) for i in range(7)]
OFFSETS = ",".join(f"{x},{y}" for x, y in CURVE)
ABSOLUTE = ",".join(f"{x + 10},{y + 10}" for x, y in CURVE)
FIRST = f"10,10,22,15,{OFFSETS}"
BOX = "<box height='5' left='10' top='10' width='12'><label>{}</label><segs>{}</segs><pts x='1' y='2' /></box>\n"


def names(dataset):
    return [dataset.name(index) for index in range(len(dataset))]


def xml(*boxes):
    return f"<Annotations>\n<image file='0001.jpg'>\n{''.join(boxes)}</image>\n</Annotations>\n"


# What the base class does


def test_place_of_a_picture_among_the_splits(tmp_path):
    for number in range(1, 24):
        write_picture(tmp_path / f"ch4_training_images/img_{number}.jpg")
        write(tmp_path / f"ch4_training_localization_transcription_gt/gt_img_{number}.txt", WORD)
    check_places(Icdar2015, tmp_path, 23)
    assert Icdar2015(tmp_path, "train").place(2) == ("train", 2)
    with pytest.raises(IndexError):
        Icdar2015(tmp_path, "trainval").place(23)


def check_places(reader, folder, count):
    whole = reader(folder, "trainval")
    assert len(whole) == count
    splits = {split: reader(folder, split) for split in {whole.place(index)[0] for index in range(count)}}
    found = [whole.place(index) for index in range(count)]
    assert sorted(found) == sorted((split, i) for split, part in splits.items() for i in range(len(part)))
    for index, (split, position) in enumerate(found):
        assert whole.name(index).removeprefix(f"{split}_") == splits[split].name(position)
        assert whole.picture(index) == splits[split].picture(position)


def test_scripts_describe_the_instances():
    polygon, image = as_polygon([0, 9, 9], [0, 0, 9]), np.zeros((10, 10, 3), np.uint8)
    assert Sample("a", image, [polygon], [False], scripts=["Latin"]).texts == []
    with pytest.raises(ValueError, match=r"`scripts` \(2\) of a must describe the same instances"):
        Sample("a", image, [polygon], [False], scripts=["Latin", "Latin"])


def test_labels_in_utf_16_are_read():
    text = f"{WORD},Söhne\r\n{WORD},二"
    for encoding in ("utf-16", "utf-8-sig"):
        annotation = Icdar2015.parse(text.encode(encoding), "gt_img_1.txt")
        assert (annotation.texts, annotation.problems) == (["Söhne", "二"], [])
    big_endian = Icdar2015.parse(b"\xfe\xff" + text.encode("utf-16-be"), "gt_img_1.txt")
    assert big_endian.texts == ["Söhne", "二"]


# CTW1500


def test_ctw1500_second_release(tmp_path):
    for number in (1, 2, 10):
        write_picture(tmp_path / f"train_images/{number:04}.jpg")
        write(tmp_path / f"ctw1500_train_labels/{number:04}.xml", xml(BOX.format(f"no {number}", ABSOLUTE)))
    write_picture(tmp_path / "test_images/1001.jpg")
    write(tmp_path / "gt_ctw1500/0001001.txt", f"\ufeff{WORD},####Tea, 9, ####\r\n{ABSOLUTE},#######\r\n")
    train = Ctw1500(tmp_path, "trainval")
    assert isinstance(train, Dataset)
    assert names(train) == ["0001.jpg", "0002.jpg", "0010.jpg"]
    assert train[2].texts == ["no 10"]
    np.testing.assert_array_equal(train[2].polygons[0], np.array(CURVE) + 10)
    assert train.problems == ["3 train pictures where the release has 1000"]
    test = Ctw1500(tmp_path, "test")
    assert test[0].texts == ["Tea, 9, ####", "###"]
    assert test[0].ignore == [False, True]
    assert [len(polygon) for polygon in test[0].polygons] == [4, 14]
    assert test[0].problems == []
    check_places(Ctw1500, tmp_path, 3)


def test_ctw1500_first_release(tmp_path):
    for part, number in (("train", "0001"), ("train", "0002"), ("test", "1001")):
        write_picture(tmp_path / f"{part}/text_image/{number}.jpg")
        write(tmp_path / f"{part}/text_label_curve/{number}.txt", f"{FIRST}\r\n{FIRST},\r\n")
    for split, count in (("trainval", 2), ("test", 1)):
        dataset = Ctw1500(tmp_path, split)
        assert len(dataset) == count
        sample = dataset[0]
        assert (sample.ignore, sample.texts, sample.problems) == ([False] * 2, [""] * 2, [])
        for polygon in sample.polygons:
            np.testing.assert_array_equal(polygon, np.array(CURVE) + 10)
    # Where the second release is there as well, its labels are read.
    write(tmp_path / "ctw1500_train_labels/0001.xml", xml(BOX.format("second", ABSOLUTE)))
    dataset = Ctw1500(tmp_path, "trainval")
    assert dataset[0].texts == ["second"]
    assert dataset.problems == ["2 train pictures where the release has 1000"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (FIRST[:-2], "31 numbers where 32 are needed"),
        (f"{FIRST},7", "33 fields where 32, or #### and a transcription, are needed"),
        (WORD, "8 numbers where 32 are needed"),
        (f"{WORD},7,####a", "9 numbers before #### where pairs are needed"),
        ("1,2,3,4,####a", "2 points where at least 3 are needed"),
        (f"{WORD},x,y,####a", "8 numbers where 10 are needed"),
        (FIRST.replace("10,10", "10,nan", 1), "'nan' is not a finite number"),
        ("####a", "0 numbers where 32 are needed"),
    ],
)
def test_ctw1500_bad_lines(line, reason):
    annotation = Ctw1500.parse(f"{FIRST}\n{line}\n{WORD},####b".encode(), "1001.txt")
    assert annotation.texts == ["", "b"]
    (problem,) = annotation.problems
    assert problem.startswith(f"1001.txt:2: {reason}: ")


def test_ctw1500_xml_quirks():
    data = (
        "\ufeff<?xml version='1.0' encoding='gb2312'?>\r\n<Annotations>\n<image file='a'><!-- a, b -->\n"
        + BOX.format("Tom &amp; <![CDATA[<Söhne>]]>, ####", f" {ABSOLUTE}\n")
        + BOX.format("###", ABSOLUTE)
        + BOX.format("few", "1,2,3,4")
        + "<box><label>none</label></box>\n"
        + BOX.format("", ABSOLUTE)
        + "</image></Annotations>"
    )
    annotation = Ctw1500.parse(data.encode(), "0001.xml")
    assert annotation.texts == ["Tom & <Söhne>, ####", "###", ""]
    assert annotation.ignore == [False, True, False]
    assert [problem.split(": ")[:2] for problem in annotation.problems] == [
        ["0001.xml:7", "2 points where at least 3 are needed"],
        ["0001.xml:8", "1 numbers before #### where pairs are needed"],
    ]


def test_ctw1500_damaged_xml_is_a_bad_sample():
    data = xml(BOX.format("a", ABSOLUTE))
    for broken, reason in (
        (data[:-20], "0001.xml: damaged XML: unclosed token: line 4"),
        (data.replace("</box>", ""), "0001.xml: damaged XML: mismatched tag: line 4"),
        ("<", "0001.xml: damaged XML"),
    ):
        with pytest.raises(BadPicture, match=reason):
            Ctw1500.parse(broken.encode(), "0001.xml")


def test_ctw1500_xml_bombs_are_refused():
    levels = "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 20}'>" for i in range(1, 12))
    bomb = f"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e0 'ha'>{levels}]>{xml(BOX.format('&e11;', ABSOLUTE))}"
    outside = f"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{xml(BOX.format('&e;', ABSOLUTE))}"
    for data in (bomb.encode(), outside.encode()):
        with pytest.raises(BadPicture, match="declares a document type"):
            Ctw1500.parse(data, "0001.xml")
    # No encoding hides the declaration: what a document says of its own is not believed.
    with pytest.raises(BadPicture, match="declares a document type"):
        Ctw1500.parse(bomb.encode("utf-16"), "0001.xml")
    with pytest.raises(BadPicture, match="damaged XML"):
        Ctw1500.parse(b"<?xml version='1.0' encoding='cp037'?>" + bomb.encode("cp037"), "0001.xml")


# MLT 2017


def make_mlt2017(folder):
    for part, number, script in (
        (1, 1, "Latin"),
        (1, 2, "Arabic"),
        (3, 7, "Chinese"),
        ("", 11, "Korean"),
    ):
        images = f"ch8_training_images_{part}" if part else "ch8_training_images"
        write_picture(folder / images / f"img_{number}.{'png' if number == 7 else 'jpg'}", height=50 + number)
        write(
            folder / f"ch8_training_localization_transcription_gt_v2/gt_img_{number}.txt",
            f"\ufeff{WORD},{script},a, b\r\n",
        )
    for number in (1, 2):
        write_picture(folder / f"ch8_validation_images/img_{number}.jpg", height=70 + number)
        write(folder / f"ch8_validation_localization_transcription_gt_v2/gt_img_{number}.txt", f"{WORD},None,###\n")
    return folder


def test_mlt2017_layout(tmp_path):
    make_mlt2017(tmp_path)
    train = Mlt2017(tmp_path, "train")
    assert names(train) == ["img_1.jpg", "img_2.jpg", "img_7.png", "img_11.jpg"]
    assert [train[index].scripts for index in range(4)] == [["Latin"], ["Arabic"], ["Chinese"], ["Korean"]]
    assert train[0].texts == ["a, b"]
    assert train.problems == ["4 train pictures where the release has 7200"]
    validation = Mlt2017(tmp_path, "validation")
    assert names(validation) == ["img_1.jpg", "img_2.jpg"]
    assert (validation[0].ignore, validation[0].scripts) == ([True], ["None"])
    assert validation.problems == ["2 validation pictures where the release has 1800"]


def test_mlt2017_trainval_is_both_sets_under_names_of_their_own(tmp_path):
    make_mlt2017(tmp_path)
    whole = Mlt2017(tmp_path, "trainval")
    assert names(whole) == [
        *("train_img_1.jpg", "train_img_2.jpg", "train_img_7.png", "train_img_11.jpg"),
        *("validation_img_1.jpg", "validation_img_2.jpg"),
    ]
    assert [whole[index].image.shape[0] for index in range(6)] == [51, 52, 57, 61, 71, 72]
    assert whole.problems == [
        "4 train pictures where the release has 7200",
        "2 validation pictures where the release has 1800",
    ]
    check_places(Mlt2017, tmp_path, 6)
    (tmp_path / "ch8_validation_localization_transcription_gt_v2/gt_img_2.txt").write_text("1,2,3")
    (problem,) = Mlt2017(tmp_path, "trainval")[5].problems
    assert problem.startswith("validation_gt_img_2.txt:1: 3 numbers where 8 are needed")
    (tmp_path / "ch8_validation_localization_transcription_gt_v2/gt_img_2.txt").unlink()
    with pytest.raises(BadPicture, match=r"validation_img_2\.jpg: has no annotation file gt_img_2\.txt"):
        Mlt2017(tmp_path, "trainval")[5]


def test_mlt2017_has_no_public_test_labels(tmp_path):
    make_mlt2017(tmp_path)
    with pytest.raises(FileNotFoundError, match="ICDAR 2017 MLT has no split 'test': its labels are not public"):
        open_dataset("mlt2017", tmp_path, "test")


def test_mlt2017_lines():
    lines = (
        f'\ufeff{WORD},Latin,Tea, "9", ####',
        f"{WORD}, Arabic ,###",
        f"{WORD},Klingon,a",
        f"{WORD},Latin",
        WORD,
        "1,2,3,4,5,6,7,Latin,a",
    )
    annotation = Mlt2017.parse("\r\n".join(lines).encode(), "gt_img_1.txt")
    assert annotation.texts == ['Tea, "9", ####', "###", "a", "", ""]
    assert annotation.scripts == ["Latin", "Arabic", "Klingon", "Latin", ""]
    assert annotation.ignore == [False, True, False, False, False]
    assert [re.sub(" of Arabic.*| are needed.*", "", problem) for problem in annotation.problems] == [
        "gt_img_1.txt:3: the script 'Klingon' is none",
        f"gt_img_1.txt:4: 1 of the 2 fields after the numbers; kept as it is: {lines[3]!r}",
        f"gt_img_1.txt:5: 0 of the 2 fields after the numbers; kept as it is: {lines[4]!r}",
        "gt_img_1.txt:6: 7 numbers where 8",
    ]


def test_scripts_of_outlines_outside_of_the_picture_go_with_them():
    lines = [f"{WORD},Latin,in", "90,0,99,0,99,9,90,9,Korean,out", f"{WORD},Bangla,in"]
    annotation = Mlt2017.parse("\n".join(lines).encode(), "gt_img_1.txt")
    sample = make_sample("img_1.jpg", np.zeros((40, 80, 3), np.uint8), annotation)
    assert sample.scripts == ["Latin", "Bangla"]
    assert make_sample("a", sample.image, Icdar2015.parse(WORD.encode(), "gt")).scripts == []


# HUST-TR400


@pytest.mark.parametrize("inner", [".", "HUST-TR400"])
def test_hust_tr400_layout(tmp_path, inner):
    for number in (3, 20, 100):
        write_picture(tmp_path / inner / f"img_{number}.jpg")
        write(tmp_path / inner / f"img_{number}.gt", "0 0 10 10 20 10 0\r\n1 1 10 20 30 8 0.1 a  b c\r\n")
    for split in ("train", "trainval"):
        dataset = HustTr400(tmp_path, split)
        assert names(dataset) == ["img_3.jpg", "img_20.jpg", "img_100.jpg"]
        assert dataset.problems == ["3 train pictures where the release has 400"]
    sample = dataset[0]
    np.testing.assert_array_equal(sample.polygons[0], SQUARE)
    assert (sample.ignore, sample.texts, sample.problems) == ([False, True], ["", "a  b c"], [])
    check_places(HustTr400, tmp_path, 3)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_hust_tr400_holds_nothing_back(tmp_path, split):
    with pytest.raises(FileNotFoundError, match=f"has no split '{split}': all of its photos are to train on"):
        open_dataset("hust_tr400", tmp_path, split)


# Total-Text's MATLAB labels


ROWS = [
    [["x:"], [[206, 251, 386, 542]], ["y:"], [[633, 811, 931, 946]], ["PETROSAINS"], ["c"]],
    [["x:"], [[10, 30, 30, 10]], ["y:"], [[1, 1, 9, 9]], ["SIGN"], ["#"]],
    [["x:"], [[10.5, 30, 30, 10]], ["y:"], [[1, 1, 9, 9]], [], []],
]


def mat(rows, *, variable="polygt", compress=False):
    table = np.empty((len(rows), max(map(len, rows), default=0)), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            table[i, j] = np.array(cell)
    file = io.BytesIO()
    savemat(file, {variable: table}, do_compression=compress)
    return file.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_total_text_mat_labels_mean_what_the_text_files_do(tmp_path, compress):
    for part in ("Train", "Test"):
        write_picture(tmp_path / f"Images/{part}/img11.jpg", height=1000, width=600)
        write(tmp_path / f"Groundtruth/Polygon/{part}/poly_gt_img11.mat", mat(ROWS, compress=compress))
    record = "x: [[{}]], y: [[{}]], ornt: [u'{}'], transcriptions: [u'{}']"
    records = [
        record.format("206 251 386 542", "633 811 931 946", "c", "PETROSAINS"),
        record.format("10 30 30 10", "1 1 9 9", "#", "SIGN"),
        record.format("10.5 30 30 10", "1 1 9 9", "", ""),
    ]
    expected = TotalText.parse("\n".join(records).encode(), "poly_gt_img11.txt")
    assert expected.ignore == [False, True, False]
    for split in ("trainval", "test"):
        sample = TotalText(tmp_path, split)[0]
        assert (sample.ignore, sample.texts, sample.problems) == (expected.ignore, expected.texts, [])
        for polygon, other in zip(sample.polygons, expected.polygons, strict=True):
            np.testing.assert_array_equal(polygon, other)
    # A text file comes first, and the other is no file without a picture.
    write(tmp_path / "txt_format/Test/poly_gt_img11.txt", records[1])
    test = TotalText(tmp_path, "test")
    assert test[0].texts == ["SIGN"]
    assert test.problems == ["1 test pictures where the release has 300"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([["x:"], [[1, 2, 3]], ["y:"], [[1, 2]], ["a"], ["c"]], "3 x coordinates and 2 y coordinates"),
        ([["x:"], [[1, 2]], ["y:"], [[1, 2]], ["a"], ["#"]], "2 points where at least 3 are needed"),
        ([["x:"], [[1, 2, np.nan]], ["y:"], [[1, 2, 9]], ["a"], ["c"]], "a coordinate is not finite"),
        ([["x:"], [[1, 2, 1e300]], ["y:"], [[1, 2, 9]], ["a"], ["c"]], "a coordinate of 1e+300 lies far outside"),
        ([["x:"], ["1 2"], ["y:"], [[1, 2, 9]], ["a"], ["c"]], "'1 2' where numbers are needed"),
        ([["x:"], [], ["y:"], [], ["a"], ["c"]], "0 points where at least 3 are needed"),
    ],
)
def test_total_text_mat_bad_rows(row, reason):
    annotation = TotalText.parse(mat([ROWS[0], row, ROWS[0]]), "poly_gt_img1.mat")
    assert annotation.texts == ["PETROSAINS"] * 2
    (problem,) = annotation.problems
    assert problem.startswith(f"poly_gt_img1.mat:2: {reason}")
    assert problem.endswith(" c'" if row[5] == ["c"] else " #'")


def test_total_text_mat_files_without_rows():
    assert TotalText.parse(mat([]), "poly_gt_img1.mat").polygons == []
    narrow = TotalText.parse(mat([ROWS[0][:4]]), "poly_gt_img1.mat")
    assert narrow.problems[0].startswith("poly_gt_img1.mat:1: 4 columns where 6 are needed")
    for data in (mat(ROWS, variable="other"), mat(ROWS)[:200], b"", b"MATLAB 5.0 MAT-file", b"\0" * 500):
        with pytest.raises(BadPicture, match=r"poly_gt_img1\.mat: cannot be read as a MATLAB file"):
            TotalText.parse(data, "poly_gt_img1.mat")


# Whatever the bytes are, they give an annotation or BadPicture, and a bad line takes no neighbour along.

LINES = [
    (Ctw1500, FIRST),
    (Ctw1500, f"{WORD},####a, word"),
    (Mlt2017, f"{WORD},Latin,a, word"),
    (HustTr400, "3 0 749 860 47 105 -0.048040"),
]
PARSERS = [reader for name, reader in BENCHMARKS.items() if name != "synthtext"]  # which has one file for all
PIECES = st.sampled_from(
    [b",", b" ", b"nan", b"-", b"1e9", b"9" * 40, b".", b"#", b"####", b"\x00", b"\xff", b"<", b"&", b"'"]
)
MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES | st.binary(max_size=4)), min_size=1, max_size=5
)
KEPT = ("kept as it is", "read as Latin-1")


def mutate(data, mutations):
    for where, length, piece in mutations:
        position = int(where * len(data))
        data = data[:position] + piece + data[position + length :]
    return data


def check(annotation):
    count = len(annotation.polygons)
    assert len(annotation.ignore) == len(annotation.texts) == count
    assert len(annotation.scripts) in (0, count)
    for polygon in annotation.polygons:
        assert polygon.dtype == np.float32
        assert len(polygon) >= 3
        assert np.isfinite(polygon).all()


def check_outcome(reader, data, file):
    try:
        annotation = reader.parse(data, file)
    except BadPicture as error:
        messages = [str(error)]
    else:
        check(annotation)
        messages = annotation.problems
    assert all(message.startswith(f"{file}:") for message in messages)


@pytest.mark.parametrize(("reader", "line"), LINES)
@settings(max_examples=150, deadline=None)
@given(mutations=MUTATIONS)
def test_mutated_lines(reader, line, mutations):
    good = line.encode()
    bad = re.sub(rb"[\r\n]", b"", mutate(good, mutations))
    annotation = reader.parse(b"\n".join([good, bad, good]), "file.txt")
    check(annotation)
    blank = not bad.decode("latin-1").strip("\ufeff \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")
    left_out = [problem for problem in annotation.problems if not any(kept in problem for kept in KEPT)]
    assert len(annotation.polygons) + len(left_out) == (2 if blank else 3)
    assert all(problem.startswith(("file.txt:2: ", "file.txt: not UTF-8")) for problem in annotation.problems)
    expected = reader.parse(good, "file.txt")
    for index in (0, -1):
        np.testing.assert_array_equal(annotation.polygons[index], expected.polygons[0])
        assert annotation.texts[index] == expected.texts[0]


@settings(max_examples=150, deadline=None)
@given(mutations=MUTATIONS)
def test_mutated_xml(mutations):
    data = mutate(xml(BOX.format("a", ABSOLUTE), BOX.format("b", ABSOLUTE)).encode(), mutations)
    check_outcome(Ctw1500, data, "0001.xml")


@pytest.mark.parametrize("compress", [False, True])
@settings(max_examples=100, deadline=None)
@given(mutations=MUTATIONS, length=st.floats(0, 2))
def test_mutated_mat_files(compress, mutations, length):
    data = mutate(mat(ROWS, compress=compress), mutations)
    check_outcome(TotalText, data[: int(length * len(data))], "poly_gt_img1.mat")


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=60),
    reader=st.sampled_from(PARSERS),
    file=st.sampled_from(["a.txt", "a.xml", "a.gt", "a.mat"]),
)
def test_any_bytes_parse(data, reader, file):
    check_outcome(reader, data, file)
