"""Crops of words: upright, straightened, whatever the outline begins with."""

import cv2
import numpy as np
import pytest

from dbnet_jax.images.crops import cut_between, cut_word, text_sides


def picture_of(upper: np.ndarray, lower: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Four fields of grey from left to right between two sides; their lower half is darker by 30."""
    picture = np.zeros((*size, 3), np.uint8)
    count = len(upper) - 1
    for i in range(count):
        level = 60 + 60 * (4 * i // count)
        for half, darker in ((0.0, 0), (0.5, 30)):
            corners = [
                upper[i] + half * (lower[i] - upper[i]),
                upper[i + 1] + half * (lower[i + 1] - upper[i + 1]),
                upper[i + 1] + (half + 0.5) * (lower[i + 1] - upper[i + 1]),
                upper[i] + (half + 0.5) * (lower[i] - upper[i]),
            ]
            cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], (level - darker,) * 3)
    return picture


def sides(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The two sides of a straight, a turned, or a curved text, 41 points each."""
    along = np.linspace(0, 1, 41)
    if kind == "curved":
        angle = np.pi * (1.1 - 1.2 * along + 0.0)
        circle = np.stack([np.cos(angle), -np.sin(angle)], -1)
        return (150 + 110 * circle), (150 + 70 * circle)
    turn = {"straight": 0.0, "turned": 0.6, "falling": -0.5}[kind]
    direction, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    upper = np.array([150, 150]) + np.outer(200 * (along - 0.5), direction) - 20 * down
    return upper, upper + 40 * down


@pytest.mark.parametrize("kind", ["straight", "turned", "falling", "curved"])
@pytest.mark.parametrize("start", [0, 3, 60])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_detected_outline_gives_the_upright_word(kind, start, backwards):
    upper, lower = sides(kind)
    picture = picture_of(upper, lower, (300, 300))
    outline = np.roll(np.concatenate([upper, lower[::-1]]), start, axis=0)
    outline = np.ascontiguousarray(outline[::-1] if backwards else outline, np.float32)
    crop = cut_between(picture, *text_sides(outline), 32, 400)
    width = crop.shape[1]
    for field in range(4):
        x = int((field + 0.5) / 4 * width)
        level = 60 + 60 * field
        assert np.abs(crop[8, x - 3 : x + 4].astype(int) - level).max() < 12
        assert np.abs(crop[24, x - 3 : x + 4].astype(int) - (level - 30)).max() < 12


def test_an_annotated_quad_keeps_its_reading_order():
    upper, lower = sides("straight")
    picture = picture_of(upper, lower, (300, 300))
    quad = np.array([lower[-1], lower[0], upper[0], upper[-1]], np.float32)  # upside down
    crop = cut_word(picture, quad, 32, 400)
    assert crop.shape == (32, 160)
    assert abs(int(crop[8, 20]) - 210) < 3
    assert abs(int(crop[24, 140]) - 60) < 3


def test_sizes_are_kept_in_bounds():
    picture = np.full((50, 60, 3), 9, np.uint8)
    long = np.array([[-40, 10], [900, 10], [900, 12], [-40, 12]], np.float32)
    point = np.array([[5, 5], [5, 5], [5, 5], [5, 5]], np.float32)
    assert cut_word(picture, long, 32, 256).shape == (32, 256)
    assert cut_word(picture, point, 32, 256).shape == (32, 32)
    assert (cut_word(picture, long, 32, 256) == 9).all()


@pytest.mark.parametrize("axis", [0, 1], ids=["high", "wide"])
@pytest.mark.parametrize("shift", [0, 30], ids=["inside", "partly outside"])
def test_a_curved_word_is_cut_out_of_a_picture_of_any_length(axis, shift):
    picture = np.random.default_rng(0).integers(0, 256, (60, 120, 3), np.uint8)
    upper = np.array([[10, 10], [60, 5], [110, 12]], np.float32) + shift
    lower = upper + np.array([2, 30], np.float32)
    before = np.eye(3, dtype=int)[axis] * 40_000

    found = cut_between(
        np.pad(picture, [(count, 0) for count in before], mode="edge"),
        upper + before[[1, 0]].astype(np.float32),
        lower + before[[1, 0]].astype(np.float32),
        32,
        256,
    )

    assert np.abs(found.astype(int) - cut_between(picture, upper, lower, 32, 256)).max() <= 1


def test_a_curved_word_longer_than_opencv_takes_is_cut_out():
    picture = np.zeros((40, 70_000), np.uint8)
    picture[:, 35_000:] = 255
    upper = np.array([[100, 5], [35_000, 8], [69_900, 5]], np.float32)

    found = cut_between(picture, upper, upper + np.array([0, 25], np.float32), 32, 256)

    assert found[:, :120].max() == 0
    assert found[:, 136:].min() == 255
