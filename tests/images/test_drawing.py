"""Polygons and maps as pictures."""

import numpy as np
import pytest

from dbnet_jax.images.drawing import DETECTED, IGNORED, TRUTH, draw_polygons, heatmap, scale_polygons, side_by_side

SQUARE = np.array([[20, 20], [60, 20], [60, 60], [20, 60]], np.float32)


def _picture(height=100, width=120, value=128):
    return np.full((height, width, 3), value, np.uint8)


def _share_of(picture, color):
    """The share of pixels of about this colour; a thin antialiased line does not reach it in full."""
    return float((np.abs(picture.astype(int) - color).sum(axis=-1) < 90).mean())


def test_the_line_passes_through_the_vertices_and_the_picture_given_stays_as_it_was():
    image = _picture()
    drawn = draw_polygons(image, [SQUARE], color=(255, 0, 0), thickness=3)
    for x, y in [(20, 20), (60, 60), (40, 20), (20, 40)]:
        assert tuple(drawn[y, x]) == (255, 0, 0)
    assert (drawn[40, 40] == 128).all()
    assert (drawn[80:, 80:] == 128).all()
    assert (image == 128).all()


@pytest.mark.parametrize("background", [0, 255])
def test_a_line_reads_on_any_background(background):
    """White on white: the rim stands out; on black: the line itself does."""
    drawn = draw_polygons(_picture(value=background), [SQUARE], color=(255, 255, 255), thickness=2)
    across = drawn[40, 10:30].astype(int).sum(axis=-1)
    assert across.max() - across.min() > 3 * 100


def test_a_neighbour_does_not_hide_a_line():
    touching = SQUARE + np.array([43, 0], np.float32)
    alone = draw_polygons(_picture(), [SQUARE], color=(255, 0, 0), thickness=3)
    both = draw_polygons(_picture(), [SQUARE, touching], color=(255, 0, 0), thickness=3)
    red = (alone == (255, 0, 0)).all(axis=-1)
    assert red.any()
    assert (both[red] == (255, 0, 0)).all()


def test_half_pixels_are_drawn_as_such():
    """A shift by half a pixel moves the weight of an antialiased line by about half a pixel."""

    def centre(polygon):
        drawn = draw_polygons(_picture(value=0), [polygon], color=(255, 255, 255), thickness=3)
        weight = drawn[40, 5:40, 0].astype(float)
        return (weight * np.arange(5, 40)).sum() / weight.sum()

    assert centre(SQUARE + np.float32(0.5)) - centre(SQUARE) == pytest.approx(0.5, abs=0.2)


def test_lines_are_wider_on_larger_pictures():
    def ink(size):
        polygon = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32) * (size / 10)
        drawn = draw_polygons(_picture(size, size), [polygon], color=(255, 0, 0))
        return (drawn == (255, 0, 0)).all(axis=-1).sum() / size

    assert ink(1600) > 1.5 * ink(200)


@pytest.mark.parametrize(
    "polygon",
    [
        np.array([[np.nan, 0], [5, 5], [0, 5]], np.float32),
        np.array([[np.inf, 0], [5, 5], [0, 5]], np.float32),
        np.zeros((0, 2), np.float32),
    ],
)
def test_what_cannot_be_drawn_is_left_out(polygon):
    labels = ["bad", ""]
    drawn = draw_polygons(_picture(), [polygon, SQUARE], labels=labels)
    assert (drawn == draw_polygons(_picture(), [SQUARE])).all()


def test_polygons_may_lie_outside_and_pictures_may_be_one_pixel():
    huge = np.array([[-1e30, -5], [1e30, -5], [1e30, 9], [-1e30, 9]], np.float32)
    drawn = draw_polygons(_picture(), [huge], color=(255, 0, 0), thickness=3)
    assert (drawn[9, 60] == (255, 0, 0)).all()
    tiny = draw_polygons(_picture(1, 1), [SQUARE], labels=["0.95"])
    assert tiny.shape == (1, 1, 3)


def test_labels_are_written_inside_the_picture():
    plain = draw_polygons(_picture(), [SQUARE], color=(255, 0, 0))
    tagged = draw_polygons(_picture(), [SQUARE], color=(255, 0, 0), labels=["0.95"])
    assert _share_of(tagged, (255, 0, 0)) > _share_of(plain, (255, 0, 0))
    # Light on dark, in a rim of the line's colour: it can be read whatever that is.
    changed = (tagged != plain).any(axis=-1)
    assert (tagged[changed].min(axis=-1) > 200).any()
    assert (tagged[changed].max(axis=-1) < 40).mean() > 0.2
    at_the_top = SQUARE - np.array([0, 20], np.float32)
    tagged = draw_polygons(_picture(), [at_the_top], color=(255, 0, 0), labels=["0.95"])
    assert (tagged != draw_polygons(_picture(), [at_the_top], color=(255, 0, 0))).any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`labels`"):
        draw_polygons(_picture(), [SQUARE], labels=[])
    with pytest.raises(ValueError, match="`thickness`"):
        draw_polygons(_picture(), [SQUARE], thickness=0)
    with pytest.raises(ValueError, match="`low`"):
        heatmap(np.zeros((2, 2), np.float32), low=1.0, high=1.0)
    with pytest.raises(ValueError, match="`ignore`"):
        side_by_side(_picture(), truths=[SQUARE], ignore=[])
    with pytest.raises(ValueError, match="`columns`"):
        side_by_side(_picture(), columns=0)


def test_a_heatmap_rises_in_lightness_and_clamps():
    ramp = heatmap(np.linspace(0, 1, 256, dtype=np.float32)[None])[0].astype(float)
    lightness = ramp @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -1.5).all()
    assert lightness[0] < 5
    assert lightness[-1] > 200
    values = np.array([[-3.0, 0.3, 0.7, 9.0, np.nan, np.inf]])
    painted = heatmap(values, low=0.3, high=0.7)[0]
    assert (painted[0] == painted[1]).all()
    assert (painted[2] == painted[3]).all()
    assert (painted[4] == painted[0]).all()
    assert (painted[5] == painted[3]).all()


def test_scaling_keeps_pixel_corners():
    """The corner of a picture, (-0.5, -0.5) to (w - 0.5, h - 0.5), stays its corner."""
    corners = np.array([[-0.5, -0.5], [119.5, 99.5]], np.float32)
    (scaled,) = scale_polygons([corners], 2.5)
    assert scaled.tolist() == [[-0.5, -0.5], [299.5, 249.5]]


def test_side_by_side_shows_what_it_is_given():
    maps = np.zeros((50, 60), np.float32)
    sheet = side_by_side(
        _picture(value=20),
        probability_map=maps,
        threshold_map=maps,
        binary_map=maps,
        truths=[SQUARE, SQUARE + np.float32(30)],
        ignore=np.array([False, True]),
        detections=[SQUARE],
        panel_width=240,
    )
    height, width, _ = sheet.shape
    assert width == 3 * 240 + 4 * 8
    truth, detections = sheet[height // 2 :, 256:488], sheet[height // 2 :, 496:]
    assert _share_of(truth, TRUTH) > 0.001
    assert _share_of(truth, IGNORED) > 0.001
    assert _share_of(detections, DETECTED) > 0.001
    assert _share_of(detections, TRUTH) == 0
    alone = side_by_side(_picture(), panel_width=240)
    assert alone.shape == (26 + 200 + 16, 240 + 16, 3)
