"""The rendered scenes as a data set."""

import os
from collections.abc import Iterator
from typing import get_args

import cv2
import numpy as np

from dbnet_jax.messages import Problem, check_choice
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.rendered.arguments import check_rendered
from input_pipeline.datasets.rendered.scenes.backgrounds import Backgrounds
from input_pipeline.datasets.rendered.scenes.camera import photograph, pick_camera
from input_pipeline.datasets.rendered.scenes.clutter import paint_clutter
from input_pipeline.datasets.rendered.scenes.composition import Placed, compose, fill_layout
from input_pipeline.datasets.rendered.scenes.fonts import find_fonts
from input_pipeline.datasets.rendered.scenes.layouts import Layouts
from input_pipeline.datasets.rendered.scenes.legibility import Contrast, is_large
from input_pipeline.datasets.rendered.scenes.mood import pick_mood
from input_pipeline.datasets.rendered.scenes.painting import paint
from input_pipeline.datasets.rendered.scenes.placing import OccupancyMap
from input_pipeline.datasets.rendered.scenes.surface import outline
from input_pipeline.datasets.rendered.synthetic.words import Split
from input_pipeline.datasets.sample import GRANULARITIES, Dataset, Sample

TEXT_FREE = 0.06  # share of pictures without text
LAYOUT_SHARE = 0.3  # of pictures with the layout of a photograph, if layouts are given
_SMALLEST_SIDE = 128  # pixels of a picture


class SceneDataset(Dataset):
    """Pictures of text in scenes, rendered on demand.

    Sample i is a pure function of the arguments, of i, and of the fonts. The fonts are those of the machine, unless
    `fonts` is a folder. Any thread may ask for a sample. `polygons` are the outlines of words or lines: four points if
    straight, up to fourteen if bent. Text that is too small, too blurred or too faint to be read is ignored.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        split: Split = "train",
        size: tuple[int, int] = (640, 640),
        granularity: str = "word",
        backgrounds: str | os.PathLike[str] = "",
        layouts: str | os.PathLike[str] = "",
        fonts: str = "",
    ):
        """**Arguments:**

        - `count`: the number of pictures.
        - `seed`: in [0, 2³²).
        - `split`: "train" or "test": other pictures of the same kind.
        - `size`: (height, width) of the pictures, at least 128 pixels each.
        - `granularity`: "word" or "line".
        - `backgrounds`: a folder of photographs without text; "" draws all grounds.
        - `layouts`: a folder of annotation files whose polygons are filled with text; "" takes none. See `Layouts`.
            Scenes with lines do not use them, because their polygons are of words.
        - `fonts`: see `find_fonts`.

        **Raises:** ValueError if an argument is out of range; FileNotFoundError if a folder is missing or empty.
        """
        check_rendered(count, seed, split, size, _SMALLEST_SIDE)
        check_choice("granularity", granularity, GRANULARITIES)
        self._count, self._size, self._granularity = count, size, granularity
        # `SyntheticDataset` uses the number of the split. Another number here keeps scenes from the random numbers of
        # its pictures where a mix of both has one seed.
        self._stream = (seed, len(get_args(Split)) + get_args(Split).index(split))
        self._name = f"scene_{split}"
        self._backgrounds = Backgrounds(backgrounds)
        self._layouts = Layouts(layouts) if os.fspath(layouts) else None
        self._faces = find_fonts(fonts)
        self.problems = list(self._layouts.problems) if self._layouts else []

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"{self._name}_{self._checked(index):07}"

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((*self._stream, self._checked(index)))
        problems: list[Problem] = []
        scene = self._backgrounds.paint(rng, self._size, problems)
        painted = [
            (placed, paint(rng, scene, placed.block, placed.surface, placed.ink))
            for placed in self._compose(rng, scene)
        ]
        camera = pick_camera(rng)
        picture = photograph(rng, scene, camera)
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        sample = Sample(self.name(index), picture, [], [], [], problems, [])
        for placed, inked in painted:
            contrast = Contrast(luma, inked)
            for polygon, text in self._outlines(placed):
                sample.polygons.append(polygon)
                large = is_large(polygon, camera, placed.block.letter_share)
                sample.ignore.append(not (large and contrast.is_enough(polygon)))
                sample.texts.append(text)
                sample.scripts.append(placed.script)
        return sample

    def _compose(self, rng: np.random.Generator, scene: np.ndarray) -> Iterator[Placed]:
        occupied, mood = OccupancyMap(scene), pick_mood(rng, self._size, self._faces)
        kind = rng.random()
        if self._layouts is not None and TEXT_FREE <= kind < TEXT_FREE + LAYOUT_SHARE and self._granularity == "word":
            words = self._layouts[int(rng.integers(len(self._layouts)))]
            yield from fill_layout(rng, self._size, words, mood, occupied)
        elif kind >= TEXT_FREE:
            yield from compose(rng, self._size, mood, occupied)
        # After the text, so that it takes only the room that the text leaves.
        paint_clutter(rng, scene, occupied, mood.clutter)

    def _outlines(self, placed: Placed) -> Iterator[tuple[Polygon, str]]:
        for line in placed.block.lines:
            if self._granularity == "line":
                yield outline(placed.surface, line.box), line.text
            else:
                for word, box in zip(line.words, line.boxes, strict=True):
                    yield outline(placed.surface, box), word

    def _checked(self, index: int) -> int:
        # This error ends iteration over a sequence.
        if not 0 <= index < self._count:
            raise IndexError(f"`index` (={index}) must be in [0, {self._count})")
        return index
