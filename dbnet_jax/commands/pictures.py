"""The picture files and documents that a command line names, and their frames and pages."""

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from dbnet_jax.commands.options import Options
from dbnet_jax.file_names import visible_below
from dbnet_jax.images.decode import PICTURE_SUFFIXES, BadPicture, Picture, count_frames, read_picture
from dbnet_jax.paths import as_path, in_bucket, root_of

Frame = tuple[pathlib.Path, int | None]
"""A picture file, and its frame or page from 0; None is the first one, with a note if there are more."""
_SUFFIXES = PICTURE_SUFFIXES | {".pdf"}


def pictures_of(
    sources: Sequence[str | os.PathLike[str]], output: pathlib.Path
) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The folder that contains all pictures of the sources, and the pictures. **Raises:** as `picture_files`.

    Several sources must have such a folder: two buckets have none.
    """
    paths = [as_path(source) for source in sources]
    if len(paths) > 1:
        paths = [path if in_bucket(path) else pathlib.Path(os.path.abspath(path)) for path in paths]
    roots = [path if path.is_dir() else path.parent for path in paths]
    if len({root_of(path) for path in paths}) > 1:
        raise ValueError(f"`input` (={', '.join(map(str, paths))}) must be on one disk, or in one bucket")
    root = roots[0]
    while not all(one.is_relative_to(root) for one in roots):
        root = root.parent
    return root, list(dict.fromkeys(file for path in paths for file in picture_files(path, output)))


def picture_files(source: pathlib.Path, output: pathlib.Path, argument: str = "input") -> list[pathlib.Path]:
    """The pictures of `source` in order, without hidden ones and those in an `output` inside of it.

    **Returns:** files, and links that lead nowhere, with the suffix of a picture or of a PDF.

    **Raises:** FileNotFoundError when there is no picture; ValueError when `output` is `source`.
    """
    if source.is_file():
        return [source]
    results, root = output.resolve(), source.resolve()
    if results == root:
        raise ValueError(
            f"`output` (={str(output)!r}) must be another folder than `{argument}`: pictures are written there"
        )
    named = (file for file in visible_below(source) if file.suffix.lower() in _SUFFIXES)
    files = sorted(file for file in named if file.is_file() or _leads_nowhere(file))
    if results.is_relative_to(root):
        files = [file for file in files if not _real(file).is_relative_to(results)]
    if not files:
        kinds = ", ".join(sorted(_SUFFIXES))
        raise FileNotFoundError(f"`{argument}` (={str(source)!r}) is no picture and no folder with pictures ({kinds})")
    return files


def _real(file: pathlib.Path) -> pathlib.Path:
    # Unlike `resolve`, `realpath` takes links that lead round in a circle.
    return file if in_bucket(file) else pathlib.Path(os.path.realpath(file))


def _leads_nowhere(file: pathlib.Path) -> bool:
    return file.is_symlink() and not file.exists()


def each_frame(files: Sequence[pathlib.Path], predict: ConfigDict) -> list[Frame]:
    """Each file with no frame, or with each of its frames or pages where `predict.frames` is "all" and it has several.

    **Arguments:** `files`; `predict`: the section of the config.
    """
    found: list[Frame] = []
    for file in files:
        count = 1
        if predict.frames == "all":
            with contextlib.suppress(OSError, MemoryError):  # reported where the picture is read
                count = count_frames(file, predict.password)
        found += [(file, None)] if count == 1 else [(file, frame) for frame in range(count)]
    return found


def frame_name(file: pathlib.Path, frame: int | None) -> pathlib.Path:
    """The name of a frame: scan.tif#1 of the first one; that of the file where `frame` is None."""
    return file if frame is None else file.with_name(f"{file.name}#{frame + 1}")


def read_file(file: pathlib.Path, **options: Any) -> Picture:
    """The picture in a file. **Raises:** BadPicture for every error: one file of many must not end the others."""
    if _leads_nowhere(file):
        raise BadPicture(f"{file}: is a link that leads nowhere, to {os.readlink(file)}")
    try:
        return read_picture(file, **options)
    except OSError as error:
        raise BadPicture(f"{file}: cannot be read: {error.strerror or error}") from error


def results_folder(options: Options, kind: str) -> pathlib.Path:
    """The folder for results on the pictures of a command line: in `runs`, and not beside the pictures."""
    first = as_path(options.inputs[0]).resolve()
    name = first.parent.name if len(options.inputs) > 1 else first.name if first.is_dir() else first.stem
    return pathlib.Path(options.runs) / kind / name
