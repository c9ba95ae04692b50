"""Detection for the service, through the real stages around a network that is a threshold on brightness."""

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.reader import Page
from dbnet_jax.serve.engine import Engine, Found, Options, Task
from dbnet_jax.serve.forms import Upload
from tests.helpers.brightness import BrightnessDetector, assert_same, white_box
from tests.helpers.service import FakeRecognizer

# Text that the first look shows at its best, small text, a panorama whose looks are all equal, an empty picture.
PICTURES = [
    white_box((160, 200), 20, 60, 180, 84),
    white_box((160, 200), 20, 60, 180, 65),
    white_box((40, 1600), 200, 10, 1400, 26),
    np.zeros((160, 160, 3), np.uint8),
    white_box((160, 200), 20, 20, 180, 140),
    white_box((100, 120), 10, 10, 90, 18),
]


@pytest.mark.parametrize("looks", ["fitting", "all"])
def test_pictures_that_need_fewer_looks_come_out_beside_others(looks):
    detector = BrightnessDetector(size=None, looks=looks, first_size=160, sizes=(80, 160, 320), max_side=400)
    expected, counts = [], []
    for image in PICTURES:
        detector.calls.clear()
        expected.append(detector.detect(image))
        counts.append(len(detector.calls))
    assert 1 in counts
    assert max(counts) > 1
    files = [Upload(f"{i}.png", cv2.imencode(".png", image)[1].tobytes()) for i, image in enumerate(PICTURES)]
    files.insert(3, Upload("broken.png", b"no picture"))
    engine = Engine(detector, FakeRecognizer(), 1_000_000)
    found, pages = (list(engine.run(Task(read, Options()), files)) for read in (False, True))
    assert isinstance(found.pop(3), BadPicture)
    assert isinstance(pages.pop(3), BadPicture)
    for image, one, page, right in zip(PICTURES, found, pages, expected, strict=True):
        assert isinstance(one, Found)
        assert isinstance(page, Page)
        assert one.size == page.size == image.shape[:2]
        assert_same(one.detections, right)
        assert len(page.words) == len(right.polygons)
