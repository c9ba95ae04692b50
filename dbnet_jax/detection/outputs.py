"""The files that detections are written to: `detections.json`, and text files as the ICDAR servers take them."""

import json
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence

from dbnet_jax.detection.picture import DetectedPicture
from dbnet_jax.files import write_atomically
from dbnet_jax.postprocess import Detections

JSON = "detections.json"


class Writer:
    """One output format of `predict_files`: a subclass with `add`, and `close` where it needs one.

    **Arguments:**

    - `output`: the folder of the results, which exists.
    - `title`: names the pictures for people.
    - `pictures`: the names of all pictures, also of those that will be skipped.
    """

    def __init__(self, output: pathlib.Path, title: str, pictures: Sequence[pathlib.PurePath]) -> None:
        self.output = output
        self.files: list[str] = []
        """The files that are written so far, by their paths from `output`."""

    @classmethod
    def planned(cls, pictures: Sequence[pathlib.PurePath]) -> list[str]:
        """The files that have the same name in every run over these pictures, by their paths from `output`."""
        raise NotImplementedError

    def add(self, name: str, found: DetectedPicture) -> None:
        """Takes a picture, the detections in it and its maps; `name` is one of `pictures`, with slashes."""
        raise NotImplementedError

    def close(self, skipped: Mapping[str, str]) -> None:
        """Finishes the files, also when an error ended the run; `skipped` maps names of pictures to reasons."""


class JsonWriter(Writer):
    """Writes `detections.json`, {"pictures": {name: {"height", "width", "detections"}}, "skipped": {name: why}}.

    A picture with notes has "notes" too: its file has more frames, or regions were left out.
    """

    def __init__(self, output: pathlib.Path, title: str, pictures: Sequence[pathlib.PurePath]) -> None:
        super().__init__(output, title, pictures)
        self._pictures: dict[str, object] = {}

    @classmethod
    def planned(cls, pictures: Sequence[pathlib.PurePath]) -> list[str]:
        return [JSON]

    def add(self, name: str, found: DetectedPicture) -> None:
        self._pictures[name] = picture_json(found.image.shape[:2], found.detections)

    def close(self, skipped: Mapping[str, str]) -> None:
        text = json.dumps({"pictures": self._pictures, "skipped": skipped}, indent=1)
        write_atomically(self.output / JSON, text + "\n")
        self.files.append(JSON)


class IcdarWriter(Writer):
    """Writes `icdar/res_NAME.txt` for each picture; pictures of inner folders go to folders of the same names."""

    def __init__(self, output: pathlib.Path, title: str, pictures: Sequence[pathlib.PurePath]) -> None:
        super().__init__(output, title, pictures)
        self._texts = dict(zip((picture.as_posix() for picture in pictures), self.planned(pictures), strict=True))

    @classmethod
    def planned(cls, pictures: Sequence[pathlib.PurePath]) -> list[str]:
        return [f"icdar/{file.as_posix()}" for file in icdar_files(pictures)]

    def add(self, name: str, found: DetectedPicture) -> None:
        text = self.output / self._texts[name]
        text.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(text, as_icdar(found.detections))
        self.files.append(self._texts[name])


def icdar_files(pictures: Sequence[pathlib.PurePath]) -> list[pathlib.PurePath]:
    """A text file for each picture, in the same folder: res_img_1.txt for img_1.jpg.

    Where two pictures have the same stem, both keep their suffixes, so that each has its own file: res_img_1.jpg.txt.
    """
    stems = Counter(picture.with_suffix("") for picture in pictures)
    names = set(pictures)

    def file(picture: pathlib.PurePath) -> pathlib.PurePath:
        stem = picture.with_suffix("")
        chosen = stem if stems[stem] == 1 and stem not in names else picture
        return chosen.with_name(f"res_{chosen.name}.txt")

    return [file(picture) for picture in pictures]


def picture_json(size: tuple[int, int], found: Detections) -> dict[str, object]:
    """A picture of `size` (height, width) as plain values: "height", "width", "detections", and "notes" if any."""
    notes = {"notes": list(found.notes)} if found.notes else {}
    return {"height": size[0], "width": size[1], "detections": as_json(found), **notes}


def as_json(found: Detections) -> list[dict[str, object]]:
    """Detections as plain values: `polygon` [[x, y], …] in the picture's pixels and `score` in [0, 1]."""
    pairs = zip(found.polygons, found.scores, strict=True)
    return [{"polygon": polygon.tolist(), "score": round(float(score), 4)} for polygon, score in pairs]


def as_icdar(found: Detections) -> str:
    """Detections as the benchmarks' servers take them: x1,y1,…,xn,yn in whole pixels, a line an instance."""
    lines = [",".join(str(int(value)) for value in polygon.ravel().round()) for polygon in found.polygons]
    return "".join(line + "\n" for line in lines)
