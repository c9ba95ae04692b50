"""Ink on a transparent ground can be read, whatever its colour."""

import cv2
import numpy as np
import pytest

from dbnet_jax.images.pixels import ground_for, to_rgb

WHITE, BLACK, GREY = 255, 0, 128


def inked(*colours: tuple[int, int, int], hidden: int = 0) -> np.ndarray:
    """RGBA words in these colours below each other, antialiased, on transparent pixels of another colour."""
    alpha = np.zeros((60 * len(colours), 200), np.uint8)
    image = np.full((*alpha.shape, 3), hidden, np.uint8)
    for row, colour in enumerate(colours):
        cv2.putText(alpha, "HELLO", (10, 60 * row + 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 4, cv2.LINE_AA)
        image[60 * row : 60 * row + 60][alpha[60 * row : 60 * row + 60] > 0] = colour
    return np.dstack([image, alpha])


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize(
    ("colours", "ground"),
    [
        ([(0, 0, 0)], WHITE),
        ([(255, 255, 255)], BLACK),
        ([(255, 255, 0)], BLACK),
        ([(200, 200, 200)], BLACK),
        ([(200, 0, 0)], WHITE),
        ([(90, 90, 90)], WHITE),
        ([(0, 0, 0), (255, 255, 255)], GREY),
        ([(30, 30, 60), (30, 30, 60), (30, 30, 60), (250, 250, 250)], GREY),
    ],
)
def test_the_ground_contrasts_with_the_ink(colours, ground, hidden):
    image = inked(*colours, hidden=hidden)
    assert ground_for(image[..., :3], image[..., 3]) == ground
    result, visible = to_rgb(image), image[..., 3] == 255
    np.testing.assert_array_equal(result[visible], image[..., :3][visible])
    assert (result[image[..., 3] == 0] == ground).all()


def test_the_inside_of_a_photo_does_not_decide():
    # A dark frame around a bright photo: only the frame touches the ground.
    image = np.full((100, 100, 4), 255, np.uint8)
    image[:30], image[-30:], image[:, :30], image[:, -30:] = [(20, 20, 20, 255)] * 4
    image[:4], image[-4:] = 0, 0
    assert (to_rgb(image)[0] == WHITE).all()
    assert (to_rgb(np.zeros((5, 5, 4), np.uint8)) == WHITE).all()


def test_grey_and_16_bits_with_alpha():
    grey = inked((255, 255, 255))[..., 2:]
    np.testing.assert_array_equal(to_rgb(grey), to_rgb(inked((255, 255, 255))))
    deep = inked((255, 255, 255)).astype(np.uint16) * 257
    np.testing.assert_array_equal(to_rgb(deep), to_rgb(inked((255, 255, 255))))
