"""CTW1500's reader: the layouts and forms of both releases, and damaged documents."""

import numpy as np
import pytest
from hypothesis import given, settings

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.benchmarks.ctw1500 import Ctw1500
from input_pipeline.datasets.sample import Dataset
from tests.helpers.benchmark_labels import ABSOLUTE, BOX, CURVE, FIRST, WORD, check_places, xml
from tests.helpers.mutations import MUTATIONS, check_outcome, mutate
from tests.helpers.own_labels import names, write, write_picture
from tests.helpers.problems import said


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
    assert said(train) == ["3 train pictures where the release has 1000"]
    test = Ctw1500(tmp_path, "test")
    assert test[0].texts == ["Tea, 9, ####", "###"]
    assert test[0].ignore == [False, True]
    assert [len(polygon) for polygon in test[0].polygons] == [4, 14]
    assert said(test[0]) == []
    check_places(Ctw1500, tmp_path, 3)


def test_ctw1500_first_release(tmp_path):
    for part, number in (("train", "0001"), ("train", "0002"), ("test", "1001")):
        write_picture(tmp_path / f"{part}/text_image/{number}.jpg")
        write(tmp_path / f"{part}/text_label_curve/{number}.txt", f"{FIRST}\r\n{FIRST},\r\n")
    for split, count in (("trainval", 2), ("test", 1)):
        dataset = Ctw1500(tmp_path, split)
        assert len(dataset) == count
        sample = dataset[0]
        assert (sample.ignore, sample.texts, said(sample)) == ([False] * 2, [""] * 2, [])
        for polygon in sample.polygons:
            np.testing.assert_array_equal(polygon, np.array(CURVE) + 10)
    # Where the second release is there as well, its labels are read.
    write(tmp_path / "ctw1500_train_labels/0001.xml", xml(BOX.format("second", ABSOLUTE)))
    dataset = Ctw1500(tmp_path, "trainval")
    assert dataset[0].texts == ["second"]
    assert said(dataset) == ["2 train pictures where the release has 1000"]


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
    (problem,) = said(annotation)
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
    assert [problem.split(": ")[:2] for problem in said(annotation)] == [
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


@settings(max_examples=150)
@given(mutations=MUTATIONS)
def test_mutated_xml(mutations):
    data = mutate(xml(BOX.format("a", ABSOLUTE), BOX.format("b", ABSOLUTE)).encode(), mutations)
    check_outcome(Ctw1500, data, "0001.xml")
