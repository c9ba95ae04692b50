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
from dbnet_jax.commands.pictures import Frame, each_frame, frame_name, pictures_of, read_file, results_folder
from dbnet_jax.commands.sources import find_detector
from dbnet_jax.detection.outputs import IcdarWriter, JsonWriter, Writer
from dbnet_jax.detector import Detector
from dbnet_jax.files import claim_files, replace_files
from dbnet_jax.images.decode import reading_options
from dbnet_jax.pages.predictions import PageWriter
from dbnet_jax.paths import as_path
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.weights.run_folder import restore_variables

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
    pictures before it. With `config.predict.frames` "all", each frame or page of a file is a picture: scan.pdf#1,
    scan.pdf#2, …

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
    output = as_path(output)
    sources = [source] if isinstance(source, str | os.PathLike) else source
    root, files = pictures_of(sources, output)
    frames = each_frame(files, detector.config.predict)
    names = [frame_name(file.relative_to(root), frame) for file, frame in frames]
    title = pathlib.Path(sources[0]).name if len(sources) == 1 else root.name
    planned = {name: WRITERS[name].planned(names) for name in formats}
    output.mkdir(parents=True, exist_ok=True)
    claim_files(output, planned)
    writers = {name: WRITERS[name](output, f"Text in {title}", names) for name in formats}
    skipped: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        outputs: dict[str, list[str]] = {name: [] for name in WRITERS if name not in writers}
        stack.callback(replace_files, output, outputs)
        for name in writers:
            stack.callback(_close, name, writers[name], skipped, outputs)
        _detect(detector, frames, [name.as_posix() for name in names], list(writers.values()), skipped)
    return Predicted(output / "index.html" if "page" in writers else None, len(names) - len(skipped), skipped)


def _detect(
    detector: Detector,
    frames: Sequence[Frame],
    names: Sequence[str],
    writers: Sequence[Writer],
    skipped: dict[str, str],
) -> None:
    """Hands every picture to the writers, in order, and lists those that cannot be read in `skipped`."""
    options = reading_options(detector.config.predict)
    sources = (functools.partial(read_file, file, frame=frame, **options) for file, frame in frames)
    with (
        contextlib.closing(detector.detect_many_with_maps(sources)) as found,
        tqdm(total=len(frames), unit="picture", disable=None, dynamic_ncols=True) as bar,
    ):
        for name, one in zip(names, found, strict=True):
            if isinstance(one, ValueError):
                skipped[name] = str(one)
                bar.write(f"skipped: {one}")
            else:
                for note in one.detections.notes:
                    bar.write(f"{name}: {note}")
                for writer in writers:
                    writer.add(name, one)
            bar.update()


def _close(name: str, writer: Writer, skipped: dict[str, str], outputs: dict[str, list[str]]) -> None:
    """Finishes the files of a format. Where that fails, as on a full disk, the files of an earlier run stay."""
    writer.close(skipped)
    outputs[name] = writer.files


def run(options: Options) -> None:
    """The command `predict`."""
    if not options.inputs:
        raise UsageError("--input is missing: a picture, or a folder of pictures")
    if options.workdir is None and options.config is not None:
        raise UsageError(
            "--config is refused: the weights have their own; --config.predict.FIELD=VALUE changes a field"
        )
    config, trained = find_detector(options)
    keep_memory()
    detector = Detector(config, restore_variables(config, trained))
    folder = f"{options.workdir}/detections" if options.workdir else results_folder(options, "detections")
    output = options.output or folder
    formats = tuple(WRITERS) if options.formats is None else [name.strip() for name in options.formats.split(",")]
    found = predict_files(detector, options.inputs, output, formats)
    print(f"results: {found.page or output}")
    if not found.pictures:
        sys.exit(f"--input={' '.join(options.inputs)}: nothing in it could be read as a picture")
