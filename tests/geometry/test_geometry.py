"""Polygons: area, perimeter, offset, clip, order, and the affine map."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from dbnet_jax.geometry import (
    clip_to_image,
    crop_polygon,
    measure_polygons,
    next_vertices,
    offset_distance,
    offset_path,
    offset_polygon,
    order_quad,
    polygon_area,
    polygon_perimeter,
    transform_points,
)

RECTANGLE = np.array([[10, 10], [110, 10], [110, 50], [10, 50]], np.float32)
coordinates = st.floats(-1e4, 1e4, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=14).map(
    lambda points: np.array(points, np.float32)
)


def test_area_and_perimeter_of_a_rectangle_in_either_orientation() -> None:
    for polygon in (RECTANGLE, RECTANGLE[::-1], RECTANGLE.astype(np.int32)):
        assert polygon_area(polygon) == 4000
        assert polygon_perimeter(polygon) == 280


def test_area_of_an_l_shape_counts_the_notch() -> None:
    polygon = np.array([[0, 0], [4, 0], [4, 1], [1, 1], [1, 3], [0, 3]], np.float32)
    assert polygon_area(polygon) == 6
    assert polygon_perimeter(polygon) == 14


def test_area_far_from_the_origin_loses_no_digits() -> None:
    assert polygon_area(np.array([[0, 0], [0.5, 0], [0, 0.5]]) + 2.0**40) == 0.125


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_have_no_area(count: int) -> None:
    polygon = RECTANGLE[:count]
    assert polygon_area(polygon) == 0
    assert polygon_perimeter(polygon) == (200 if count == 2 else 0)
    assert offset_polygon(polygon, -2.0) == []


@given(polygons, st.integers(0, 13))
def test_area_and_perimeter_do_not_depend_on_the_first_vertex(polygon: np.ndarray, shift: int) -> None:
    rolled = np.roll(polygon, shift, axis=0)
    assert math.isclose(polygon_area(rolled), polygon_area(polygon), rel_tol=1e-9, abs_tol=1e-3)
    assert math.isclose(polygon_perimeter(rolled), polygon_perimeter(polygon), rel_tol=1e-9, abs_tol=1e-9)


@given(polygons)
def test_area_equals_the_shoelace_sum(polygon: np.ndarray) -> None:
    x, y = polygon.astype(np.float64).T
    shoelace = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    assert math.isclose(polygon_area(polygon), shoelace, rel_tol=1e-9, abs_tol=1e-3)


@given(st.lists(polygons, min_size=1, max_size=5))
def test_many_polygons_measure_as_each(several: list[np.ndarray]) -> None:
    counts = np.array([len(polygon) for polygon in several])
    areas, perimeters = measure_polygons(np.concatenate(several), counts)
    for polygon, area, perimeter in zip(several, areas, perimeters, strict=True):
        assert math.isclose(area, polygon_area(polygon), rel_tol=1e-12, abs_tol=1e-6)
        assert math.isclose(perimeter, polygon_perimeter(polygon), rel_tol=1e-12)


def test_after_a_last_vertex_comes_its_polygons_first() -> None:
    assert next_vertices(np.array([3, 1, 2])).tolist() == [1, 2, 0, 3, 5, 4]
    assert next_vertices(np.zeros(0, int)).tolist() == []
    areas, perimeters = measure_polygons(np.zeros((0, 2)), np.zeros(0, int))
    assert areas.shape == perimeters.shape == (0,)


def test_offset_distance_is_the_papers() -> None:
    assert offset_distance(RECTANGLE, 0.4) == pytest.approx(4000 * (1 - 0.16) / 280)
    assert offset_distance(RECTANGLE[:1], 0.4) == 0


def test_offset_shrinks_and_grows_a_rectangle() -> None:
    (shrunk,) = offset_polygon(RECTANGLE, -12.0)
    assert sorted(shrunk.tolist()) == [[22, 22], [22, 38], [98, 22], [98, 38]]
    (grown,) = offset_polygon(RECTANGLE, 12.0)
    assert grown.min(axis=0).tolist() == [-2, -2]
    assert grown.max(axis=0).tolist() == [122, 62]
    # Round corners: the square corners of the box lose (4 − π)·12² of its area.
    assert polygon_area(grown) == pytest.approx(124 * 64 - (4 - math.pi) * 144, rel=0.01)


def test_offset_of_a_path_is_that_of_its_polygon() -> None:
    (piece,) = offset_path(((10, 10), (110, 10), (110, 50), (10, 50)), 12.0)
    (grown,) = offset_polygon(RECTANGLE, 12.0)
    assert piece == grown.tolist()


def test_offset_truncates_coordinates_toward_zero() -> None:
    moved = np.array([[-0.9, -0.9], [50.9, -0.9], [50.9, 20.9], [-0.9, 20.9]])
    (grown,) = offset_polygon(moved, 3.0)
    assert grown.min(axis=0).tolist() == [-3, -3]
    assert grown.max(axis=0).tolist() == [53, 23]


def test_offset_may_leave_nothing_or_several_pieces() -> None:
    assert offset_polygon(RECTANGLE, -20.5) == []
    upper = [[0, 0], [40, 0], [40, 18], [60, 18], [60, 0], [100, 0]]
    dumbbell = np.array(upper + [[x, 40 - y] for x, y in upper[::-1]])
    pieces = offset_polygon(dumbbell, -5.0)
    assert sorted(piece[:, 0].mean() < 50 for piece in pieces) == [False, True]
    # The two squares of 40 by 40, five pixels in from each side.
    assert [polygon_area(piece) for piece in pieces] == pytest.approx([30 * 30] * 2, rel=0.05)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_offset_refuses_what_is_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        offset_polygon(RECTANGLE, bad)
    with pytest.raises(ValueError, match="`polygon`"):
        offset_polygon(np.array([[0, 0], [9, bad], [9, 9]], np.float32), 1.0)


def test_clip_moves_vertices_onto_the_border() -> None:
    clipped = clip_to_image(np.array([[-3, 2], [200, 2.5], [5, 99]]), height=50, width=100)
    assert clipped.tolist() == [[0, 2], [99, 2.5], [5, 49]]
    assert clip_to_image(RECTANGLE, height=1, width=1).tolist() == [[0, 0]] * 4


def test_transform_takes_points_by_the_matrix() -> None:
    matrix = np.array([[0.0, -2.0, 5.0], [3.0, 0.0, 7.0]])
    assert transform_points(matrix, np.array([[1, 10], [0, 0]])).tolist() == [[-15, 10], [5, 7]]
    padded = np.zeros((2, 3, 4, 2), np.float32)
    assert transform_points(matrix.astype(np.float32), padded).dtype == np.float32
    assert transform_points(matrix, padded).shape == (2, 3, 4, 2)


@given(st.permutations(range(4)), st.floats(-40, 40))
def test_order_is_clockwise_from_the_top_left(order: list[int], degrees: float) -> None:
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    quad = np.array([[-50.0, -45.0], [50.0, -45.0], [50.0, 45.0], [-50.0, 45.0]]) @ rotation.T
    assert np.array_equal(order_quad(quad[list(order)]), quad)


@given(st.integers(0, 2**32 - 1))
def test_many_quads_are_ordered_as_each(seed: int) -> None:
    # Of few values, so that vertices tie.
    quads = np.random.default_rng(seed).integers(0, 3, (7, 4, 2)).astype(np.float32)
    ordered = order_quad(quads)
    for quad, ours in zip(quads, ordered, strict=True):
        left, right = np.split(np.array(sorted(quad.tolist(), key=lambda point: point[0])), 2)
        left, right = (side if side[1, 1] > side[0, 1] else side[::-1] for side in (left, right))
        assert ours.tolist() == [left[0].tolist(), *right.tolist(), left[1].tolist()]
        np.testing.assert_array_equal(ours, order_quad(quad))
    assert order_quad(quads[:0]).shape == (0, 4, 2)


def test_a_cropped_polygon_is_its_intersection_with_the_picture():
    # A slanted quad that leaves a 100×100 picture on the right: vertices are added where its edges cross x = 99.
    quad = np.array([[50.0, 40.0], [149.0, 70.0], [149.0, 90.0], [50.0, 60.0]])
    cropped = crop_polygon(quad, 100, 100)
    slope = 30 / 99
    expected = {(50, 40), (99, 40 + 49 * slope), (99, 60 + 49 * slope), (50, 60)}
    assert sorted(map(tuple, cropped.round(6))) == sorted((x, round(y, 6)) for x, y in expected)
    assert len(crop_polygon(quad + 200, 100, 100)) == 0
    np.testing.assert_array_equal(crop_polygon(quad / 10, 100, 100), quad / 10)


@given(st.integers(0, 2**32 - 1))
def test_a_cropped_polygon_has_the_area_that_is_inside(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    polygon = np.stack([30 + 60 * np.cos(angles), 20 + 45 * np.sin(angles)], axis=-1)
    expected = shapely.Polygon(polygon).intersection(shapely.box(0, 0, 49, 39)).area
    assert polygon_area(crop_polygon(polygon, 40, 50)) == pytest.approx(expected, abs=1e-6)
