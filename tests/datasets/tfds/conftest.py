"""The builder, and a small ICDAR2015 that it prepares."""

import cv2
import numpy as np
import pytest

from tests.helpers.benchmark_labels import WORD


@pytest.fixture(scope="module")
def scene_text():
    from input_pipeline.datasets.tfds import scene_text

    return scene_text


@pytest.fixture
def folder(tmp_path):
    """Twelve ICDAR2015 pictures: 1 has no text, 2 every kind of line, 3 is truncated, 4 has no annotation."""
    rng = np.random.default_rng(0)
    images = tmp_path / "data/ch4_training_images"
    labels = tmp_path / "data/ch4_training_localization_transcription_gt"
    images.mkdir(parents=True)
    labels.mkdir()
    for number in range(1, 13):
        picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
        (images / f"img_{number}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        (labels / f"gt_img_{number}.txt").write_text(f"{WORD},word {number}\n")
    (labels / "gt_img_1.txt").write_text("")
    (labels / "gt_img_2.txt").write_text(
        f"{WORD},a, b\n{WORD},###\n1,2,3\n0,0,20,10,20,0,0,12,été\n60,0,70,0,70,9,60,9,right\n", encoding="utf-8"
    )
    (images / "img_3.jpg").write_bytes((images / "img_3.jpg").read_bytes()[:500])
    (labels / "gt_img_4.txt").unlink()
    return tmp_path / "data"
