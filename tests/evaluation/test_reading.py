"""Scores of texts: words alone, and end to end."""

import numpy as np
import pytest

from dbnet_jax.evaluation.reading import evaluate_reading
from dbnet_jax.evaluation.words import edit_distance, evaluate_words

BOX = np.array([[0, 0], [40, 0], [40, 10], [0, 10]], float)


def test_accuracy_counts_letters_and_digits_without_case():
    scores = evaluate_words(["Café!", "no.5", "OPEN", ""], ["café", "No 5", "0PEN", "x"])
    assert scores.accuracy == 0.5
    assert scores.accuracy_case_sensitive == 0.0
    assert scores.cer == pytest.approx((2 + 2 + 1 + 1) / (4 + 4 + 4 + 1))
    with pytest.raises(ValueError, match="at least 1"):
        evaluate_words([], [])


@pytest.mark.parametrize(("first", "second", "edits"), [("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)])
def test_edit_distance(first, second, edits):
    assert edit_distance(first, second) == edit_distance(second, first) == edits


def test_a_word_is_right_where_it_lies_and_what_it_says():
    found = [[BOX, BOX + [100, 0], BOX + [200, 0], BOX + [300, 0]]]
    truths = [[BOX + [0, 1], BOX + [100, 0], BOX + [300, 0], BOX + [500, 0]]]
    ignore = [[False, False, True, False]]
    read, true = [["sale", "sole", "extra", "any"]], [["Sale!", "SALE", "###", "far"]]
    scores = evaluate_reading(found, truths, ignore, read, true)
    # Right: the first. Wrong: one misread, one on nothing. The fourth lies on an ignored word.
    assert scores.per_image[0]["pairs"] == [(0, 0)]
    assert scores.precision == pytest.approx(1 / 3)
    assert scores.recall == pytest.approx(1 / 3)
    assert scores.per_image[0]["ignored_detections"] == [3]


def test_texts_are_compared_in_composed_form_and_with_the_marks_of_their_script():
    assert evaluate_words(["cafe\u0301"], ["café"]) == evaluate_words(["a"], ["a"])
    # A vowel sign is part of a word, though no letter.
    assert evaluate_words(["कि"], ["का"]).accuracy == 0.0
    assert evaluate_reading([[BOX]], [[BOX]], [[False]], [["CAFE\u0301"]], [["café"]]).hmean == 1.0


def test_a_word_is_misread_where_another_detection_is_not_right():
    found, truths = [[BOX + [0, 1], BOX, BOX + [100, 0]]], [[BOX, BOX + [100, 0]]]
    scores = evaluate_reading(found, truths, [[False, False]], [["b", "a", "c"]], [["a", "x"]])
    assert scores.per_image[0]["pairs"] == [(0, 1)]
    assert scores.per_image[0]["misread"] == [(1, 2)]


def test_each_detection_is_used_once():
    scores = evaluate_reading([[BOX]], [[BOX, BOX]], [[False, False]], [["a"]], [["a", "a"]])
    assert (scores.precision, scores.recall) == (1.0, 0.5)


def test_as_many_texts_as_polygons():
    with pytest.raises(ValueError, match="picture 0"):
        evaluate_reading([[BOX]], [[BOX]], [[False]], [["a", "b"]], [["a"]])
    with pytest.raises(ValueError, match="as many pictures"):
        evaluate_reading([[BOX]], [[BOX]], [[False]], [], [["a"]])
