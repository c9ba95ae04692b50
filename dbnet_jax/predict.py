"""Detection over picture files: JSON, ICDAR text and a page to look at."""

import contextlib
import json
import os
import pathlib
from collections import Counter
from collections.abc import Generator, Sequence

from dbnet_jax.decode import PICTURE_SUFFIXES
from dbnet_jax.detector import Detector
from dbnet_jax.postprocess import Detections
from dbnet_jax.results_page import ResultPicture, write_results_page


def predict_files(detector: Detector, source: str | os.PathLike[str], output: str | os.PathLike[str]) -> pathlib.Path:
    """Detects text in a picture file, or in every picture of a folder and the folders in it.

    Writes `<output>/detections.json`, `<output>/icdar/res_NAME.txt` for each picture (x1,y1,…,xn,yn, a line an
    instance; pictures of inner folders in folders of the same names) and `<output>/index.html`. A picture that does
    not decode is skipped, and named in the first and the last of them.

    **Arguments:** `detector`; `source`; `output`, a folder.

    **Returns:** the page.

    **Raises:** FileNotFoundError when the source holds no picture; ValueError when it is the output too.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    files = picture_files(source, output)
    root = source if source.is_dir() else source.parent
    texts = icdar_files([file.relative_to(root) for file in files])
    results: dict[str, object] = {}
    skipped: dict[str, str] = {}
    summary: dict[str, object] = {}  # the page reads it last, when all pictures are through

    def pictures() -> Generator[ResultPicture, None, None]:
        with contextlib.closing(detector.detect_many_with_maps(files)) as found:
            for file, text, one in zip(files, texts, found, strict=True):
                name = file.relative_to(root).as_posix()
                if isinstance(one, ValueError):
                    skipped[name] = str(one)
                    print(f"skipped: {one}")
                    continue
                height, width = one.image.shape[:2]
                results[name] = {"height": height, "width": width, "detections": as_json(one.detections)}
                (output / "icdar" / text).parent.mkdir(parents=True, exist_ok=True)
                (output / "icdar" / text).write_text(as_icdar(one.detections))
                yield ResultPicture(name, one.image, one.detections.polygons, one.detections.scores, **one.maps)
        summary["pictures"] = len(results)
        if skipped:
            summary["skipped"] = "; ".join(skipped.values())

    try:
        with contextlib.closing(pictures()) as shown:
            return write_results_page(output, f"Text in {source.name}", summary, shown)
    finally:
        # Also what was found before something went wrong.
        text = json.dumps({"pictures": results, "skipped": skipped}, indent=1)
        (output / "detections.json").write_text(text + "\n")


def picture_files(source: pathlib.Path, output: pathlib.Path) -> list[pathlib.Path]:
    """The pictures that `source` names, in order; what an earlier run left in an `output` inside of it is none.

    **Raises:** FileNotFoundError when there is none; ValueError when `output` is `source`.
    """
    if source.is_file():
        return [source]
    results, root = output.resolve(), source.resolve()
    if results == root:
        raise ValueError(f"`output` (={str(output)!r}) must be another folder than `input`: pictures are written there")
    files = sorted(file for file in source.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file())
    if results.is_relative_to(root):
        files = [file for file in files if not file.resolve().is_relative_to(results)]
    if not files:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise FileNotFoundError(f"`input` (={str(source)!r}) is no picture and no folder with pictures ({kinds})")
    return files


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
