"""The blocks of text in a scene: their number, sizes, surfaces and places."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from input_pipeline.datasets.rendered.scenes.block import Block, set_column, set_lines
from input_pipeline.datasets.rendered.scenes.fonts import Font, pick_font
from input_pipeline.datasets.rendered.scenes.ink import Ink, pick_ink, plate_outline
from input_pipeline.datasets.rendered.scenes.layouts import Band
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.surface import Arc, Plane, Strip, Surface, Wave
from input_pipeline.datasets.rendered.scenes.vocabulary import UNSPACED, pick_script, pick_words

# Font sizes in pixels of the picture. They do not depend on its size, because a detector sees text in pixels.
SMALLEST, LARGEST = 7.0, 160.0
_SET_SMALLEST, _SET_LARGEST = 20, 110  # font sizes of blocks before they are scaled
_MOST = 44  # blocks in 640×640 pixels; in proportion for other sizes
_APART = 0.45  # font sizes that a block keeps free around itself
_LEAST_APART = 4.0  # pixels: two cells of `OccupancyMap`
_SHRINK = (1.0, 0.6, 0.4)  # scales that are tried one after another until a block fits


@dataclasses.dataclass(frozen=True)
class Placed:
    """A block in the picture.

    **Arguments:**

    - `script`: the script of most of its text.
    """

    block: Block
    surface: Surface
    ink: Ink
    script: str


@dataclasses.dataclass(frozen=True)
class Mood:
    """What the blocks of one scene have in common.

    **Arguments:**

    - `count`: how many blocks are tried.
    - `size`: the median of their font sizes, in pixels.
    - `turn`: the median direction of their lines, in radians.
    - `tilt`: their common perspective: two entries of the homography's third row, in 1/font size, and a shear.
    - `faces`: the fonts.
    - `calm`: whether the blocks stand on calm ground.
    - `dense`: whether most blocks are lines and paragraphs.
    """

    count: int
    size: float
    turn: float
    tilt: tuple[float, float, float]
    faces: tuple[str, ...]
    calm: bool
    dense: bool


def pick_mood(rng: np.random.Generator, size: tuple[int, int], faces: tuple[str, ...]) -> Mood:
    """A random mood for a picture of `size` (height, width)."""
    most = max(2.0, _MOST * size[0] * size[1] / 640**2)
    # Scenes with small print have more blocks.
    dense = bool(rng.random() < 0.33)
    largest = min(30 if dense else 80, min(size) / 4)
    spread = math.radians(rng.choice([4, 20, 90], p=[0.6, 0.25, 0.15]))
    tilted = rng.random() < 0.5
    right, down, shear = (rng.uniform(-1, 1, 3) * (0.022, 0.022, 0.25)).tolist()
    return Mood(
        count=round(math.exp(rng.uniform(0, math.log(most)))),
        size=math.exp(rng.uniform(math.log(10), math.log(largest))),
        turn=float(rng.uniform(-spread, spread)),
        tilt=(right, down, shear) if tilted else (0.0, 0.0, 0.0),
        faces=tuple(faces[place] for place in rng.integers(len(faces), size=int(rng.integers(1, 5)))),
        calm=bool(rng.random() < 0.7),
        dense=dense,
    )


def compose(rng: np.random.Generator, size: tuple[int, int], mood: Mood, occupied: OccupancyMap) -> Iterator[Placed]:
    """The blocks that found a place. `occupied` takes each of them at once."""
    for _ in range(mood.count):
        placed = _try(rng, size, mood, occupied)
        if placed is not None:
            yield placed


def _try(rng: np.random.Generator, size: tuple[int, int], mood: Mood, occupied: OccupancyMap) -> Placed | None:
    wanted = float(np.clip(mood.size * math.exp(rng.normal(0, 0.45)), SMALLEST, min(LARGEST, min(size) / 2)))
    script, font, ink = pick_script(rng), pick_font(rng, mood.faces), pick_ink(rng)
    set_size = int(np.clip(1.25 * wanted, _SET_SMALLEST, _SET_LARGEST))
    block = _set_block(rng, script, font, set_size, mood.dense)
    if block is None:
        return None
    plane = _tilt(rng, block, font, set_size, mood)
    # It shrinks until it fits, but it stays legible.
    extent = np.ptp(plate_outline(block, plane, 0.0), 0)
    largest = min(wanted / set_size, *(0.94 * np.array(size[::-1]) / extent).tolist())
    for scale in (part * largest for part in _SHRINK):
        if scale * set_size < SMALLEST:
            break
        # The plate needs free room too.
        apart = max(_APART * set_size, ink.plate * block.line_height + _LEAST_APART / scale)
        scaled = plane.then(scale, np.zeros(2))
        taken = plate_outline(block, scaled, apart / block.line_height)
        shift = occupied.find(rng, taken, mood.calm)
        if shift is not None:
            occupied.take(taken + shift.astype(np.float32))
            return Placed(block, scaled.then(1.0, shift), ink, script)
    return None


def _set_block(rng: np.random.Generator, script: str, font: Font, size: int, dense: bool) -> Block | None:
    """A word, a line, a paragraph or a column."""
    kind = rng.choice(4, p=[0.1, 0.4, 0.47, 0.03] if dense else [0.42, 0.34, 0.17, 0.07])
    if kind == 3:
        word = pick_words(rng, script, 1)[0][:8]
        return set_column(word, font, size)
    rows = 1 if kind < 2 else int(rng.integers(2, 8))
    longest = 1 if kind == 0 else int(rng.integers(2, 7))
    counts = rng.integers(1 if rows > 1 else longest, longest + 1, rows)
    lines = [pick_words(rng, script, 1 if kind == 0 else int(count)) for count in counts]
    return set_lines(
        lines,
        font,
        size,
        align=float(rng.choice([0, 0, 0.5, 1])),
        leading=float(rng.uniform(1.05, 1.6)),
        space=float(rng.uniform(0.2, 0.6)) if script not in UNSPACED else 0.3,
    )


def _tilt(rng: np.random.Generator, block: Block, font: Font, size: int, mood: Mood) -> Plane:
    """The surface of a block at the origin, in the block's own scale."""
    height, width = block.letters.shape
    curve = _bend(rng, height, width) if len(block.lines) == 1 and rng.random() < 0.22 else None
    wobble = math.radians(3) if mood.tilt == (0.0, 0.0, 0.0) else 0.0
    turn = mood.turn + (rng.normal(0, wobble) if rng.random() < 0.85 else rng.uniform(-math.pi / 2, math.pi / 2))
    cos, sin = math.cos(turn), math.sin(turn)
    reach = math.hypot(height, width) / 2 + (abs(curve.radius) / 4 if isinstance(curve, Arc) else 0)
    # The far end of the block is at most twice as far as its middle.
    right, down, shear = mood.tilt
    strength = min(1 / size, 0.35 / (reach * max(abs(right), abs(down), 1e-9)))
    matrix = np.array([[font.stretch, shear * font.stretch, 0], [0, 1, 0], [right * strength, down * strength, 1]])
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return Plane((width / 2, height / 2), curve, rotation @ matrix)


def _bend(rng: np.random.Generator, height: int, width: int) -> Arc | Wave | None:
    """A bend that letters stand and that the fourteen points of a polygon can follow; None for a straight line."""
    if width < 1.8 * height:
        return None
    if rng.random() < 0.75:
        # With a smaller radius, the feet of the letters would touch.
        most = min(math.radians(170), width / (1.2 * height), 17 * height / width)
        angle = rng.uniform(min(0.25, most), most)
        return Arc(float(rng.choice([-1, 1])) * width / angle)
    length = float(width * rng.uniform(0.5, 1.6))
    most = min(0.11 * length, 0.44 * height * (length / width) ** 2)
    return Wave(float(min(rng.uniform(0.15, 0.7) * height, most)), length, float(rng.uniform(0, 2 * math.pi)))


def fill_layout(
    rng: np.random.Generator,
    size: tuple[int, int],
    words: list[tuple[Band, str]],
    mood: Mood,
    occupied: OccupancyMap,
) -> Iterator[Placed]:
    """Words in the places of the `words` of a photograph, with their texts where these are known."""
    points = np.concatenate([edge for band, _ in words for edge in band])
    low, extent = points.min(0), np.maximum(np.ptp(points, 0), 1.0)
    # Their size in pixels changes little, if they fit.
    scale = min(float(rng.uniform(0.6, 1.5)), *(0.94 * np.array(size[::-1]) / extent).tolist())
    # At least one pixel from the rim.
    shift = 1 + rng.random(2) * (np.array(size[::-1]) - 3 - scale * extent) - scale * low
    font, ink = pick_font(rng, mood.faces), pick_ink(rng)
    ink = dataclasses.replace(ink, plate=0.0)
    for (upper, lower), text in words:
        if rng.random() < 0.3:
            font, ink = pick_font(rng, mood.faces), dataclasses.replace(pick_ink(rng), plate=0.0)
        edges = [(edge * scale + shift).astype(np.float32) for edge in (upper, lower)]
        placed = _fill(rng, edges[0], edges[1], text, font, ink)
        if placed is None or not occupied.fits(np.concatenate([edges[0], edges[1][::-1]])):
            continue
        occupied.take(np.concatenate([edges[0], edges[1][::-1]]))
        yield placed


def _fill(
    rng: np.random.Generator, upper: np.ndarray, lower: np.ndarray, text: str, font: Font, ink: Ink
) -> Placed | None:
    """A word along a band."""
    high = float(np.linalg.norm(upper - lower, axis=1).mean())
    middle = (upper + lower) / 2
    long = float(np.linalg.norm(np.diff(middle, axis=0), axis=1).sum())
    if high < 5 or long < 5:
        return None
    script = "Latin"
    if not text.strip():
        script = pick_script(rng)
        # Takes the one of a few words whose letters are stretched the least.
        choices = [pick_words(rng, script, 1)[0] for _ in range(6)]
        letter = 1.0 if script in (*UNSPACED, "Korean") else 0.55
        text = min(choices, key=lambda word: abs(math.log(max(letter * len(word), 0.3) * high / long)))
    block = set_lines([[text]], font, int(np.clip(1.4 * high, _SET_SMALLEST, _SET_LARGEST)))
    if block is None:
        return None
    height, width = block.letters.shape
    return Placed(block, Strip(upper, lower, width, height), ink, script)
