"""Cell arrays of MATLAB files: as SciPy reads them where they are whole, and named where they are not."""

import io
import pathlib

import numpy as np
import pytest
import scipy.io
from scipy.io import loadmat, savemat, whosmat

from input_pipeline.datasets.parsing.mat_file import read_cells

# Files that MATLAB 5 to 7 wrote, on machines of both byte orders; SciPy brings them along.
OWNERS = pathlib.Path(scipy.io.__file__).parent / "matlab/tests/data"


def pack(*cells, name="cells", shape=None, compress=False, **others):
    array = np.empty(len(cells), object)
    array[:] = [np.array(cell) for cell in cells]
    file = io.BytesIO()
    savemat(file, {**others, name: array.reshape(shape or (1, -1), order="F")}, do_compression=compress)
    return file.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_numbers_and_strings(compress):
    values = [np.arange(24.0).reshape(2, 4, 3), np.array([[1, -2]], np.int16), ["two", "lines "], "Söhne 二 𝔸", ""]
    found = read_cells(pack(*values, shape=(5, 1), compress=compress, before="a", after=[1, 2]), "cells")
    assert found.shape == (5, 1)
    np.testing.assert_array_equal(found.cells[0], values[0])
    np.testing.assert_array_equal(found.cells[1], values[1])
    assert found.cells[2:] == [["two   ", "lines "], ["Söhne 二 𝔸"], []]
    assert read_cells(pack(), "cells").cells == []


def test_what_is_neither_is_none():
    nested = np.empty((1, 1), object)
    nested[0, 0] = np.ones((1, 1))
    data = pack("before", nested, np.array([1j]), "after")
    assert read_cells(data, "cells").cells == [["before"], None, None, ["after"]]


def test_matlabs_own_files():
    files = sorted(OWNERS.glob("test*cell*.mat"))
    if not files:
        pytest.skip("SciPy is installed without its tests")
    compared = 0
    for path in files:
        for name, shape, kind in whosmat(path):
            if kind != "cell":
                continue
            found = read_cells(path.read_bytes(), name)
            assert found.shape == shape
            for mine, theirs in zip(found.cells, loadmat(path)[name].ravel(order="F"), strict=True):
                if theirs.dtype.kind == "U":
                    assert mine == theirs.ravel().tolist()
                elif theirs.dtype.kind in "iuf":
                    np.testing.assert_array_equal(mine, theirs)
                else:
                    assert mine is None
                compared += 1
    assert compared > 20


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_cut_off_anywhere_is_refused(compress):
    data = pack("word", [[1.0, 2.0]], compress=compress)
    assert len(read_cells(data, "cells").cells) == 2
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"damaged|cut off|there is no|not a MATLAB file"):
            read_cells(data[:length], "cells")


def test_no_more_is_unpacked_than_allowed():
    data = pack(np.zeros((1000, 1000)), compress=True)
    assert len(data) < 20_000
    assert len(read_cells(data, "cells", most=9_000_000).cells) == 1
    with pytest.raises(ValueError, match="takes more than 1000000 bytes"):
        read_cells(data, "cells", most=1_000_000)


def test_no_length_is_believed():
    good = pack("word", [[1.0, 2.0]])
    for position in range(128, len(good) - 3, 4):
        for value in (2**31 - 1, 2**30, 2**32 - 1, 0x0004FFFF):
            damaged = good[:position] + value.to_bytes(4, "little") + good[position + 4 :]
            try:
                cells = read_cells(damaged, "cells").cells
            except ValueError:
                continue
            assert len(cells) == 2


def test_other_variables_and_files():
    with pytest.raises(ValueError, match="there is no `cells`"):
        read_cells(pack("a", name="others"), "cells")
    with pytest.raises(ValueError, match="`numbers` is no cell array"):
        read_cells(pack("a", numbers=[1, 2]), "numbers")
    for data in (b"", b"MATLAB 5.0 MAT-file", b"\x89HDF" + bytes(200), bytes(200)):
        with pytest.raises(ValueError, match="not a MATLAB file of level 5"):
            read_cells(data, "cells")
