"""Pictures with a white box, of which the models of these tests return the width and no network is needed."""

import os
import pathlib
import signal
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from ml_collections import ConfigDict

from dbnet_jax.bulk.reading import Source
from dbnet_jax.bulk.rows import Record
from dbnet_jax.bulk.shards import Find
from dbnet_jax.config.defaults import default_config
from tests.helpers.brightness import white_box
from tests.helpers.pictures import saved


def picture(index: int) -> bytes:
    """A PNG that is 40 + `index` pixels wide."""
    return saved(white_box((30, 40 + index), 5, 5, 20, 20), "PNG")


def records(widths: Iterable[int]) -> list[Record]:
    """What `Widths` finds in pictures of these widths."""
    return [{"height": 30, "width": width, "detections": _detections(width)} for width in widths]


def _detections(width: int) -> list[Record]:
    return [{"polygon": [[0.0, 0.0], [float(width), 0.0], [float(width), 30.0]], "score": 0.5}]


@dataclass(frozen=True)
class Widths:
    """Models that "find" a triangle as wide as the picture.

    - `deadly`, `bad`: widths at which they kill the process, or raise an error of their own; `broken`: they always do.
    - `mark`: a file that a killed process leaves, so that they kill only one; "" for no end of it.
    """

    deadly: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()
    broken: bool = False
    frames: str = "first"
    reading: bool = False
    mark: str = ""
    seen: list[int] = field(default_factory=list)

    @property
    def predict(self) -> ConfigDict:
        predict = default_config().predict
        predict.frames = self.frames
        return predict

    def load(self) -> Find:
        return self._find

    def _find(self, sources: Iterable[Source]) -> Generator[Record | ValueError, None, None]:
        for source in sources:
            try:
                width = source().image.shape[1]
            except ValueError as error:
                yield error
                continue
            if width in self.deadly and not (self.mark and os.path.exists(self.mark)):
                if self.mark:
                    pathlib.Path(self.mark).write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            if width in self.bad or self.broken:
                raise RuntimeError("out of memory on the device")
            self.seen.append(width)
            yield records([width])[0]


def write_pictures(folder: pathlib.Path, count: int) -> pathlib.Path:
    """A new folder with pictures 00.png, 01.png, …, each a pixel wider than the one before."""
    folder.mkdir()
    for index in range(count):
        (folder / f"{index:02}.png").write_bytes(picture(index))
    return folder
