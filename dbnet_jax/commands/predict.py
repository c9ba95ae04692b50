"""Detection over picture files: JSON, ICDAR text and a page to look at."""

import contextlib
import functools
import json
import os
import pathlib
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np
from absl.app import UsageError
from jaxtyping import UInt8

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import config_of_weights, config_or_saved, workdir_or_weights
from dbnet_jax.detection.picture import DetectedPicture
from dbnet_jax.detector import Detector
from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture, read_image
from dbnet_jax.pages.earlier_results import remove
from dbnet_jax.pages.results import ResultPicture, write_results_page
from dbnet_jax.postprocess import Detections
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.weights.run_folder import restore_variables
from dbnet_jax.weights.shipped import DEFAULT

JSON = "detections.json"


class Predicted(NamedTuple):
    """What `predict_files` wrote: the page, how many pictures it shows, and why which others were skipped, by name."""

    page: pathlib.Path
    pictures: int
    skipped: dict[str, str]


def predict_files(
    detector: Detector,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
) -> Predicted:
    """Detects text in picture files, and in every picture of folders and the folders in them.

    Writes `<output>/detections.json`, `<output>/icdar/res_NAME.txt` for each picture (x1,y1,…,xn,yn, a line an
    instance; pictures of inner folders in folders of the same names) and `<output>/index.html`. A picture that does
    not decode, cannot be read or is a link that leads nowhere is skipped, and named in the first and the last of them.
    What an earlier run left in `output` goes, and no other file.

    **Arguments:** `detector`; `source`, a file or a folder, or several of them; `output`, a folder.

    **Returns:** the page, and what is on it.

    **Raises:** FileNotFoundError when the source holds no picture; ValueError when it is the output too.
    """
    output = pathlib.Path(output)
    sources = [source] if isinstance(source, str | os.PathLike) else source
    root, files = pictures_of(sources, output)
    title = pathlib.Path(sources[0]).name if len(sources) == 1 else root.name
    earlier = _texts_of_json(output)
    results = _Results(output, root, files)
    output.mkdir(parents=True, exist_ok=True)  # where it cannot be, that is the error to show
    try:
        with contextlib.closing(results.pictures(detector)) as shown:
            page = write_results_page(output, f"Text in {title}", results.summary, shown)
    finally:
        # Also what was found before something went wrong.
        results.write_json()
        remove(earlier - results.texts, output / "icdar")
    return Predicted(page, len(results.found), results.skipped)


class _Results:
    """What is found in files, written as it comes.

    `summary` is the header of the page, which reads it last, when all pictures are through.
    """

    def __init__(self, output: pathlib.Path, root: pathlib.Path, files: Sequence[pathlib.Path]):
        self._output, self._files = output, files
        self._names = [file.relative_to(root) for file in files]
        self.found: dict[str, object] = {}
        self.skipped: dict[str, str] = {}
        self.summary: dict[str, object] = {}
        self.texts: set[pathlib.Path] = set()

    def pictures(self, detector: Detector) -> Generator[ResultPicture, None, None]:
        """The pictures as the page takes them, each when its own files are written."""
        texts, follow_exif = icdar_files(self._names), detector.config.predict.follow_exif
        sources = (functools.partial(_read, file, follow_exif) for file in self._files)
        with contextlib.closing(detector.detect_many_with_maps(sources)) as found:
            for name, text, one in zip(self._names, texts, found, strict=True):
                if isinstance(one, ValueError):
                    self.skipped[name.as_posix()] = str(one)
                    print(f"skipped: {one}")
                else:
                    yield self._write(name.as_posix(), self._output / "icdar" / text, one)
        self.summary["pictures"] = len(self.found)
        if self.skipped:
            self.summary["skipped"] = "; ".join(self.skipped.values())

    def _write(self, name: str, text: pathlib.Path, one: DetectedPicture) -> ResultPicture:
        height, width = one.image.shape[:2]
        self.found[name] = {"height": height, "width": width, "detections": as_json(one.detections)}
        self.texts.add(text)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(as_icdar(one.detections))
        return ResultPicture(name, one.image, one.detections.polygons, one.detections.scores, **one.maps)

    def write_json(self) -> None:
        text = json.dumps({"pictures": self.found, "skipped": self.skipped}, indent=1)
        (self._output / JSON).write_text(text + "\n")


def pictures_of(
    sources: Sequence[str | os.PathLike[str]], output: pathlib.Path
) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The folder that contains all pictures of the sources, and the pictures. **Raises:** as `picture_files`."""
    paths = [pathlib.Path(source) for source in sources]
    if len(paths) > 1:
        paths = [pathlib.Path(os.path.abspath(path)) for path in paths]
    roots = [path if path.is_dir() else path.parent for path in paths]
    root = roots[0] if len(roots) == 1 else pathlib.Path(os.path.commonpath(roots))
    return root, list(dict.fromkeys(file for path in paths for file in picture_files(path, output)))


def picture_files(source: pathlib.Path, output: pathlib.Path) -> list[pathlib.Path]:
    """The pictures that `source` names, in order; what an earlier run left in an `output` inside of it is none.

    **Returns:** files, and links that lead nowhere, by the names of pictures.

    **Raises:** FileNotFoundError when there is none; ValueError when `output` is `source`.
    """
    if source.is_file():
        return [source]
    results, root = output.resolve(), source.resolve()
    if results == root:
        raise ValueError(f"`output` (={str(output)!r}) must be another folder than `input`: pictures are written there")
    named = (file for file in source.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
    files = sorted(file for file in named if file.is_file() or _leads_nowhere(file))
    if results.is_relative_to(root):
        # Unlike `resolve`, it takes links that lead round in a circle.
        files = [file for file in files if not pathlib.Path(os.path.realpath(file)).is_relative_to(results)]
    if not files:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise FileNotFoundError(f"`input` (={str(source)!r}) is no picture and no folder with pictures ({kinds})")
    return files


def _leads_nowhere(file: pathlib.Path) -> bool:
    return file.is_symlink() and not file.exists()


def _read(file: pathlib.Path, follow_exif: bool) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in a file. **Raises:** BadPicture, whatever is wrong: one file of many must not end the others."""
    if _leads_nowhere(file):
        raise BadPicture(f"{file}: is a link that leads nowhere, to {os.readlink(file)}")
    try:
        return read_image(file, follow_exif=follow_exif)
    except OSError as error:
        raise BadPicture(f"{file}: cannot be read: {error.strerror or error}") from error


def icdar_files(pictures: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """A text file for each picture, in the same folder: res_img_1.txt for img_1.jpg.

    A stem that another picture has too keeps its suffix, so that no two pictures share a file: res_img_1.jpg.txt.
    """
    stems = Counter(picture.with_suffix("") for picture in pictures)
    names = set(pictures)

    def file(picture: pathlib.Path) -> pathlib.Path:
        stem = picture.with_suffix("")
        chosen = stem if stems[stem] == 1 and stem not in names else picture
        return chosen.with_name(f"res_{chosen.name}.txt")

    return [file(picture) for picture in pictures]


def as_json(found: Detections) -> list[dict[str, object]]:
    """Detections as plain values: `polygon` [[x, y], …] in the picture's pixels and `score` in [0, 1]."""
    pairs = zip(found.polygons, found.scores, strict=True)
    return [{"polygon": polygon.tolist(), "score": round(float(score), 4)} for polygon, score in pairs]


def as_icdar(found: Detections) -> str:
    """Detections as the benchmarks' servers take them: x1,y1,…,xn,yn in whole pixels, a line an instance."""
    lines = [",".join(str(int(value)) for value in polygon.ravel().round()) for polygon in found.polygons]
    return "".join(line + "\n" for line in lines)


def _texts_of_json(output: pathlib.Path) -> set[pathlib.Path]:
    """The text files of the run whose JSON lies in `output`; none where it is damaged."""
    try:
        listed = json.loads((output / JSON).read_bytes())
        # The names of all decided on the name of each.
        names = [pathlib.Path(name) for name in {**listed["pictures"], **listed["skipped"]}]
        return {output / "icdar" / text for text in icdar_files(names)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return set()


def run(options: Options) -> None:
    """The command `predict`."""
    if not options.inputs:
        raise UsageError("--input is missing: a picture, or a folder of pictures")
    trained = workdir_or_weights(options, default=DEFAULT)
    if options.workdir is None and options.config is not None:
        raise UsageError(
            "--config is refused: the weights have their own; --config.predict.FIELD=VALUE changes a field"
        )
    config = config_or_saved(options) if options.workdir is not None else config_of_weights(trained, options)
    keep_memory()
    detector = Detector(config, restore_variables(config, trained))
    # In `runs`, and not beside the pictures.
    first = pathlib.Path(options.inputs[0]).resolve()
    name = first.parent.name if len(options.inputs) > 1 else first.name if first.is_dir() else first.stem
    folder = f"{options.workdir}/detections" if options.workdir else options.runs / "detections" / name
    found = predict_files(detector, options.inputs, options.output or folder)
    print(f"results: {found.page}")
    if not found.pictures:
        sys.exit(f"--input={' '.join(options.inputs)}: nothing in it could be read as a picture")
