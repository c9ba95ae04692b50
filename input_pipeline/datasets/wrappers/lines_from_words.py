"""Words joined to lines: a set that is labelled by words, for a detector of lines."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dbnet_jax.typing import Polygon
from input_pipeline.datasets.sample import Annotation, Sample
from input_pipeline.datasets.wrappers.base import Wrapper

# What two words of a line have to each other, in heights of their mean and as people set and photograph lines.
GAP = (-0.5, 1.0)  # from the end of the one to the start of the other, along the line
OFFSET = 0.4  # across the line, of their middles there
HEIGHTS = 1.7  # of the higher one to the lower: "on" stands beside "STOP"
ANGLE = 15.0  # degrees between their directions


class JoinedWords(Wrapper):
    """Lines in place of the words of another data set, whose words are quads from the top left on."""

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        polygons, ignore, texts = join_words(sample.polygons, sample.ignore, sample.texts)
        return dataclasses.replace(sample, polygons=polygons, ignore=ignore, texts=texts)

    def annotation(self, index: int) -> Annotation | None:
        found = self.dataset.annotation(index)
        if found is None:
            return None
        polygons, ignore, texts = join_words(found.polygons, found.ignore, found.texts)
        return dataclasses.replace(found, polygons=polygons, ignore=ignore, texts=texts)


def join_words(
    polygons: Sequence[Polygon], ignore: Sequence[bool], texts: Sequence[str]
) -> tuple[list[Polygon], list[bool], list[str]]:
    """Joins words into lines: words that follow each other closely, at one height and of about one size.

    A line is the smallest rectangle around its words, turned as they are. A line with an ignored word is ignored. A
    polygon that is no quad stays as it is.

    **Arguments:**

    - `polygons`: words in pixels (x, y), quads from the top left of their letters on, clockwise.
    - `ignore`, `texts`: of each word.

    **Returns:** the polygons of the lines, whether each is ignored, and the texts of its words with blanks between.
    """
    quads = [i for i, polygon in enumerate(polygons) if len(polygon) == 4]
    lines = [[quads[i] for i in line] for line in _chains(np.array([polygons[i] for i in quads]).reshape(-1, 4, 2))]
    lines += [[i] for i, polygon in enumerate(polygons) if len(polygon) != 4]
    lines.sort(key=min)
    return (
        [_outline([polygons[i] for i in line]) for line in lines],
        [any(ignore[i] for i in line) for line in lines],
        [" ".join(texts[i] for i in line) for line in lines],
    )


def _chains(quads: NDArray[np.floating]) -> list[list[int]]:
    """The positions of the words of each line, in the order of reading."""
    start, end = (quads[:, 0] + quads[:, 3]) / 2, (quads[:, 1] + quads[:, 2]) / 2
    length = np.maximum(np.linalg.norm(end - start, axis=1), 1e-6)
    along = (end - start) / length[:, None]
    height = np.maximum(np.linalg.norm(quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1], axis=1) / 2, 1e-6)
    # From the end of each word (rows) to the start of each other one, in heights, by the direction of the longer one.
    longer = np.where((length[:, None] > length)[..., None], along[:, None], along)
    step = (start - end[:, None]) / ((height[:, None] + height) / 2)[..., None]
    gap = (step * longer).sum(axis=2)
    offset = np.abs(step[..., 0] * longer[..., 1] - step[..., 1] * longer[..., 0])
    follows = (gap >= GAP[0]) & (gap <= GAP[1]) & (offset <= OFFSET)
    follows &= np.maximum(height[:, None] / height, height / height[:, None]) <= HEIGHTS
    follows &= along @ along.T >= np.cos(np.deg2rad(ANGLE))
    np.fill_diagonal(follows, False)
    lines = [[i] for i in range(len(quads))]
    of = list(range(len(quads)))
    for i, j in np.argwhere(follows).tolist():
        if of[i] != of[j]:
            lines[of[i]] += lines[of[j]]
            joined, lines[of[j]] = lines[of[j]], []
            for k in joined:
                of[k] = of[i]
    return [sorted(line, key=lambda i: float(start[i] @ along[line].mean(axis=0))) for line in lines if line]


def _outline(words: list[Polygon]) -> Polygon:
    return words[0] if len(words) == 1 else cv2.boxPoints(cv2.minAreaRect(np.concatenate(words)))
