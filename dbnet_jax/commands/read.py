"""Reads pictures: words, lines and text, in the formats of readers and archives, and a page to look at."""

import contextlib
import functools
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl.app import UsageError
from tqdm import tqdm

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.pictures import each_frame, frame_name, pictures_of, read_file, results_folder
from dbnet_jax.commands.sources import find_detector, load_recognizer
from dbnet_jax.detector import Detector
from dbnet_jax.files import claim_files, replace_files, write_atomically
from dbnet_jax.images.decode import Picture, reading_options
from dbnet_jax.pages.page import PAGE
from dbnet_jax.pages.reading import ReadingPage
from dbnet_jax.paths import as_path
from dbnet_jax.reader import Page, Reader
from dbnet_jax.recognition.recognizer import DEFAULT as RECOGNIZER
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.transcripts.formats import TRANSCRIPTS, as_json
from dbnet_jax.transcripts.searchable_pdf import SearchablePdfs
from dbnet_jax.weights.run_folder import restore_variables

_NOTHING = Picture("", np.zeros((1, 1, 3), np.uint8))
JSON = "reading.json"
FORMATS = ("json", *TRANSCRIPTS, "pdf", "page")
"""The formats by name: "json" writes `reading.json`, "page" `index.html`, "pdf" a searchable PDF for each file of the
input; the others write a file for each picture."""


def read_files(
    reader: Reader, sources: Sequence[str], output: pathlib.Path, formats: Sequence[str] = FORMATS
) -> tuple[dict[str, Page], dict[str, str]]:
    """Reads picture files, and every picture of folders and the folders in them.

    With `config.predict.frames` "all", each frame or page of a file is a picture: scan.pdf#1, scan.pdf#2, …
    A picture that cannot be read is skipped. Files of an earlier run in `output` are removed, other files stay. An
    error keeps the results of the pictures before it.

    **Arguments:** `reader`; `sources`: files and folders; `output`: the folder of the results; `formats`: of `FORMATS`.

    **Returns:** the pages by the names of the pictures, and why others were skipped.

    **Raises:** FileNotFoundError when the sources contain no picture; FileExistsError when `output` contains files of a
    person; ValueError when a format does not exist.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ValueError(f"`formats` (={','.join(formats)}): {unknown[0]!r} is none of {', '.join(FORMATS)}")
    root, files = pictures_of(sources, output)
    frames = each_frame(files, reader.detector.config.predict)
    names = [frame_name(file.relative_to(root), frame).as_posix() for file, frame in frames]
    texts = [kind for kind in formats if kind in TRANSCRIPTS]
    planned = {kind: [f"{kind}/{name}{TRANSCRIPTS[kind][0]}" for name in names] for kind in texts}
    documents = [f"pdf/{file.relative_to(root).as_posix()}.pdf" for file, _ in frames]
    planned |= {"pdf": list(dict.fromkeys(documents))} if "pdf" in formats else {}
    planned |= {kind: [file] for kind, file in (("json", JSON), ("page", PAGE)) if kind in formats}
    output.mkdir(parents=True, exist_ok=True)
    claim_files(output, planned)
    pdfs = SearchablePdfs(output, reader.detector.config.predict.dpi) if "pdf" in formats else None
    page = ReadingPage(output, "What the pictures say") if "page" in formats else None
    pages: dict[str, Page] = {}
    skipped: dict[str, str] = {}
    # A format whose end fails, as on a full disk, is not in it: the files of an earlier run stay.
    written: dict[str, list[str]] = {kind: [] for kind in FORMATS if kind not in formats or kind in texts}
    with contextlib.ExitStack() as stack:
        stack.callback(replace_files, output, written)
        if page is not None:
            stack.callback(_close_page, page, pages, skipped, written)
        if pdfs is not None:
            stack.callback(_close_pdfs, pdfs, written)
        if "json" in formats:
            stack.callback(_write_json, output, pages, skipped, written)
        for document, (name, picture, found) in zip(documents, _each(reader, frames, names), strict=True):
            if isinstance(found, ValueError):
                skipped[name] = str(found)
                continue
            pages[name] = found
            for kind in texts:
                written[kind].append(_write_transcript(output, kind, name, found))
            if pdfs is not None:
                pdfs.add(document, picture.image, found)
            if page is not None:
                page.add(name, picture.image, found)
    return pages, skipped


def _write_json(
    output: pathlib.Path, pages: dict[str, Page], skipped: dict[str, str], written: dict[str, list[str]]
) -> None:
    text = json.dumps({"pictures": {k: as_json(v) for k, v in pages.items()}, "skipped": skipped}, indent=1)
    write_atomically(output / JSON, text + "\n")
    written["json"] = [JSON]


def _close_pdfs(pdfs: SearchablePdfs, written: dict[str, list[str]]) -> None:
    pdfs.close()
    written["pdf"] = pdfs.files


def _close_page(
    page: ReadingPage, pages: dict[str, Page], skipped: dict[str, str], written: dict[str, list[str]]
) -> None:
    page.close({"pictures": len(pages), **({"skipped": "; ".join(skipped.values())} if skipped else {})})
    written["page"] = page.files


def _write_transcript(output: pathlib.Path, kind: str, name: str, page: Page) -> str:
    suffix, made = TRANSCRIPTS[kind]
    file = output / kind / f"{name}{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, made(page, name))
    return file.relative_to(output).as_posix()


def _each(
    reader: Reader, frames: Sequence[tuple[pathlib.Path, int | None]], names: Sequence[str]
) -> Iterator[tuple[str, Picture, Page | ValueError]]:
    """The name, the picture and the page, or the error, of each frame."""
    options = reading_options(reader.detector.config.predict)
    kept: dict[int, Picture] = {}

    def read(index: int, file: pathlib.Path, frame: int | None) -> Picture:
        kept[index] = read_file(file, frame=frame, **options)
        return kept[index]

    sources: list[Callable[[], Picture]] = [
        functools.partial(read, index, file, frame) for index, (file, frame) in enumerate(frames)
    ]
    with (
        contextlib.closing(reader.read_many(sources)) as found,
        tqdm(total=len(frames), unit="picture", disable=None, dynamic_ncols=True) as bar,
    ):
        for index, (name, one) in enumerate(zip(names, found, strict=True)):
            if isinstance(one, ValueError):
                bar.write(f"skipped: {one}", sys.stderr)
            else:
                for note in one.notes:
                    bar.write(f"{name}: {note}", sys.stderr)
            yield name, kept.pop(index, _NOTHING), one
            bar.update()


def run(options: Options) -> None:
    """The command `read`."""
    if not options.inputs:
        raise UsageError("--input is missing: a picture, or a folder of pictures")
    keep_memory()
    recognizer = load_recognizer(options.recognizer or RECOGNIZER, options)
    config, trained = find_detector(options)
    detector = Detector(config, restore_variables(config, trained))
    folder = f"{options.workdir}/readings" if options.workdir else results_folder(options, "readings")
    output = as_path(options.output or folder)
    formats = FORMATS if options.formats is None else [name.strip() for name in options.formats.split(",")]
    pages, _ = read_files(Reader(detector, recognizer), options.inputs, output, formats)
    for name, page in pages.items():
        print(f"{name}:\n{page.text}\n" if len(pages) > 1 else page.text)
    print(f"results: {output / PAGE if 'page' in formats else output}", file=sys.stderr)
    if not pages:
        sys.exit(f"--input={' '.join(options.inputs)}: nothing in it could be read as a picture")
