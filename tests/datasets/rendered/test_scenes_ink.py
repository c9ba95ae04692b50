"""Tests of how a scene's text is painted and photographed, and of what can be read then."""

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.rendered.scenes.block import set_column, set_lines
from input_pipeline.datasets.rendered.scenes.camera import Camera, photograph, pick_camera
from input_pipeline.datasets.rendered.scenes.fonts import Font
from input_pipeline.datasets.rendered.scenes.ink import Ink, pick_ink, pick_special_ink
from input_pipeline.datasets.rendered.scenes.legibility import Contrast, is_large
from input_pipeline.datasets.rendered.scenes.painting import paint, plate_outline
from input_pipeline.datasets.rendered.scenes.surface import Plane, outline


def letters_of(opacity, ground=128, noise=0.0):
    """The contrast and the outline of a word that stands out by `opacity` levels."""
    rng = np.random.default_rng(0)
    luma = np.clip(ground + rng.normal(0, noise, (80, 200)), 0, 255).astype(np.uint8)
    block = set_lines([["Legible"]], Font(), 36)
    surface = Plane((0.0, 0.0), None, np.array([[1.0, 0, 20], [0, 1.0, 20], [0, 0, 1]]))
    picture = np.zeros((80, 200, 3), np.uint8)
    inked = paint(rng, picture, block, surface, Ink())
    x, y = inked.first
    height, width = inked.letters.shape
    luma[y : y + height, x : x + width] = np.clip(
        luma[y : y + height, x : x + width] + opacity * (inked.letters / 255.0), 0, 255
    ).astype(np.uint8)
    left, top, right, bottom = block.lines[0].boxes[0]
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32) + 20
    return Contrast(luma, inked), corners


@pytest.mark.parametrize(
    ("opacity", "noise", "expected"), [(80, 0, True), (20, 0, True), (5, 0, False), (20, 60, False)]
)
def test_letters_must_stand_out_from_their_ground(opacity, noise, expected):
    contrast, polygon = letters_of(opacity, noise=noise)
    assert contrast.is_enough(polygon) == expected
    darker, polygon = letters_of(-opacity, noise=noise)
    assert darker.is_enough(polygon) == expected


def test_low_and_smeared_words_cannot_be_read():
    polygon = np.array([[0, 0], [50, 0], [50, 12], [0, 12]], np.float32)
    assert is_large(polygon, Camera())
    assert not is_large(0.5 * polygon, Camera())
    assert not is_large(polygon, Camera(blur=4.0))
    assert not is_large(polygon, Camera(motion=(20.0, 0.0)))


def scaled(scale):
    """A flat surface at (40, 40)."""
    return Plane((0.0, 0.0), None, np.array([[scale, 0, 40], [0, scale, 40], [0, 0, 1]]))


def test_a_columns_strokes_and_plates_are_those_of_a_line_of_the_same_letters():
    line, column = set_lines([["HOTELBAR"]], Font(), 30), set_column("HOTELBAR", Font(), 30)
    reached, lines = [], []
    for block in (line, column):
        picture = np.full((340, 340, 3), 128, np.uint8)
        inked = paint(np.random.default_rng(0), picture, block, scaled(1.0), Ink(stroke=0.05))
        rows, columns = np.nonzero((picture != 128).any(-1))
        height, width = block.letters.shape
        reached.append([40 - rows.min(), 40 - columns.min(), rows.max() - 39 - height, columns.max() - 39 - width])
        lines.append(inked.line)
        left, top = plate_outline(block, scaled(1.0), 0.5)[0]
        assert 8 < 40 - left == 40 - top < 20
    assert np.max(reached) <= 1  # a stroke of one pixel around what has a margin of one
    assert lines[0] == pytest.approx(lines[1], abs=2)


@pytest.mark.parametrize(
    ("scale", "camera", "expected"),
    [(1.0, Camera(), True), (0.4, Camera(), True), (0.2, Camera(), False), (1.0, Camera(blur=10.0), False)],
)
def test_a_column_is_read_by_the_height_of_its_letters(scale, camera, expected):
    column = set_column("HOTELBAR", Font(), 30)
    polygon = outline(scaled(scale), column.lines[0].box)
    assert is_large(polygon, camera, column.letter_share) == expected
    line = set_lines([["HOTELBAR"]], Font(), 30)
    assert is_large(outline(scaled(scale), line.lines[0].box), camera, line.letter_share) == expected


@pytest.mark.parametrize(("ground", "opacity", "contrast"), [(128, 1.0, 110.0), (30, 0.6, 90.0), (220, 0.7, 25.0)])
def test_letters_are_as_far_from_the_ground_as_the_ink_says(ground, opacity, contrast):
    block = set_lines([["Contrast"]], Font(weight=800), 60)
    surface = Plane((0.0, 0.0), None, np.array([[1.0, 0, 20], [0, 1.0, 20], [0, 0, 1]]))
    for seed in range(12):
        picture = np.full((110, 400, 3), ground, np.uint8)
        inked = paint(np.random.default_rng(seed), picture, block, surface, Ink(contrast=contrast, opacity=opacity))
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(int)
        x, y = inked.first
        full = luma[y : y + inked.letters.shape[0], x : x + inked.letters.shape[1]][inked.letters == 255]
        # Rounded in a few places; where no colour is so far away, black or white.
        farthest = opacity * max(ground, 255 - ground)
        assert abs(full.mean() - ground) >= min(contrast, farthest) - 4


def test_every_camera_keeps_the_size_and_most_of_the_light():
    scene = np.full((128, 150, 3), 120, np.uint8)
    scene[40:80, 50:100] = 220
    for seed in range(60):
        rng = np.random.default_rng(seed)
        picture = photograph(rng, scene, pick_camera(rng))
        assert picture.shape == scene.shape
        assert picture[45:75, 60:90].mean() > picture[:30].mean() + 4
    np.testing.assert_array_equal(photograph(np.random.default_rng(0), scene, Camera()), scene)
    np.testing.assert_array_equal(photograph(np.random.default_rng(0), scene, Camera(exposure=0.5)), scene // 2)
    assert {pick_camera(np.random.default_rng(seed)).exposure == 1 for seed in range(20)} == {True, False}


def test_inks_vary():
    inks = [pick_ink(np.random.default_rng(seed)) for seed in range(200)]
    for field in ("plate", "stroke", "border", "hollow", "gradient"):
        assert {bool(getattr(ink, field)) for ink in inks} == {True, False}
    assert {ink.shadow == (0.0, 0.0) for ink in inks} == {True, False}
    special = [pick_special_ink(np.random.default_rng(seed)) for seed in range(60)]
    for field in ("relief", "glow", "dots", "hollow", "plate"):
        assert {bool(getattr(ink, field)) for ink in special} == {True, False}
    assert min(ink.relief for ink in special) < 0 < max(ink.relief for ink in special)
    assert min(ink.opacity for ink in special) < 0.5


SPECIAL = {
    "engraved": Ink(relief=0.05),
    "raised": Ink(relief=-0.05),
    "faint": Ink(contrast=25.0),
    "glass": Ink(contrast=30.0, opacity=0.3),
    "outlined": Ink(stroke=0.05, hollow=True),
    "neon": Ink(contrast=120.0, glow=0.15),
    "dotted": Ink(contrast=100.0, dots=0.1),
}


def painted(ink, ground, text="Kinds of ink"):
    """A picture with a word in this ink, the change of its luma, what was painted, and the outline."""
    block = set_lines([[text]], Font(weight=700), 60)
    picture = np.full((150, 460, 3), ground, np.uint8)
    inked = paint(np.random.default_rng(1), picture, block, scaled(1.0), ink)
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return luma, luma.astype(int) - ground, inked, outline(scaled(1.0), block.lines[0].box)


@pytest.mark.parametrize("ground", [20, 128, 235])
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_inks_fill_the_outline_and_can_be_read(kind, ground):
    luma, change, inked, polygon = painted(SPECIAL[kind], ground)
    rows, columns = np.nonzero(np.abs(change) > 6)
    around = {"neon": 20, "dotted": 8}.get(kind, 4)
    low, high = polygon.min(0), polygon.max(0)
    np.testing.assert_allclose([columns.min(), rows.min()], low, atol=around)
    np.testing.assert_allclose([columns.max(), rows.max()], high, atol=around)
    assert Contrast(luma, inked).is_enough(polygon)
    empty = Contrast(np.full_like(luma, ground), inked)
    assert not empty.is_enough(polygon)


@pytest.mark.parametrize(("relief", "sign"), [(0.06, -1), (-0.06, 1)])
def test_the_upper_edges_of_engraved_letters_are_dark_and_of_raised_ones_light(relief, sign):
    _, change, _, _ = painted(Ink(relief=relief), 128, "I")
    dark, light = (np.argwhere(part).mean(0) for part in (change < -30, change > 30))
    assert (sign * (dark - light) > 1).all()
    assert np.median(change) == 0


def test_dotted_letters_are_dots():
    solid, dotted = (painted(ink, 30, "H")[1] for ink in (Ink(contrast=100.0), SPECIAL["dotted"]))
    count = [cv2.connectedComponents((np.abs(change) > 60).astype(np.uint8))[0] - 1 for change in (solid, dotted)]
    assert count[0] == 1
    assert count[1] > 15
