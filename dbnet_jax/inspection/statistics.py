"""How large, how long, how tilted text is, and how much of it a picture holds: what an inspection counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from dbnet_jax.images.drawing import Flags

_SIZES_NAMED = 4


@dataclass(frozen=True)
class PictureText:
    """The text of one picture or crop; each array has an entry an instance.

    **Arguments:**

    - `size`: (height, width) in pixels; None where only the annotation was read.
    - `short`, `long`: the sides of the least rectangle, at any angle, around an outline, in pixels.
    - `angle`: of the long side, in degrees, in [−90, 90): 0 is level, and at 45 it climbs to the right.
    - `vertices`: of the outline.
    - `ignored`: True for text that does not count.
    """

    size: tuple[int, int] | None
    short: Float[np.ndarray, "n"]
    long: Float[np.ndarray, "n"]
    angle: Float[np.ndarray, "n"]
    vertices: Int[np.ndarray, "n"]
    ignored: Bool[np.ndarray, "n"]

    @classmethod
    def measure(
        cls, size: tuple[int, int] | None, polygons: Sequence[Float[np.ndarray, "_ 2"]], ignore: Flags
    ) -> "PictureText":
        """Measures outlines; those without vertices, or with one that is not finite, are left out."""
        pairs = [
            (polygon, bool(ignored))
            for polygon, ignored in zip(polygons, ignore, strict=True)
            if len(polygon) and np.isfinite(polygon).all()
        ]
        rectangles = [cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.float32))) for polygon, _ in pairs]
        corners = np.array(rectangles, np.float64).reshape(-1, 4, 2)
        sides = corners[:, 1:3] - corners[:, 0:2]
        lengths = np.hypot(sides[..., 0], sides[..., 1])
        longer = lengths.argmax(axis=1)
        dx, dy = sides[np.arange(len(sides)), longer].T
        # Rounded before it is folded: upright text is all at −90, and not half of it at 89.99.
        degrees = np.round(np.rad2deg(np.arctan2(-dy, dx)), 1)
        return cls(
            size,
            lengths.min(axis=1),
            lengths.max(axis=1),
            (degrees + 90) % 180 - 90,
            np.array([len(polygon) for polygon, _ in pairs], np.int64),
            np.array([ignored for _, ignored in pairs], bool),
        )


@dataclass(frozen=True)
class Statistics:
    """The text of a data set, and of what training makes of it.

    **Arguments:**

    - `total`: pictures in the data set; of a mix with those that it repeats.
    - `tried`: how many of them were decoded, or could not be.
    - `bad`: how many of those could not be.
    - `pictures`: the others, each once, those with a size first decoded; of others the annotations were read.
    - `crops`: the training examples made of those decoded; there text is ignored too if it is too small, or cut.
    - `mixed`: whether the data set is a mix.
    """

    total: int
    tried: int
    bad: int
    pictures: list[PictureText]
    crops: list[PictureText]
    mixed: bool = False

    def summary(self) -> dict[str, str]:
        """The headline numbers, by name."""
        ignored = gather(self.pictures, "ignored")
        empty = sum(len(picture.ignored) == 0 for picture in self.pictures)
        found = Counter(picture.size for picture in self.pictures if picture.size is not None)
        sizes = [f"{width}×{height} ({count:,})" for (height, width), count in found.most_common(_SIZES_NAMED)]
        others = len(found) - len(sizes)
        in_crops = gather(self.crops, "ignored")
        decoded = sum(picture.size is not None for picture in self.pictures)
        part = "" if self.tried == self.total else ", the first of training"
        return {
            "pictures, with repetitions" if self.mixed else "pictures": f"{self.total:,}",
            "pictures that were read": f"{self.tried - self.bad:,}{part}",
            **({"different pictures that were read": f"{decoded:,}"} if self.mixed else {}),
            "unreadable pictures": f"{self.bad:,}",
            "other pictures, of which only the annotations were read": f"{len(self.pictures) - decoded:,}",
            "text instances": f"{len(ignored):,}",
            "ignored": _share(int(ignored.sum()), len(ignored)),
            "pictures without text": _share(empty, len(self.pictures)),
            "ignored in crops": _share(int(in_crops.sum()), len(in_crops)),
            "picture sizes": ", ".join([*sizes, *([f"{others:,} more"] if others else [])]) or "–",
        }


def gather(pictures: Sequence[PictureText], field: str) -> Shaped[np.ndarray, "_"]:
    """A field of all pictures together: one array, of the field's type where there is no picture too."""
    nothing = PictureText.measure(None, [], [])
    return np.concatenate([getattr(picture, field) for picture in (nothing, *pictures)])


def per_picture(pictures: Sequence[PictureText]) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """How many instances each picture has, and how many of them are ignored."""
    counts = [(len(picture.ignored), int(picture.ignored.sum())) for picture in pictures]
    instances, ignored = np.array(counts, np.int64).reshape(-1, 2).T
    return instances, ignored


def _share(part: int, whole: int) -> str:
    return f"{part:,}" + (f" ({part / whole:.1%})" if whole else "")
