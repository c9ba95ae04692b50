"""Tests of where a scene's text lies: what is drawn lands where it is said to, and outlines follow it."""

import math

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.rendered.scenes.surface import Arc, Plane, Strip, Wave, outline

HEIGHT, WIDTH = 40, 160  # of the block
CURVES = {"flat": None, "arc": Arc(90.0), "arc downwards": Arc(-70.0), "wave": Wave(8.0, 120.0, 0.7)}


def plane(curve, *, turn=0.4, perspective=(8e-4, 1.5e-3)):
    cos, sin = 1.3 * math.cos(turn), 1.3 * math.sin(turn)
    return Plane((WIDTH / 2, HEIGHT / 2), curve, np.array([[cos, -sin, 200], [sin, cos, 200], [*perspective, 1]]))


def strip():
    """Half a ring of seven points to a side."""
    angles = np.linspace(math.pi, 2 * math.pi, 7)
    upper, lower = (np.stack([np.cos(angles), np.sin(angles)], -1) * radius + 200 for radius in (150, 105))
    return Strip(upper.astype(np.float32), lower.astype(np.float32), WIDTH, HEIGHT)


SURFACES = {**{name: plane(curve) for name, curve in CURVES.items()}, "strip": strip()}


@pytest.mark.parametrize("name", SURFACES)
def test_a_dot_is_drawn_where_its_place_is(name):
    surface = SURFACES[name]
    for point in [(20.0, 12.0), (80.0, 20.0), (80.0, 30.0), (131.0, 9.0), (140.0, 33.0)]:
        letters = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.circle(letters, tuple(map(int, point)), 3, (255,), -1, cv2.LINE_AA)
        # A part of the picture, as it is painted: the window does not begin at 0.
        drawn = surface.draw(letters, (17, 23), (400, 380)).astype(float)
        assert drawn.max() == 255
        rows, columns = np.nonzero(drawn)
        centre = np.average(np.stack([columns + 17, rows + 23]), 1, drawn[rows, columns])
        np.testing.assert_allclose(centre, surface.place(np.array([point]))[0], atol=1.2)


@pytest.mark.parametrize("name", SURFACES)
def test_an_outline_holds_what_is_drawn_in_its_box(name):
    surface, box = SURFACES[name], (30.0, 6.0, 130.0, 34.0)
    letters = np.zeros((HEIGHT, WIDTH), np.uint8)
    letters[6:34, 30:130] = 255
    drawn = surface.draw(letters, (0, 0), (420, 420)) > 127
    polygon = outline(surface, box)
    filled = cv2.fillPoly(np.zeros(drawn.shape, np.uint8), [np.rint(polygon).astype(np.int32)], (1,)) > 0
    assert (drawn & filled).sum() / (drawn | filled).sum() > 0.9


@pytest.mark.parametrize("name", SURFACES)
def test_an_outline_is_as_close_to_the_true_edge_as_it_says(name):
    surface, box = SURFACES[name], (4.0, 4.0, 156.0, 36.0)
    polygon = outline(surface, box)
    x = np.linspace(4, 156, 300)
    edges = [surface.place(np.stack([x, np.full_like(x, y)], -1)) for y in (4.0, 36.0)]
    height = np.linalg.norm(edges[0] - edges[1], axis=1).mean()
    away = [
        abs(cv2.pointPolygonTest(polygon, (float(a), float(b)), True))
        for edge in edges
        for a, b in edge.astype(np.float32)
    ]
    # The fourteen points that the strongest bend may have are as close as it gets.
    assert max(away) < (0.06 if len(polygon) < 14 else 0.1) * height + 0.05
    assert cv2.contourArea(polygon, oriented=True) > 0


def test_outlines_have_as_many_points_as_the_bend_needs():
    assert len(outline(SURFACES["flat"], (0.0, 0.0, 160.0, 40.0))) == 4
    assert len(outline(plane(Arc(5000.0)), (0.0, 0.0, 160.0, 40.0))) == 4
    counts = [len(outline(plane(Arc(radius)), (0.0, 0.0, 160.0, 40.0))) for radius in (700.0, 250.0, 60.0)]
    assert counts == sorted(counts)
    assert counts[0] > 4
    assert counts[-1] <= 14


@pytest.mark.parametrize("curve", [Arc(90.0), Arc(-70.0), Wave(8.0, 120.0, 0.7)])
def test_unbending_undoes_bending(curve):
    u, v = np.meshgrid(np.linspace(-80, 80, 9), np.linspace(-20, 20, 5))
    np.testing.assert_allclose(curve.unbend(*curve.bend(u, v)), (u, v), atol=1e-9)


def test_an_arc_with_a_positive_radius_rises_in_the_middle():
    centre, end = Plane((80.0, 20.0), Arc(90.0), np.eye(3)).place(np.array([[80.0, 20.0], [150.0, 20.0]]))
    assert centre[1] < end[1] - 10


def test_scaling_and_moving_a_surface_moves_its_points():
    surface = SURFACES["arc"]
    points = np.array([[10.0, 5.0], [100.0, 30.0]])
    np.testing.assert_allclose(
        surface.then(0.5, np.array([7.0, -3.0])).place(points), 0.5 * surface.place(points) + [7, -3], atol=1e-9
    )


def test_a_strip_is_filled_from_end_to_end():
    surface = strip()
    drawn = surface.draw(np.full((HEIGHT, WIDTH), 255, np.uint8), (0, 0), (400, 400)) > 127
    ring = np.concatenate([surface.upper, surface.lower[::-1]])
    filled = cv2.fillPoly(np.zeros(drawn.shape, np.uint8), [np.rint(ring).astype(np.int32)], (1,)) > 0
    assert (drawn & filled).sum() / (drawn | filled).sum() > 0.96
    np.testing.assert_allclose(surface.place(np.array([[0.0, 0.0], [WIDTH, HEIGHT]])), [ring[0], ring[7]], atol=1e-3)
