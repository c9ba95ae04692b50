"""Valid polygons, and the repair of others: the region stays, by hand and against shapely."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.geometry.validity import are_valid, crosses_itself, repair_polygon

BAR = [(0, 0), (100, 0), (100, 20), (0, 20)]
SHIFTED = [(1, 1), (101, 1), (101, 21), (1, 21)]
# What is wrong, the outline, and the region that it goes round.
BROKEN = {
    "a spike": ([*BAR[:3], (150, 20), *BAR[2:]], BAR),
    "a spike inwards": ([*BAR[:3], (50, 20), (50, 5), (50, 20), BAR[3]], BAR),
    "an edge run back": ([BAR[0], BAR[1], BAR[0], *BAR[1:]], BAR),
    "wound twice": (BAR * 2, BAR),
    "wound three times": (BAR * 3, BAR),
    "wound twice, not quite equally": (BAR + SHIFTED, [*BAR[:2], (100, 1), *SHIFTED[1:], (1, 20), BAR[3]]),
    "a waist of no width": ([(0, 0), (50, 10), (100, 0), (100, 20), (50, 10), (0, 20)], None),
    "a figure eight": ([(0, 0), (100, 60), (100, 0), (0, 60)], None),
    "a ring cut without width": (
        [(0, 0), (99, 0), (99, 99), (0, 99), (0, 0), (30, 30), (30, 70), (70, 70), (70, 30), (30, 30)],
        None,
    ),
}


def region_of(outline: Any) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(outline), method="structure", keep_collapsed=False)


def overlap(one: shapely.Geometry, other: shapely.Geometry) -> float:
    return one.intersection(other).area / one.union(other).area


@pytest.mark.parametrize("extent", [None, (160, 100)])
@pytest.mark.parametrize("name", BROKEN)
def test_a_repaired_polygon_is_valid_and_keeps_the_region(name: str, extent: tuple[int, int] | None) -> None:
    outline, expected = BROKEN[name]
    polygon = np.array(outline, np.float32)
    assert are_valid([polygon, np.array(BAR)]).tolist() == [False, True]
    repaired = repair_polygon(polygon, extent=extent)
    assert are_valid([repaired])[0]
    region = region_of(outline) if expected is None else shapely.Polygon(expected)
    assert overlap(shapely.Polygon(repaired), region) > (0.98 if extent is None else 0.93)
    # The first vertex and the direction stay: both may tell where the text begins.
    np.testing.assert_array_equal(repaired[0], polygon[0])
    if name != "a figure eight":  # its lobes have opposite directions
        signs = [np.sign(shapely.LinearRing(points).is_ccw - 0.5) for points in (repaired, BAR)]
        assert signs[0] == signs[1]


@pytest.mark.parametrize("outline", [[(0, 0), (5, 5), (10, 10)], [(3, 3)] * 4, [(0, 0), (9, 0), (0, 0), (9, 0)]])
def test_a_polygon_without_area_has_nothing_to_keep(outline: Any) -> None:
    polygon = np.array(outline, np.float64)
    assert not are_valid([polygon])[0]
    assert repair_polygon(polygon).shape == (0, 2)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_a_ring_is_cut_open(scale: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    outer, hole = (np.round((200 + radius * circle) * scale) for radius in (180, 140))
    opened = repair_polygon(outer, [hole], extent=(int(400 * scale), int(400 * scale)))
    assert are_valid([opened])[0]
    np.testing.assert_array_equal(opened, opened.round())
    assert overlap(shapely.Polygon(opened), shapely.Polygon(outer, [hole])) > 0.98


def test_many_vertices_and_many_crossings_end_soon() -> None:
    rng = np.random.default_rng(0)
    scribble = rng.uniform(0, 500, (150, 2)).astype(np.float32)  # thousands of holes
    repaired = repair_polygon(scribble)
    assert are_valid([repaired])[0]
    assert overlap(shapely.Polygon(repaired), region_of(scribble)) > 0.9
    turn = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    radius = 900 + rng.normal(size=3000)
    rough = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1) + 1000
    thin = repair_polygon(rough, extent=(2000, 2000))
    assert 3 <= len(thin) <= 1000
    assert are_valid([thin])[0]
    assert overlap(shapely.Polygon(thin), region_of(rough)) > 0.99


points = st.tuples(st.integers(-5, 35), st.integers(-5, 25))


@settings(max_examples=50, deadline=None)
@given(st.lists(points, min_size=3, max_size=9))
def test_any_outline_is_repaired(outline: list[tuple[int, int]]) -> None:
    region = region_of(outline)
    repaired = repair_polygon(np.array(outline, np.float32))
    assert (len(repaired) == 0) == (region.area == 0)
    if len(repaired):
        assert are_valid([repaired])[0]
    clipped = repair_polygon(np.array(outline, np.float32), extent=(30, 20))
    if len(clipped):
        assert are_valid([clipped])[0]
        assert np.all((clipped >= 0) & (clipped <= (30, 20)) & (clipped == clipped.round()))


def test_no_polygons() -> None:
    assert are_valid([]).shape == (0,)


@settings(max_examples=100)
@given(st.lists(points, min_size=3, max_size=7, unique=True))
def test_crosses_itself_agrees_with_shapely(outline: list[tuple[int, int]]) -> None:
    edges = [shapely.LineString([outline[i - 1], outline[i]]) for i in range(len(outline))]
    # Edges that touch, end to end or end to side, do not cross.
    assert crosses_itself(np.array(outline)) == any(a.crosses(b) for a in edges for b in edges)


def test_touching_is_not_crossing() -> None:
    crossing = {name: crosses_itself(np.array(outline)) for name, (outline, _) in BROKEN.items()}
    assert [name for name, crosses in crossing.items() if crosses] == [
        "wound twice, not quite equally",
        "a figure eight",
    ]
