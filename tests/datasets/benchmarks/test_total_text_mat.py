"""Total-Text's MATLAB labels: what the text files say, and damaged files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.benchmarks.total_text import TotalText
from tests.helpers.benchmark_labels import ROWS, mat
from tests.helpers.mutations import MUTATIONS, check_outcome, mutate
from tests.helpers.own_labels import write, write_picture
from tests.helpers.problems import said


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
        assert (sample.ignore, sample.texts, said(sample)) == (expected.ignore, expected.texts, [])
        for polygon, other in zip(sample.polygons, expected.polygons, strict=True):
            np.testing.assert_array_equal(polygon, other)
    # A text file comes first, and the other is no file without a picture.
    write(tmp_path / "txt_format/Test/poly_gt_img11.txt", records[1])
    test = TotalText(tmp_path, "test")
    assert test[0].texts == ["SIGN"]
    assert said(test) == ["1 test picture where the release has 300"]


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
    (problem,) = said(annotation)
    assert problem.startswith(f"poly_gt_img1.mat:2: {reason}")
    assert problem.endswith(" c'" if row[5] == ["c"] else " #'")


def test_total_text_mat_files_without_rows():
    assert TotalText.parse(mat([]), "poly_gt_img1.mat").polygons == []
    with pytest.raises(BadPicture, match=r"poly_gt_img1\.mat: its one entry .*: 1: 4 columns where 6 are needed"):
        TotalText.parse(mat([ROWS[0][:4]]), "poly_gt_img1.mat")
    for data in (mat(ROWS, variable="other"), mat(ROWS)[:200], b"", b"MATLAB 5.0 MAT-file", b"\0" * 500):
        with pytest.raises(BadPicture, match=r"poly_gt_img1\.mat: cannot be read as a MATLAB file"):
            TotalText.parse(data, "poly_gt_img1.mat")


@pytest.mark.parametrize("compress", [False, True])
@settings(max_examples=100)
@given(mutations=MUTATIONS, length=st.floats(0, 2))
def test_mutated_mat_files(compress, mutations, length):
    data = mutate(mat(ROWS, compress=compress), mutations)
    check_outcome(TotalText, data[: int(length * len(data))], "poly_gt_img1.mat")
