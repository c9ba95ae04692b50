"""Detection over picture files: JSON, ICDAR text and a page to look at."""

import contextlib
import functools
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from absl.app import UsageError
from tqdm import tqdm

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import config_of_weights, config_or_saved, workdir_or_weights
from dbnet_jax.detection.outputs import IcdarWriter, JsonWriter, Writer
from dbnet_jax.detector import Detector
from dbnet_jax.files import replace_files
from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture, read_image
from dbnet_jax.pages.predictions import PageWriter
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.typing import Image
from dbnet_jax.weights.run_folder import restore_variables
from dbnet_jax.weights.shipped import DEFAULT

WRITERS: dict[str, type[Writer]] = {"json": JsonWriter, "icdar": IcdarWriter, "page": PageWriter}
"""The output formats by name."""


class Predicted(NamedTuple):
    """The results of `predict_files`.

    - `page`: the page to look at; None where the formats have none.
    - `pictures`: how many pictures were read.
    - `skipped`: the names of the others, and why each was skipped.
    """

    page: pathlib.Path | None
    pictures: int
    skipped: dict[str, str]


def predict_files(
    detector: Detector,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    formats: Sequence[str] = tuple(WRITERS),
) -> Predicted:
    """Detects text in picture files, and in every picture of folders and the folders in them.

    A picture is skipped when it does not decode, cannot be read, or is a link that leads nowhere. The JSON file and the
    page list it. Files of an earlier run in `output` are removed, other files stay. An error keeps the results of the
    pictures before it.

    **Arguments:**

    - `detector`: looks at the pictures.
    - `source`: a file or a folder, or several of them.
    - `output`: the folder of the results, made where there is none.
    - `formats`: keys of `WRITERS`. "json" writes `detections.json`. "icdar" writes `icdar/res_NAME.txt` for each
        picture (x1,y1,…,xn,yn in pixels, a line an instance). "page" writes `index.html` and its pictures.

    **Raises:** FileNotFoundError when the source contains no picture; ValueError when it is the output too, or when a
    format does not exist.
    """
    if unknown := [name for name in formats if name not in WRITERS]:
        raise ValueError(f"`formats` (={','.join(formats)}): {unknown[0]!r} is none of {', '.join(WRITERS)}")
    output = pathlib.Path(output)
    sources = [source] if isinstance(source, str | os.PathLike) else source
    root, files = pictures_of(sources, output)
    names = [file.relative_to(root) for file in files]
    title = pathlib.Path(sources[0]).name if len(sources) == 1 else root.name
    output.mkdir(parents=True, exist_ok=True)
    writers = {name: WRITERS[name](output, f"Text in {title}", names) for name in formats}
    skipped: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        stack.callback(_replace_files, output, writers)
        for writer in writers.values():
            stack.callback(writer.close, skipped)
        _detect(detector, files, [name.as_posix() for name in names], list(writers.values()), skipped)
    return Predicted(output / "index.html" if "page" in writers else None, len(files) - len(skipped), skipped)


def _detect(
    detector: Detector,
    files: Sequence[pathlib.Path],
    names: Sequence[str],
    writers: Sequence[Writer],
    skipped: dict[str, str],
) -> None:
    """Hands every picture to the writers, in order, and lists those that cannot be read in `skipped`."""
    follow_exif = detector.config.predict.follow_exif
    sources = (functools.partial(_read, file, follow_exif) for file in files)
    with (
        contextlib.closing(detector.detect_many_with_maps(sources)) as found,
        tqdm(total=len(files), unit="picture", disable=None, dynamic_ncols=True) as bar,
    ):
        for name, one in zip(names, found, strict=True):
            if isinstance(one, ValueError):
                skipped[name] = str(one)
                bar.write(f"skipped: {one}")
            else:
                if one.detections.left_out:
                    bar.write(f"{name}: {one.detections.problem}")
                for writer in writers:
                    writer.add(name, one)
            bar.update()


def _replace_files(output: pathlib.Path, writers: dict[str, Writer]) -> None:
    """Removes the files of an earlier run in any format, and lists those of this one."""
    replace_files(output, {name: writers[name].files if name in writers else [] for name in WRITERS})


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
    """The pictures of `source` in order, without those in an `output` inside of it.

    **Returns:** files, and links that lead nowhere, with the suffix of a picture.

    **Raises:** FileNotFoundError when there is no picture; ValueError when `output` is `source`.
    """
    if source.is_file():
        return [source]
    results, root = output.resolve(), source.resolve()
    if results == root:
        raise ValueError(f"`output` (={str(output)!r}) must be another folder than `input`: pictures are written there")
    named = (file for file in source.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
    files = sorted(file for file in named if file.is_file() or _leads_nowhere(file))
    if results.is_relative_to(root):
        # Unlike `resolve`, `realpath` takes links that lead round in a circle.
        files = [file for file in files if not pathlib.Path(os.path.realpath(file)).is_relative_to(results)]
    if not files:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise FileNotFoundError(f"`input` (={str(source)!r}) is no picture and no folder with pictures ({kinds})")
    return files


def _leads_nowhere(file: pathlib.Path) -> bool:
    return file.is_symlink() and not file.exists()


def _read(file: pathlib.Path, follow_exif: bool) -> Image:
    """The picture in a file. **Raises:** BadPicture for every error: one file of many must not end the others."""
    if _leads_nowhere(file):
        raise BadPicture(f"{file}: is a link that leads nowhere, to {os.readlink(file)}")
    try:
        return read_image(file, follow_exif=follow_exif)
    except OSError as error:
        raise BadPicture(f"{file}: cannot be read: {error.strerror or error}") from error


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
    output = options.output or folder
    formats = tuple(WRITERS) if options.formats is None else [name.strip() for name in options.formats.split(",")]
    found = predict_files(detector, options.inputs, output, formats)
    print(f"results: {found.page or output}")
    if not found.pictures:
        sys.exit(f"--input={' '.join(options.inputs)}: nothing in it could be read as a picture")
