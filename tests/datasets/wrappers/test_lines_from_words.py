"""Words that stand in a line become one line, wherever and however the line lies, and no others."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import common
from dbnet_jax.geometry import polygon_area, transform_points
from input_pipeline.datasets.sample import Annotation, Dataset, Sample
from input_pipeline.datasets.wrappers.lines_from_words import JoinedWords, join_words
from input_pipeline.from_config import open_split


def word(x: float, y: float, width: float, height: float = 20.0) -> np.ndarray:
    """An upright quad from its top left."""
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


# A headline of three words, a line of small print close under it, and a word far to the right of that.
PAGE = [word(10, 10, 60), word(80, 12, 30, 16), word(122, 10, 70), word(10, 36, 50, 8), word(62, 36, 40, 8)]
PAGE += [word(150, 36, 30, 8)]
TEXTS = ["THE", "on", "STOP", "small", "print", "alone"]


def joined(polygons, ignore, texts):
    """The polygons of the lines, whether each is ignored, and their texts."""
    lines = join_words(Annotation(polygons, ignore, texts))
    return lines.polygons, lines.ignore, lines.texts


def test_words_of_a_line_are_joined_and_others_are_not():
    polygons, ignore, texts = joined(PAGE, [False] * 6, TEXTS)
    assert texts == ["THE on STOP", "small print", "alone"]
    assert ignore == [False] * 3
    for polygon, (x, y, right, bottom) in zip(polygons, [(10, 10, 192, 30), (10, 36, 102, 44)], strict=False):
        np.testing.assert_allclose([*polygon.min(axis=0), *polygon.max(axis=0)], [x, y, right, bottom], atol=1e-3)
    np.testing.assert_array_equal(polygons[2], PAGE[5])


@settings(deadline=None, max_examples=60)
@given(
    order=st.permutations(range(6)),
    angle=st.floats(-180, 180),
    scale=st.floats(0.2, 5),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_neither_their_order_nor_where_and_how_they_lie_matters(order, angle, scale, shift):
    matrix = np.column_stack([cv2.getRotationMatrix2D((0, 0), angle, scale)[:, :2], shift])
    moved = [transform_points(matrix, PAGE[i]).astype(np.float32) for i in order]
    polygons, _, texts = joined(moved, [False] * 6, [TEXTS[i] for i in order])
    assert sorted(texts) == ["THE on STOP", "alone", "small print"]
    area = polygon_area(polygons[texts.index("THE on STOP")])
    assert area == pytest.approx(182 * 20 * scale**2, rel=1e-2)


def test_a_line_is_not_to_care_for_when_a_word_of_it_is():
    assert joined(PAGE, [False, True, False, False, False, False], TEXTS)[1] == [True, False, False]


@pytest.mark.parametrize("texts", [TEXTS, []])
@pytest.mark.parametrize("scripts", [["Latin", "Greek", "Greek", "Latin", "Korean", "Thai"], []])
def test_a_line_has_the_script_of_most_of_its_words_and_is_repaired_with_one_of_them(texts, scripts):
    class One(Dataset):
        problems: list = []  # noqa: RUF012

        def __len__(self):
            return 1

        def name(self, index):
            return "a"

        def __getitem__(self, index):
            return Sample("a", np.zeros((60, 200, 3), np.uint8), PAGE, [False] * 6, texts, [], scripts, zoom=2.0)

        def annotation(self, index):
            return Annotation(PAGE, [False] * 6, texts, [], scripts, repaired=[1, 5])

    lines = JoinedWords(One())
    for found in (lines[0], lines.annotation(0)):
        assert len(found.polygons) == len(found.ignore) == 3
        assert found.texts == (["THE on STOP", "small print", "alone"] if texts else [])
        assert found.scripts == (["Greek", "Latin", "Thai"] if scripts else [])
    assert lines[0].zoom == 2.0
    assert lines.annotation(0).repaired == [0, 2]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(word(110, 10, 60), id="farther than it is high"),
        pytest.param(word(80, 22, 60), id="lower"),
        pytest.param(word(80, 0, 60, 40), id="twice as high"),
        pytest.param(np.float32([[80, 10], [120, 50], [106, 64], [66, 24]]), id="turned"),
        pytest.param(word(10, 32, 60), id="under it"),
        pytest.param(word(80, 10, 60)[[2, 3, 0, 1]], id="upside down"),
    ],
)
def test_what_is_no_neighbour_in_a_line_stays_alone(other):
    assert len(joined([word(10, 10, 60), other], [False, False], ["a", "b"])[0]) == 2


def test_what_is_no_quad_has_no_side_or_is_not_there_stays_as_it_is():
    triangle, point = np.float32([[0, 0], [5, 0], [5, 5]]), np.zeros((4, 2), np.float32)
    polygons, ignore, texts = joined([triangle, word(300, 0, 60), point], [True, False, True], ["a", "b", "c"])
    assert (ignore, texts) == ([True, False, True], ["a", "b", "c"])
    np.testing.assert_array_equal(polygons[0], triangle)
    assert joined([], [], []) == ([], [], [])


def write_pages(pictures, labels):
    """Two pictures of PAGE, and their labels in the format of ICDAR2015."""
    pictures.mkdir(parents=True)
    labels.mkdir()
    lines = [
        ",".join(f"{value:g}" for value in quad.ravel()) + f",{text}" for quad, text in zip(PAGE, TEXTS, strict=True)
    ]
    for i in range(2):
        cv2.imwrite(str(pictures / f"img_{i}.jpg"), np.zeros((60, 200, 3), np.uint8))
        (labels / f"gt_img_{i}.txt").write_text("\n".join(lines))


def test_the_config_says_what_an_instance_is(tmp_path):
    write_pages(tmp_path / "ch4_training_images", tmp_path / "ch4_training_localization_transcription_gt")
    config = common.get_config()
    config.data.update({"name": "icdar2015", "dir": str(tmp_path)})
    assert open_split(config, "train")[0].texts == TEXTS
    config.data.granularity = "line"
    joined = open_split(config, "train")
    assert (len(joined), joined.name(0), joined[0].name) == (1, "img_1.jpg", "img_1.jpg")
    assert joined[0].texts == ["THE on STOP", "small print", "alone"]
    assert joined.annotation(0).texts == joined[0].texts
    for alone, whole in zip(joined.annotation(0).polygons, joined[0].polygons, strict=True):
        np.testing.assert_array_equal(alone, whole)
    config.data.mix = f"icdar2015={tmp_path}"
    assert open_split(config, "train")[1].texts == joined[0].texts
    config.data.granularity = "lines"
    with pytest.raises(ValueError, match=r"`config.data.granularity` \(='lines'\) must be one of 'word', 'line'"):
        open_split(config, "train")


def test_a_part_of_a_mix_has_its_words_joined_and_the_others_do_not(tmp_path):
    folder = tmp_path / "words"
    write_pages(folder / "images", folder / "gt")
    config = common.get_config()
    config.data.update({"name": "icdar_folder", "dir": str(folder), "train_split": "trainval"})
    config.data.mix = f"icdar_folder+lines={folder},icdar_folder={folder}"
    mixed = open_split(config, "train")
    lines = ["THE on STOP", "small print", "alone"]
    assert [mixed[i].texts for i in (0, 2, 4)] == [TEXTS, lines, TEXTS]
    assert mixed.annotation(2).texts == lines
    config.data.mix = "synthetic+lines"
    with pytest.raises(ValueError, match=r"config\.data\.mix.*synthetic\+lines joins words.*icdar2015, .*icdar_folder"):
        open_split(config, "train")
