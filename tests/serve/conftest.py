"""A service with shipped weights, which compiles one small shape."""

import cv2
import numpy as np
import pytest

from dbnet_jax.detector import Detector

SIDE = 160


@pytest.fixture(scope="session")
def small_detector():
    """The shipped detector at a size at which it is fast."""
    return Detector.from_pretrained(size=SIDE, sizes=(SIDE,), first_size=SIDE)


@pytest.fixture(scope="session")
def sign():
    """A picture in which the shipped detector finds two words."""
    picture = np.full((SIDE, SIDE, 3), 235, np.uint8)
    for row, word in ((60, "STOP"), (125, "HERE")):
        cv2.putText(picture, word, (25, row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 20), 3, cv2.LINE_AA)
    return picture
