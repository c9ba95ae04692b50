"""Words joined to lines: a set that is labelled by words, for a detector of lines."""

import dataclasses
from collections import Counter
from typing import Any, TypeVar

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


Labels = TypeVar("Labels", Sample, Annotation)


class JoinedWords(Wrapper):
    """Lines in place of the words of another data set, whose words are quads from the top left on."""

    def __getitem__(self, index: int) -> Sample:
        return join_words(self.dataset[index])

    def annotation(self, index: int) -> Annotation | None:
        found = self.dataset.annotation(index)
        return None if found is None else join_words(found)


def join_words(words: Labels) -> Labels:
    """Joins words into lines: words that follow each other closely, at one height and of about one size.

    A line is the smallest rectangle around its words, turned as they are. A line with an ignored word is ignored. A
    polygon that is no quad stays as it is.

    **Arguments:**

    - `words`: the polygons are quads from the top left of their letters on, clockwise.

    **Returns:** the lines in place of the words, each with the texts of its words with blanks between, and with the
    script of most of them. A line with a repaired word is `repaired`.
    """
    polygons = words.polygons
    quads = [i for i, polygon in enumerate(polygons) if len(polygon) == 4]
    lines = [[quads[i] for i in line] for line in _chains(np.array([polygons[i] for i in quads]).reshape(-1, 4, 2))]
    lines += [[i] for i, polygon in enumerate(polygons) if len(polygon) != 4]
    lines.sort(key=min)
    changes: dict[str, Any] = {
        "polygons": [_outline([polygons[i] for i in line]) for line in lines],
        "ignore": [any(words.ignore[i] for i in line) for line in lines],
    }
    if words.texts:
        changes["texts"] = [" ".join(words.texts[i] for i in line) for line in lines]
    if words.scripts:
        changes["scripts"] = [Counter(words.scripts[i] for i in line).most_common(1)[0][0] for line in lines]
    if isinstance(words, Annotation):
        changes["repaired"] = [place for place, line in enumerate(lines) if not set(words.repaired).isdisjoint(line)]
    return dataclasses.replace(words, **changes)


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
