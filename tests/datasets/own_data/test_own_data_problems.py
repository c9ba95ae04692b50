"""What is wrong with one's own data: what is named, what is counted as lost, and what ends a run."""

import json

import pytest

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import MOST_OF_A_KIND, count_problems
from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples
from input_pipeline.datasets.own_data.mmocr import MmOcr
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.examples import Examples
from tests.helpers.own_labels import HEIGHT, WIDTH, WORD, make, names, write, write_picture
from tests.helpers.problems import said


def test_problems_are_named_up_to_a_number_and_counted(tmp_path):
    make("paddleocr", tmp_path, [1])
    rows = [{"transcription": "a", "points": [[0, 0], [1, 1]]}] * (MOST_OF_A_KIND + 5)
    rows.append({"transcription": "a", "points": WORD})
    again = [f"img_{i}.jpg" for i in range(2, MOST_OF_A_KIND + 5)]
    lines = [f"img_1.jpg\t{json.dumps(rows)}", *[f"{name}\t[]" for name in again] * 2]
    write(tmp_path / "train.txt", "\n".join(lines))
    dataset = PaddleOcr(tmp_path, "trainval")
    second = [f"train.txt: {name}: named a second time; this one is left out" for name in again]
    assert said(dataset) == [*second[:MOST_OF_A_KIND], "… and 3 more: a picture named twice"]
    assert count_problems(dataset.problems) == MOST_OF_A_KIND + 3
    problems = said(dataset[0])
    assert len(problems) == MOST_OF_A_KIND + 1
    assert problems[0].startswith("train.txt: img_1.jpg:1: 2 points where at least 3 are needed: '{")
    assert problems[-1] == "train.txt: img_1.jpg: … and 5 more problems"


def test_a_picture_whose_line_cannot_be_used_is_one_that_is_lost(tmp_path):
    make("paddleocr", tmp_path, [1, 2])
    lines = (tmp_path / "train.txt").read_text().splitlines()
    write(tmp_path / "train.txt", "\n".join([*lines, "img_3.jpg []", "img_4.jpg\t[{]"]))
    dataset = PaddleOcr(tmp_path, "trainval")
    assert names(dataset) == ["img_1.jpg", "img_2.jpg", "train.txt:3", "train.txt:4"]
    for use in (dataset.__getitem__, dataset.annotation):
        with pytest.raises(BadPicture, match=r"train\.txt:3: no tab .*: 'img_3\.jpg \[\]'"):
            use(2)
        with pytest.raises(BadPicture, match=r"train\.txt:4: the instances: not JSON"):
            use(3)
    examples = Examples(dataset, 0, Augmentation((32, 32)), {}, BadSamples(4, 0.2))
    with pytest.raises(TooManyBadSamples, match="1 of 4 pictures cannot be used"):
        list(map(examples.__getitem__, range(4)))
    # Where nothing else is there, the whole is wrong.
    write(tmp_path / "train.txt", "img_1.jpg []\nimg_2.jpg []")
    with pytest.raises(FileNotFoundError, match=r"(?s)no trainval pictures.*train\.txt:1: no tab"):
        PaddleOcr(tmp_path, "trainval")


def test_shares_of_the_pictures_size_are_no_pixels(tmp_path):
    make("paddleocr", tmp_path, [1])
    row = {"transcription": "a", "points": [[x / WIDTH, y / HEIGHT] for x, y in WORD]}
    write(tmp_path / "train.txt", f"img_1.jpg\t{json.dumps([row, {**row, 'transcription': '###'}])}")
    with pytest.raises(BadPicture, match="between 0 and 1, as shares of the picture's size are; pixels are expected"):
        PaddleOcr(tmp_path, "trainval")[0]


def test_many_missing_pictures_before_the_first_are_no_missing_set(tmp_path):
    make("paddleocr", tmp_path, [300])
    line = (tmp_path / "train.txt").read_text().strip()
    write(tmp_path / "train.txt", "\n".join([*(line.replace("img_300", f"img_{i}") for i in range(1, 300)), line]))
    assert PaddleOcr(tmp_path, "trainval")[299].texts[0] == "word"


def test_a_picture_of_another_size_than_its_labels_say_is_named(tmp_path):
    make("mmocr", tmp_path, [1, 2])
    write_picture(tmp_path / "img_2.jpg", WIDTH, HEIGHT)
    dataset = MmOcr(tmp_path, "trainval")
    assert said(dataset[0]) == []
    (problem,) = said(dataset[1])
    assert problem.startswith(
        "textdet_train.json: img_2.jpg: the picture is 60 wide and 80 high, its labels are for 80"
    )
