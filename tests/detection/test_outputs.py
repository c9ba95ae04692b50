"""Detections as the files that are written of them."""

import pathlib

import numpy as np

from dbnet_jax.detection.outputs import as_icdar, as_json, icdar_files
from dbnet_jax.postprocess import Detections


def test_text_files_never_collide():
    names = ["a.jpg", "a.png", "a.jpg.png", "a.jpg.jpg", "a.jpg.png.jpg", "b/a.jpg", "b_a.jpg", "A.tif", "b.jpg/a.png"]
    files = icdar_files([pathlib.Path(name) for name in names])
    assert len(set(files)) == len(names)
    assert files[names.index("b/a.jpg")] == pathlib.Path("b/res_a.txt")
    assert files[names.index("b_a.jpg")] == pathlib.Path("res_b_a.txt")


def test_plain_values():
    found = Detections([np.array([[1.0, 2.0], [3.0, 2.0], [3.0, 4.0]], np.float32)], np.array([0.87654321], np.float32))
    assert as_json(found) == [{"polygon": [[1, 2], [3, 2], [3, 4]], "score": 0.8765}]
    assert as_icdar(found) == "1,2,3,2,3,4\n"
    nothing = Detections([], np.zeros(0, np.float32))
    assert (as_json(nothing), as_icdar(nothing)) == ([], "")
