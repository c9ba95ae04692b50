"""Detection over picture files: JSON, ICDAR text and a page to look at."""

import json
import os
import pathlib
from collections.abc import Iterator

from dbnet_jax.decode import read_image
from dbnet_jax.detector import Detector
from dbnet_jax.postprocess import Detections
from dbnet_jax.results_page import ResultPicture, write_results_page

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


def predict_files(
    detector: Detector, source: str | os.PathLike[str], output: str | os.PathLike[str]
) -> pathlib.Path:
    """Detects text in a picture file, or in every picture of a folder and the folders in it.

    Writes `<output>/detections.json`, `<output>/icdar/res_NAME.txt` for each picture (x1,y1,…,xn,yn, a line an
    instance) and `<output>/index.html`. A picture that does not decode is named in all of them and skipped.

    **Arguments:** `detector`; `source`; `output`, a folder.

    **Returns:** the page.

    **Raises:** FileNotFoundError when the source holds no picture.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    files = picture_files(source)
    root = source if source.is_dir() else source.parent
    (output / "icdar").mkdir(parents=True, exist_ok=True)
    results: dict[str, object] = {}
    skipped: dict[str, str] = {}

    def pictures() -> Iterator[ResultPicture]:
        for file in files:
            name = file.relative_to(root).as_posix()
            try:
                image = read_image(file, follow_exif=detector.config.predict.follow_exif)
            except ValueError as error:
                skipped[name] = str(error)
                print(f"skipped: {error}")
                continue
            found = detector.detect(image)
            results[name] = {"height": image.shape[0], "width": image.shape[1], "detections": as_json(found)}
            stem = name.rsplit(".", 1)[0].replace("/", "_")
            (output / "icdar" / f"res_{stem}.txt").write_text(as_icdar(found))
            yield ResultPicture(name, image, found.polygons, found.scores, **detector.maps(image))

    page = write_results_page(output, f"Text in {source.name}", {"pictures": len(files)}, pictures())
    (output / "detections.json").write_text(
        json.dumps({"pictures": results, "skipped": skipped}, indent=1) + "\n"
    )
    return page


def picture_files(source: pathlib.Path) -> list[pathlib.Path]:
    """The pictures that `source` names, in order. **Raises:** FileNotFoundError when there is none."""
    if source.is_file():
        return [source]
    files = sorted(f for f in source.rglob("*") if f.suffix.lower() in SUFFIXES) if source.is_dir() else []
    if not files:
        raise FileNotFoundError(
            f"`input` (={str(source)!r}) is no picture and no folder with pictures ({', '.join(sorted(SUFFIXES))})"
        )
    return files


def as_json(found: Detections) -> list[dict[str, object]]:
    """Detections as plain values: `polygon` [[x, y], …] in the picture's pixels and `score` in [0, 1]."""
    pairs = zip(found.polygons, found.scores, strict=True)
    return [{"polygon": polygon.tolist(), "score": round(float(score), 4)} for polygon, score in pairs]


def as_icdar(found: Detections) -> str:
    """Detections as the benchmarks' servers take them: x1,y1,…,xn,yn in whole pixels, a line an instance."""
    lines = [",".join(str(int(value)) for value in polygon.ravel().round()) for polygon in found.polygons]
    return "".join(line + "\n" for line in lines)
