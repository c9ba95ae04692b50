"""Things that a detector must not take for text: wheels, balls, icons, arrows, grilles, road markings.

They stand beside the text. The things of `backgrounds` may also stand below it.
"""

import math
from collections.abc import Callable

import numpy as np

from dbnet_jax.typing import Image, Polygon
from input_pipeline.datasets.rendered.scenes.ink import Color
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.surface import Plane
from input_pipeline.datasets.rendered.synthetic.background import fill_polygon, pick_color

# Polygons that are painted one over the other, in the square [-1, 1]² with y downwards.
Drawing = list[tuple[Polygon, Color]]
_SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_SMALLEST, _LARGEST = 6.0, 0.22  # half the side of a thing: pixels, and a share of the picture's shorter side


def paint_clutter(rng: np.random.Generator, picture: Image, occupied: OccupancyMap, count: int) -> None:
    """Paints up to `count` things in place, each with copies beside it or none. `occupied` takes their places."""
    for _ in range(count):
        drawing = _THINGS[rng.integers(len(_THINGS))](rng)
        half = math.exp(rng.uniform(math.log(_SMALLEST), math.log(_LARGEST * min(picture.shape[:2]))))
        plane = _pick_plane(rng, half)
        for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.3 else 1):
            taken = plane.place(_SQUARE * 1.15)
            shift = occupied.find(rng, taken, False)
            if shift is None:
                break
            occupied.take(taken + shift)
            there = plane.then(1.0, shift)
            for polygon, color in drawing:
                fill_polygon(picture, there.place(polygon), color)


def _pick_plane(rng: np.random.Generator, half: float) -> Plane:
    """The square with sides of 2 `half` pixels about the origin; narrowed, turned a little and in perspective."""
    turn = rng.normal(0, 0.15)
    cos, sin = math.cos(turn), math.sin(turn)
    narrow = rng.uniform(0.45, 1.0) if rng.random() < 0.4 else 1.0
    right, down = rng.uniform(-0.25, 0.25, 2)
    scale = np.array([[half * narrow, 0, 0], [0, half, 0], [right, down, 1]])
    return Plane((0.0, 0.0), None, np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ scale)


def _disc(radius: float, x: float = 0.0, y: float = 0.0) -> Polygon:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], -1)


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _turned(polygon: Polygon, angle: float) -> Polygon:
    cos, sin = math.cos(angle), math.sin(angle)
    return polygon @ np.array([[cos, sin], [-sin, cos]])


def _grey(rng: np.random.Generator, low: int, high: int) -> Color:
    level = int(rng.integers(low, high))
    return level, level, level


def _wheel(rng: np.random.Generator) -> Drawing:
    """A tyre, a rim with spokes, and a hub."""
    tyre, metal, gap = _grey(rng, 5, 60), _grey(rng, 110, 240), _grey(rng, 10, 90)
    rim, hub, wide = rng.uniform(0.6, 0.85), rng.uniform(0.08, 0.25), rng.uniform(0.04, 0.12)
    count = int(rng.integers(3, 17))
    spoke = _box(0.0, -wide, rim, wide)
    spokes = [(_turned(spoke, 2 * math.pi * number / count), metal) for number in range(count)]
    return [(_disc(1.0), tyre), (_disc(rim), metal), (_disc(0.88 * rim), gap), *spokes, (_disc(hub), metal)]


def _ball(rng: np.random.Generator) -> Drawing:
    """A ball in the light from above, with patches, or with stripes, or plain."""
    color, other = np.array(pick_color(rng)), pick_color(rng)
    layers = 6
    drawing: Drawing = []
    for layer in range(layers):
        red, green, blue = np.minimum(255, color * (0.6 + 0.4 * layer / (layers - 1))).astype(int).tolist()
        away = layer / layers
        drawing.append((_disc(1 - 0.8 * away, -0.25 * away, -0.35 * away), (red, green, blue)))
    kind = rng.integers(3)
    if kind == 0:
        patch = _disc(0.24)[::8]  # a pentagon
        spots = [(0.62 * math.cos(angle), 0.62 * math.sin(angle)) for angle in np.arange(5) * 2 * math.pi / 5]
        drawing += [(patch + np.array(spot), other) for spot in [(0.0, 0.0), *spots]]
    elif kind == 1:
        y = rng.uniform(0.1, 0.3)
        drawing.append((_box(-math.sqrt(1 - y * y), -y, math.sqrt(1 - y * y), y), other))
    return drawing


def _arrow(rng: np.random.Generator) -> Polygon:
    """An arrow to the right, straight or bent like that of a turn."""
    shaft, head, neck = rng.uniform(0.1, 0.25), rng.uniform(0.35, 0.6), rng.uniform(-0.2, 0.4)
    tail = [[-0.75, shaft], [-0.75, -shaft]]
    if rng.random() < 0.3:
        tail = [[-0.75 + 2 * shaft, shaft], [-0.75 + 2 * shaft, 0.65], [-0.75, 0.65], [-0.75, -shaft]]
    return np.array([[neck, -shaft], [neck, -head], [0.75, 0.0], [neck, head], [neck, shaft], *tail])


def _star(rng: np.random.Generator) -> Polygon:
    points = 2 * int(rng.integers(4, 9))
    reach = np.where(np.arange(points) % 2, rng.uniform(0.25, 0.5), 0.75)
    angles = np.arange(points) * 2 * math.pi / points - math.pi / 2
    return np.stack([reach * np.cos(angles), reach * np.sin(angles)], -1)


def _heart(rng: np.random.Generator) -> Polygon:
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    upper = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -upper], -1) * (0.7 / 17)


def _chevrons(rng: np.random.Generator) -> list[Polygon]:
    one = np.array([[-0.15, -0.5], [0.05, -0.5], [0.3, 0.0], [0.05, 0.5], [-0.15, 0.5], [0.1, 0.0]])
    return [one + np.array([x, 0.0]) for x in (-0.4, 0.0, 0.4)[: rng.integers(1, 4)]]


def _person(rng: np.random.Generator) -> list[Polygon]:
    legs = [_box(-0.22, 0.1, -0.03, 0.7), _box(0.03, 0.1, 0.22, 0.7)]
    return [_disc(0.17, 0.0, -0.58), _box(-0.26, -0.36, 0.26, 0.15), *legs]


def _icon(rng: np.random.Generator) -> Drawing:
    """A symbol on a round or square plate, on a rim or none: an arrow, a star, a heart, chevrons, a person."""
    plate, mark = pick_color(rng), _grey(rng, 0, 40) if rng.random() < 0.4 else _grey(rng, 215, 256)
    shape = _disc(1.0) if rng.random() < 0.6 else _SQUARE
    kind = int(rng.integers(5))
    if kind == 0:
        symbol = [_turned(_arrow(rng), float(rng.integers(8)) * math.pi / 4)]
    elif kind < 3:
        symbol = [_star(rng) if kind == 1 else _heart(rng)]
    else:
        symbol = _chevrons(rng) if kind == 3 else _person(rng)
    rim = [(shape, mark)] if rng.random() < 0.5 else [(shape, plate)]
    return [*rim, (0.88 * shape, plate), *[(0.9 * part, mark) for part in symbol]]


def _target(rng: np.random.Generator) -> Drawing:
    """Rings around each other, as of a button, a lens or a loudspeaker."""
    colors = pick_color(rng), pick_color(rng)
    radii = np.linspace(1.0, rng.uniform(0.15, 0.4), int(rng.integers(3, 8)))
    return [(_disc(float(radius)), colors[number % 2]) for number, radius in enumerate(radii)]


def _grille(rng: np.random.Generator) -> Drawing:
    """Dark slots in a plate, as of a car, a drain or a vent."""
    plate, slot = _grey(rng, 60, 230), _grey(rng, 0, 50)
    rows, columns = int(rng.integers(3, 12)), int(rng.integers(1, 4))
    filled = rng.uniform(0.3, 0.8)
    drawing: Drawing = [(_SQUARE if rng.random() < 0.7 else _disc(1.0), plate)]
    step = np.array([1.2 / columns, 1.2 / rows])
    for row in range(rows):
        for column in range(columns):
            left, top = -0.6 + step * (column, row)
            drawing.append((_box(left, top, left + 0.85 * step[0], top + filled * step[1]), slot))
    return [(polygon[:, ::-1], color) for polygon, color in drawing] if rng.random() < 0.5 else drawing


def _road_marking(rng: np.random.Generator) -> Drawing:
    """A white or yellow arrow, dashes or a crossing on asphalt; far ends are narrow."""
    level = int(rng.integers(50, 120))
    paint = (230, 190, 60) if rng.random() < 0.2 else _grey(rng, 190, 256)
    kind = int(rng.integers(3))
    if kind == 0:
        marks = [_turned(_arrow(rng), -math.pi / 2)]
    elif kind == 1:
        marks = [_box(x, y, x + 0.12, y + 0.3) for x in (-0.5, 0.4) for y in (-0.9, -0.4, 0.1, 0.6)]
    else:
        marks = [_box(x, -0.5, x + 0.13, 0.5) for x in np.arange(-0.9, 0.8, 0.27)]
    drawing = [(_SQUARE, (level, level, level)), *[(mark, paint) for mark in marks]]
    return [
        (polygon * np.stack([0.75 + 0.25 * polygon[:, 1], np.ones(len(polygon))], -1), color)
        for polygon, color in drawing
    ]


_THINGS: list[Callable[[np.random.Generator], Drawing]] = [_wheel, _ball, _icon, _icon, _target, _grille, _road_marking]
