"""The readers of MLT 2017 and HUST-TR400 and what all benchmarks share, on layouts made here."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbnet_jax.evaluation.submissions.formats import parse_truth
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import BENCHMARKS, open_dataset
from input_pipeline.datasets.benchmarks.ctw1500 import Ctw1500
from input_pipeline.datasets.benchmarks.hust_tr400 import HustTr400
from input_pipeline.datasets.benchmarks.icdar2015 import Icdar2015
from input_pipeline.datasets.benchmarks.mlt2017 import Mlt2017
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.total_text import TotalText
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder, parse_line
from input_pipeline.datasets.parsing.annotations import as_polygon, make_sample, parse_instances, text_lines
from input_pipeline.datasets.sample import Annotation, Sample
from tests.helpers.benchmark_labels import FIRST, SQUARE, WORD, check_places
from tests.helpers.mutations import MUTATIONS, check, check_outcome, mutate
from tests.helpers.own_labels import names, write, write_picture
from tests.helpers.problems import said

# What the base class does


def test_place_of_a_picture_among_the_splits(tmp_path):
    for number in range(1, 24):
        write_picture(tmp_path / f"ch4_training_images/img_{number}.jpg")
        write(tmp_path / f"ch4_training_localization_transcription_gt/gt_img_{number}.txt", WORD)
    check_places(Icdar2015, tmp_path, 23)
    assert Icdar2015(tmp_path, "train").place(2) == ("train", 2)
    with pytest.raises(IndexError):
        Icdar2015(tmp_path, "trainval").place(23)


def test_scripts_describe_the_instances():
    polygon, image = as_polygon([0, 9, 9], [0, 0, 9]), np.zeros((10, 10, 3), np.uint8)
    assert Sample("a", image, [polygon], [False], scripts=["Latin"]).texts == []
    with pytest.raises(ValueError, match=r"`scripts` \(2\) of a must describe the same instances"):
        Sample("a", image, [polygon], [False], scripts=["Latin", "Latin"])


# MLT 2017
def make_mlt2017(folder):
    for part, number, script in ((1, 1, "Latin"), (1, 2, "Arabic"), (3, 7, "Chinese"), ("", 11, "Korean")):
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
    assert said(train) == ["4 train pictures where the release has 7200"]
    validation = Mlt2017(tmp_path, "validation")
    assert names(validation) == ["img_1.jpg", "img_2.jpg"]
    assert (validation[0].ignore, validation[0].scripts) == ([True], ["None"])
    assert said(validation) == ["2 validation pictures where the release has 1800"]


def test_mlt2017_trainval_is_both_sets_under_names_of_their_own(tmp_path):
    make_mlt2017(tmp_path)
    whole = Mlt2017(tmp_path, "trainval")
    assert names(whole) == [
        *("train_img_1.jpg", "train_img_2.jpg", "train_img_7.png", "train_img_11.jpg"),
        *("validation_img_1.jpg", "validation_img_2.jpg"),
    ]
    assert [whole[index].image.shape[0] for index in range(6)] == [51, 52, 57, 61, 71, 72]
    assert said(whole) == [
        "4 train pictures where the release has 7200",
        "2 validation pictures where the release has 1800",
    ]
    check_places(Mlt2017, tmp_path, 6)
    (tmp_path / "ch8_validation_localization_transcription_gt_v2/gt_img_2.txt").write_text(f"1,2,3\n{WORD},None,a")
    (problem,) = said(Mlt2017(tmp_path, "trainval")[5])
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
    assert [re.sub(" of Arabic.*| are needed.*", "", problem) for problem in said(annotation)] == [
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
        assert said(dataset) == ["3 train pictures where the release has 400"]
    sample = dataset[0]
    np.testing.assert_array_equal(sample.polygons[0], SQUARE)
    assert (sample.ignore, sample.texts, said(sample)) == ([False, True], ["", "a  b c"], [])
    check_places(HustTr400, tmp_path, 3)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_hust_tr400_holds_nothing_back(tmp_path, split):
    with pytest.raises(FileNotFoundError, match=f"has no split '{split}': all of its photos are to train on"):
        open_dataset("hust_tr400", tmp_path, split)


# Whatever the bytes are, they give an annotation or BadPicture, and a bad line takes no neighbour along.
RECORD = "x: [[206 251 386 542]], y: [[633 811 931 946]], ornt: [u'c'], transcriptions: [u'PETROSAINS']"
LINES = [
    (Icdar2015, f"{WORD},a word"),
    (MsraTd500, "3 0 749 860 47 105 -0.048040"),
    (TotalText, "697,196,890,202,892,261,694,259,KELUAR"),
    (TotalText, RECORD),
    (IcdarFolder, f"{WORD},word"),
    (Ctw1500, FIRST),
    (Ctw1500, f"{WORD},####a, word"),
    (Mlt2017, f"{WORD},Latin,a, word"),
    (HustTr400, "3 0 749 860 47 105 -0.048040"),
]
PARSERS = [reader for name, reader in BENCHMARKS.items() if name != "synthtext"]  # which has one file for all
KEPT = ("kept as it is", "repaired to one valid polygon", "not UTF-8")


@pytest.mark.parametrize("reader", PARSERS)
@pytest.mark.parametrize("data", [b"<html>404</html>", b"<html>\n404</html>\n", bytes(range(256)), b"\x89PNG\r\n\x1a"])
def test_a_file_of_something_else_is_no_picture_without_text(reader, data):
    with pytest.raises(BadPicture, match=r"^a\.txt: "):
        reader.parse(data, "a.txt")
    for nothing in (b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n \n", b"\r\n \r\n\t"):
        assert reader.parse(nothing, "a.txt") == Annotation()


def test_single_points_not_to_care_for_are_no_loss():
    annotation = TotalText.parse(b"534,294,###", "img1.jpg.txt")
    assert annotation.polygons == []
    assert len(said(annotation)) == 1
    with pytest.raises(BadPicture, match="its one entry cannot be used"):
        TotalText.parse(b"534,294,word", "img1.jpg.txt")


@pytest.mark.parametrize("line", [f'{WORD},"###"', f'{WORD}, "###" ', f"{WORD}, ### ", f"{WORD},###"])
def test_dont_care_in_quotes(line):
    assert Icdar2015.parse(line.encode(), "gt_img_1.txt").ignore == [True]
    assert parse_truth(line.encode(), "gt_img_1.txt").ignore == [True]
    assert parse_line(line).ignore
    assert not parse_line(f'{WORD},"##"').ignore


def parse_in_folder(data, file):
    """What `IcdarFolder` makes of a file."""
    lines, problems = text_lines(data, file)
    return parse_instances(lines, file, parse_line, problems)


@pytest.mark.parametrize(("reader", "line"), LINES)
@settings(max_examples=200)
@given(mutations=MUTATIONS)
@example(mutations=[(0.0, 0, b"\x88b")])  # in Big5 a letter with an accent, as two characters
def test_mutated_lines(reader, line, mutations):
    good = line.encode()
    bad = re.sub(rb"[\r\n]", b"", mutate(good, mutations))
    parse = parse_in_folder if reader is IcdarFolder else reader.parse
    annotation = parse(b"\n".join([good, bad, good]), "file.txt")
    check(annotation)
    blank = not bad.decode("latin-1").strip("\ufeff \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")
    left_out = [problem for problem in said(annotation) if not any(kept in problem for kept in KEPT)]
    assert len(annotation.polygons) + len(left_out) == (2 if blank else 3)
    assert all(problem.startswith(("file.txt:2: ", "file.txt: not UTF-8")) for problem in said(annotation))
    expected = parse(good, "file.txt")
    for index in (0, -1):
        np.testing.assert_array_equal(annotation.polygons[index], expected.polygons[0])
        assert annotation.texts[index] == expected.texts[0]


@settings(max_examples=400)
@given(
    data=st.binary(max_size=60),
    reader=st.sampled_from(PARSERS),
    file=st.sampled_from(["a.txt", "a.xml", "a.gt", "a.mat"]),
)
def test_any_bytes_parse(data, reader, file):
    check_outcome(reader, data, file)
