"""The blocks of text in a scene: their number, sizes, surfaces and places."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from dbnet_jax.characters import picture_order
from input_pipeline.datasets.rendered.scenes.block import Block, Line, join, set_column, set_lines
from input_pipeline.datasets.rendered.scenes.fonts import Font, pick_font
from input_pipeline.datasets.rendered.scenes.ink import Ink, pick_ink, pick_special_ink
from input_pipeline.datasets.rendered.scenes.layouts import Band
from input_pipeline.datasets.rendered.scenes.mood import Mood, pick_tilt
from input_pipeline.datasets.rendered.scenes.painting import hollow_reach, plate_outline
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.sheet import pick_sheet_ink, set_sheet
from input_pipeline.datasets.rendered.scenes.surface import Arc, Plane, Strip, Surface, Wave
from input_pipeline.datasets.rendered.scenes.vocabulary import (
    UNSPACED,
    pick_character,
    pick_script,
    pick_words,
    script_of,
)

# Font sizes in pixels of the picture. They do not depend on its size, because a detector sees text in pixels.
SMALLEST, LARGEST = 8.0, 480.0
_SET_SMALLEST, _SET_LARGEST = 20, 240  # font sizes of blocks before they are scaled
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


def compose(rng: np.random.Generator, size: tuple[int, int], mood: Mood, occupied: OccupancyMap) -> Iterator[Placed]:
    """The blocks that found a place. `occupied` takes each of them at once."""
    if mood.sheet:
        placed = _place_sheet(rng, size, mood, occupied)
        if placed is not None:
            yield placed
    for number in range(mood.count):
        # The largest comes first, while there is room.
        placed = _place_text(rng, size, mood, occupied, large=mood.large > 0 and number == 0)
        if placed is not None:
            yield placed


def _place_text(
    rng: np.random.Generator, size: tuple[int, int], mood: Mood, occupied: OccupancyMap, large: bool
) -> Placed | None:
    wanted = mood.large if large else mood.size * math.exp(rng.normal(0, 0.45))
    wanted = float(np.clip(wanted, SMALLEST, min(LARGEST, min(size) * (0.8 if large else 0.5))))
    script, font, ink = pick_script(rng), pick_font(rng, mood.faces), _pick_ink(rng, mood)
    set_size = int(np.clip(1.25 * wanted, _SET_SMALLEST, _SET_LARGEST))
    block = _set_large(rng, script, font, set_size) if large else _set_block(rng, script, font, set_size, mood)
    if block is None:
        return None
    plane = _tilt(rng, block, font, set_size, mood)
    there = _find_place(rng, size, block, plane, ink.plate, (set_size, wanted), mood.calm, occupied)
    return _placed(block, there, ink, script) if there else None


def _placed(block: Block, surface: Surface, ink: Ink, script: str) -> Placed:
    """A block whose boxes hold the strokes around hollow letters too."""
    return Placed(block.grown(hollow_reach(block, surface, ink)), surface, ink, script)


def _place_sheet(rng: np.random.Generator, size: tuple[int, int], mood: Mood, occupied: OccupancyMap) -> Placed | None:
    """A page, a receipt or a screen, most often in perspective."""
    script, font = pick_script(rng), dataclasses.replace(pick_font(rng, mood.faces), tracking=0.0)
    # The lines and font sizes that fit.
    rows, columns = (0.75 * side / mood.size for side in size)
    sheet = set_sheet(rng, script, font, _SET_SMALLEST, int(rows / 1.4), int(columns / font.stretch))
    if sheet is None:
        return None
    if rng.random() < 0.7:
        mood = dataclasses.replace(mood, tilt=pick_tilt(rng))
    plane = _tilt(rng, sheet, font, _SET_SMALLEST, mood)
    ink = pick_sheet_ink(rng)
    there = _find_place(rng, size, sheet, plane, ink.plate, (_SET_SMALLEST, mood.size), False, occupied)
    return _placed(sheet, there, ink, script) if there else None


def _find_place(
    rng: np.random.Generator,
    size: tuple[int, int],
    block: Block,
    plane: Plane,
    plate: float,
    font_sizes: tuple[int, float],
    calm: bool,
    occupied: OccupancyMap,
) -> Plane | None:
    """The surface of a block in a free place. The block shrinks until it fits, but it stays legible.

    **Arguments:**

    - `plane`: the surface at the origin, in the block's own scale.
    - `plate`: the margin of the plate, in line heights.
    - `font_sizes`: of the block as it is set, and as it should be in the picture, in pixels.
    """
    set_size, wanted = font_sizes
    extent = np.ptp(plate_outline(block, plane, plate), 0)
    largest = min(wanted / set_size, *(0.94 * np.array(size[::-1]) / extent).tolist())
    for scale in (part * largest for part in _SHRINK):
        if scale * set_size < SMALLEST:
            break
        # The plate needs free room too.
        apart = max(_APART * set_size, plate * block.line_height + _LEAST_APART / scale)
        scaled = plane.then(scale, np.zeros(2))
        taken = plate_outline(block, scaled, apart / block.line_height)
        shift = occupied.find(rng, taken, calm)
        if shift is not None:
            occupied.take(taken + shift.astype(np.float32))
            return scaled.then(1.0, shift)
    return None


def _pick_ink(rng: np.random.Generator, mood: Mood) -> Ink:
    return pick_special_ink(rng) if rng.random() < mood.special else pick_ink(rng)


def _set_large(rng: np.random.Generator, script: str, font: Font, size: int) -> Block | None:
    """One character, or a short word."""
    words = [pick_words(rng, script, 1)[0] for _ in range(4)]
    text = pick_character(rng, script) if rng.random() < 0.4 else min(words, key=len)
    return set_lines([[text]], font, size)


def _set_block(rng: np.random.Generator, script: str, font: Font, size: int, mood: Mood) -> Block | None:
    """A character, a word, a line, a paragraph, or one or more columns."""
    if rng.random() < mood.single:
        return set_lines([[pick_character(rng, script)]], font, size)
    if rng.random() < mood.columns:
        return _set_columns(rng, script, font, size)
    spaced = rng.random() < mood.spaced
    kind = rng.choice(3, p=[0.1, 0.42, 0.48] if mood.dense else [0.45, 0.37, 0.18])
    rows = 1 if kind < 2 or spaced else int(rng.integers(2, 8))
    longest = 1 if kind == 0 else int(rng.integers(2, 4 if spaced else 7))
    counts = rng.integers(1 if rows > 1 else longest, longest + 1, rows)
    lines = [pick_words(rng, script, 1 if kind == 0 else int(count)) for count in counts]
    return set_lines(
        lines,
        dataclasses.replace(font, tracking=float(rng.uniform(0.3, 1.5))) if spaced else font,
        size,
        align=float(rng.choice([0, 0, 0.5, 1])),
        leading=float(rng.uniform(1.05, 1.6)),
        space=float(rng.uniform(0.2, 0.6)) if script not in UNSPACED else 0.3,
    )


def _set_columns(rng: np.random.Generator, script: str, font: Font, size: int) -> Block | None:
    """One column, or a few side by side, from the right to the left."""
    texts = [pick_words(rng, script, 2 if script in UNSPACED else 1)[0][:10] for _ in range(rng.integers(1, 5))]
    if rng.random() < 0.7:
        texts = texts[:1]
    # Columns side by side are as long as each other: the height of their letters is the same part of them.
    length, leading = min(map(len, texts)), float(rng.uniform(1.0, 1.7))
    columns = [set_column(text[:length], font, size, leading) for text in texts]
    parts, left = [], 0
    for column in reversed([column for column in columns if column is not None]):
        parts.append((column, left, 0))
        # Farther apart than the letters of a column.
        left += column.letters.shape[1] + round(size * (leading - 1 + rng.uniform(0.4, 0.8)))
    return join(parts) if parts else None


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
    font, ink = pick_font(rng, mood.faces), dataclasses.replace(_pick_ink(rng, mood), plate=0.0)
    for (upper, lower), text in words:
        if rng.random() < 0.3:
            font, ink = pick_font(rng, mood.faces), dataclasses.replace(_pick_ink(rng, mood), plate=0.0)
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
    script = script_of(text) if text.strip() else pick_script(rng)
    if not text.strip():
        # Takes the one of a few words whose letters are stretched the least.
        choices = [pick_words(rng, script, 1)[0] for _ in range(6)]
        letter = 1.0 if script in (*UNSPACED, "Korean") else 0.55
        text = min(choices, key=lambda word: abs(math.log(max(letter * len(word), 0.3) * high / long)))
    block = set_lines([[picture_order(text)]], font, int(np.clip(1.4 * high, _SET_SMALLEST, _SET_LARGEST)))
    if block is None:
        return None
    block = dataclasses.replace(block, lines=[Line([text], block.lines[0].boxes)])
    if reach := hollow_reach(block, _strip(upper, lower, block), ink):
        # The strokes stay in the band too. The letters shrink with the block, and the strokes do not.
        block = block.padded(math.ceil(reach / (1 - 2 * reach / block.letters.shape[0])))
    return _placed(block, _strip(upper, lower, block), ink, script)


def _strip(upper: np.ndarray, lower: np.ndarray, block: Block) -> Strip:
    height, width = block.letters.shape
    return Strip(upper, lower, width, height)
