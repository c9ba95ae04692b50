"""Rendered words, one a picture: a recogniser's training crops when photographed ones are few."""

import dataclasses
import math
import os
import string
from collections.abc import Collection, Sequence
from typing import get_args

import cv2
import numpy as np

from dbnet_jax.characters import picture_order
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from dbnet_jax.paths import as_path
from dbnet_jax.typing import Image
from input_pipeline.datasets.parsing.json_values import shorten
from input_pipeline.datasets.rendered.arguments import check_rendered
from input_pipeline.datasets.rendered.scenes.backgrounds import Backgrounds
from input_pipeline.datasets.rendered.scenes.block import Block, set_lines
from input_pipeline.datasets.rendered.scenes.camera import Camera, photograph, pick_camera
from input_pipeline.datasets.rendered.scenes.fonts import Font, find_fonts, pick_font
from input_pipeline.datasets.rendered.scenes.ink import Ink, pick_ink
from input_pipeline.datasets.rendered.scenes.legibility import Contrast, is_large
from input_pipeline.datasets.rendered.scenes.painting import hollow_reach, paint, plate_outline
from input_pipeline.datasets.rendered.scenes.surface import Arc, Plane, outline
from input_pipeline.datasets.rendered.scenes.vocabulary import pick_words
from input_pipeline.datasets.rendered.synthetic.words import Split
from input_pipeline.datasets.sample import Dataset, Sample, whole_picture

_HEIGHTS = (9.0, 56.0)  # pixels of a word in its crop
_TRIES = 8  # of a word that the character set holds, and of a crop that can be read
_LONGEST = 1200  # pixels of a crop
_NEAREST = 0.3  # distance of a neighbouring word's near end from the camera; the word's middle is at 1


class WordImages(Dataset):
    """Pictures of one word each, cut out as a detector or an annotator would do it.

    Sample i is a pure function of the arguments and i, from any thread, and of the fonts at hand. Its polygon is the
    whole crop. The word may be slanted, curved or in perspective; parts of other words may reach into the crop.

    **Arguments:**

    - `count`, `seed`, `split`, `backgrounds`, `fonts`: as those of `SceneDataset`.
    - `characters`: what words are written with; "" is printable ASCII.
    - `vocabulary`: a UTF-8 file of words, one a line, for half of the crops; "": only the words that scenes have. A
        line with blanks is one text if `characters` has the blank; otherwise each of its words is one.

    **Raises:** ValueError if one is out of range or the vocabulary is no UTF-8 text, FileNotFoundError if a folder or
    file is not there or holds nothing.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        split: Split = "train",
        backgrounds: str | os.PathLike[str] = "",
        fonts: str = "",
        characters: Collection[str] = "",
        vocabulary: str | os.PathLike[str] = "",
    ):
        check_rendered(count, seed, split, (32, 32), 32)
        self._count = count
        # Other numbers than those of `SceneDataset` and `SyntheticDataset` of the same seed.
        self._stream = (seed, 2 * len(get_args(Split)) + get_args(Split).index(split))
        self._name = f"word_{split}"
        self._backgrounds = Backgrounds(backgrounds)
        self._faces = find_fonts(fonts)
        self._characters = frozenset(characters or string.ascii_letters + string.digits + string.punctuation)
        self._vocabulary = _read_vocabulary(vocabulary, phrases=" " in self._characters)
        self.problems: list[Problem] = []

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"{self._name}_{index:08}"

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self._count:
            raise IndexError(f"`index` (={index}) must be in [0, {self._count})")
        rng = np.random.default_rng((*self._stream, index))
        problems: list[Problem] = []
        for attempt in range(_TRIES):
            text = self._word(rng)
            crop = self._draw(rng, text, problems, plain=attempt == _TRIES - 1)
            if crop is not None:
                break
        else:
            raise RuntimeError(f"{self.name(index)}: no font writes {text!r}")
        return Sample(self.name(index), crop, [whole_picture(crop)], [False], [text], problems)

    def _word(self, rng: np.random.Generator) -> str:
        for _ in range(_TRIES):
            if self._vocabulary and rng.random() < 0.5:
                word = _in_case(rng, self._vocabulary[rng.integers(len(self._vocabulary))])
            else:
                word = pick_words(rng, "Latin", 1)[0]
            if word and self._characters.issuperset(word):
                return word
        letters = sorted(self._characters)
        return "".join(letters[place] for place in rng.integers(len(letters), size=int(rng.integers(1, 8))))

    def _draw(self, rng: np.random.Generator, text: str, problems: list[Problem], plain: bool) -> Image | None:
        """A crop; None where it cannot be read, or the font leaves no ink. `plain`: it can always be read.

        **Raises:** BadPicture if a plain text is too long.
        """
        font = Font() if plain else pick_font(rng, self._faces)
        ink = Ink(contrast=110.0, plate=0.9) if plain else pick_ink(rng)
        height = math.exp(rng.uniform(math.log(_HEIGHTS[0]), math.log(_HEIGHTS[1])))
        size = int(np.clip(1.4 * height, 16, 64))
        block = set_lines([[picture_order(text)]], font, size)
        if block is None:
            return None
        length = block.letters.shape[1] / block.line_height  # in heights
        if length * height > _LONGEST:
            if not plain:
                return None
            height = _LONGEST / length
            if height < _HEIGHTS[0]:
                what = f"{shorten(text)} would be longer than {_LONGEST} pixels where it is {_HEIGHTS[0]:g} pixels high"
                raise BadPicture(f"{self._name}: {what}; shorten it in `config.data.vocabulary`")
        plane = _surface(rng, block, height, font.stretch)
        block = block.grown(hollow_reach(block, plane, ink))
        whole = outline(plane, block.lines[0].box)
        margins = np.abs(rng.normal(0, 0.13, 4)) * height * rng.choice([0.3, 1.0])
        low, high = whole.min(0) - margins[:2], whole.max(0) + margins[2:]
        plane = plane.then(1.0, -low)
        extent = tuple(max(4, math.ceil(side)) for side in (high - low)[::-1].tolist())
        scene = self._backgrounds.paint(rng, (extent[0], extent[1]), problems, share=(0.04, 0.6))
        if rng.random() < 0.2:
            self._add_neighbour(rng, scene, block, plane, font, ink, size)
        inked = paint(rng, scene, block, plane, ink)
        camera = _milder(rng, pick_camera(rng), height)
        picture = photograph(rng, scene, camera)
        polygon = outline(plane, block.lines[0].box)
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        if plain or (is_large(polygon, camera) and Contrast(luma, inked).is_enough(polygon)):
            return picture
        return None

    def _add_neighbour(
        self, rng: np.random.Generator, scene: Image, block: Block, plane: Plane, font: Font, ink: Ink, size: int
    ) -> None:
        """Another word beside, above or below, of which a part may be seen."""
        other = set_lines([[picture_order(self._word(rng))]], font, size)
        if other is None:
            return
        beside, apart = rng.random() < 0.5, rng.uniform(1.02, 1.35)
        gap = (apart - 1) * block.line_height
        right, down = 0.0, float(rng.choice([-1, 1])) * apart * block.line_height
        if beside:
            sign = float(rng.choice([-1, 1]))
            right, down = sign * ((block.letters.shape[1] + other.letters.shape[1]) / 2 + 2 * gap), 0.0
        moved = plane.matrix @ np.array([[1, 0, right], [0, 1, down], [0, 0, 1]])
        centre = (other.letters.shape[1] / 2, other.letters.shape[0] / 2)
        if (moved[2, 2] - np.abs(moved[2, :2]) @ centre) < _NEAREST:
            return  # a part of it would be behind the camera
        there = Plane(centre, None, moved)
        seen = plate_outline(other, there, 0.0)
        if (seen.max(0) > 1).all() and (seen.min(0) < np.array(scene.shape[1::-1]) - 1).all():
            paint(rng, scene, other, there, ink)


def _surface(rng: np.random.Generator, block: Block, height: float, stretch: float) -> Plane:
    """The block, `height` pixels high in the picture, about the origin."""
    rows, columns = block.letters.shape
    scale = height / block.line_height
    curve = None
    if rng.random() < 0.12 and columns > 1.8 * rows:
        most = min(math.radians(120), columns / (1.2 * rows))
        angle = rng.uniform(min(0.25, most), most)
        curve = Arc(float(rng.choice([-1, 1])) * columns / angle)
    turn = math.radians(rng.normal(0, 2.5 if rng.random() < 0.8 else 9.0))
    cos, sin = math.cos(turn), math.sin(turn)
    right, down, shear = (rng.normal(0, 1, 3) * (0.12, 0.12, 0.15)).tolist() if rng.random() < 0.5 else (0.0, 0.0, 0.0)
    # Shares of the half of the block, as it is bent: its far end is at most a third farther than its middle.
    u, v = (np.linspace(-1, 1, 9) * max(side, 1) / 2 for side in (columns, rows))
    a, b = np.meshgrid(u, v) if curve is None else curve.bend(*np.meshgrid(u, v))
    tilt = np.clip([right, down], -0.25, 0.25) / (np.abs(a).max(), np.abs(b).max())
    matrix = np.array([[scale * stretch, scale * shear, 0], [0, scale, 0], [tilt[0], tilt[1], 1]])
    return Plane((columns / 2, rows / 2), curve, np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ matrix)


def _milder(rng: np.random.Generator, camera: Camera, height: float) -> Camera:
    """The camera, with a blur and a shake that leave letters of this height readable most of the time."""
    share = height / 32
    blur = min(camera.blur * max(share, 0.45), 0.12 * height)
    return dataclasses.replace(
        camera, blur=blur, motion=(min(camera.motion[0] * share, 0.3 * height), camera.motion[1])
    )


def _in_case(rng: np.random.Generator, word: str) -> str:
    style: Sequence[str] = (word, word.capitalize(), word.upper(), word.lower())
    return style[rng.choice(4, p=[0.2, 0.3, 0.4, 0.1])]


def _read_vocabulary(file: str | os.PathLike[str], *, phrases: bool) -> tuple[str, ...]:
    if not os.fspath(file):
        return ()
    what = f"`config.data.vocabulary` (={os.fspath(file)!r})"
    try:
        text = as_path(file).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} must be a UTF-8 text: {error}") from error
    parts = map(str.strip, text.splitlines()) if phrases else text.split()
    words = tuple(dict.fromkeys(filter(None, parts)))
    if not words:
        raise FileNotFoundError(f"{what} must hold words, one a line")
    return words
