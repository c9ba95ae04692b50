"""Folders of pictures with text files in ICDAR's style."""

import contextlib
import dataclasses
import pathlib
import posixpath
from collections.abc import Iterator, Sequence
from functools import partial

from dbnet_jax.file_names import same_name
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.entries import Entry, Size, natural_order
from input_pipeline.datasets.own_data.icdar_rows import RowForm, find_row_form, parse_line
from input_pipeline.datasets.own_data.picture_folder import PictureFolder, spread
from input_pipeline.datasets.parsing.annotations import parse_instances, text_lines
from input_pipeline.datasets.parsing.folders import read_bytes
from input_pipeline.datasets.sample import Annotation

_MOST_FILES = 200  # that are read at the start, for what all of them have in common


class IcdarFolder(PictureFolder):
    """A text file a picture, gt_NAME.txt, NAME.txt or NAME.jpg.txt; a line an instance,
    `x1,y1,…,xn,yn,transcription`, with three or more points; text with `###` is ignored.

    - The numbers end where the transcription begins, which may hold commas. After four points anything may
      follow but a number, that would be a fifth point's; a transcription that is a number, "2016", is the last
      field of an odd number of them. A line whose numbers do not come out even is reported, not guessed.
    - Four points may stand without a transcription; more of them need a comma at the end of the line.
    - What nearly all rows of a set have is the set's: boxes `left,top,right,bottom,transcription` (ICDAR 2013, with
      commas or blanks) in the place of polygons, a script before the transcription (MLT), or `####` (SCUT-CTW1500).
    - An empty file is a picture without text. A picture without a file cannot be used.
    """

    title = "the ICDAR text format"
    layout = f"{PictureFolder.layout}\nLabels of NAME.jpg are called gt_NAME.txt, NAME.txt or NAME.jpg.txt."
    label_suffix = ".txt"

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        files: dict[str, pathlib.Path] = {}
        for name, file in self.label_files(labels):
            files.setdefault(name, file)
        used: dict[str, str] = {}
        entries: list[Entry] = []
        # IMG_1.TXT belongs to img_1.jpg where there is no img_1.txt.
        spelled = {**{same_name(name).lower(): name for name in files}, **{name: name for name in files}}
        for picture, path in self.pictures(labels):
            names = [spelling for name in _label_names(picture) for spelling in (name, same_name(name).lower())]
            name = next((spelled[name] for name in names if name in spelled), "")
            if name and name in used:
                both = Problem(name, f"belongs to {used[name]} and to {picture} by its name")
                problems.add(both, "labels of two pictures")
            used[name] = picture
            entries.append(Entry(picture, (path,), name or picture, label_file=files.get(name)))
        form = _find_form([entry.label_file for entry in entries if entry.label_file])
        if doubt := form.text.doubt():
            problems.add(Problem("", doubt))
        yield from (dataclasses.replace(entry, form=form) for entry in entries)
        for name in sorted(files.keys() - used.keys(), key=natural_order):
            problems.add(Problem(name, "there is no picture of it"), "label files without a picture")

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        if entry.label_file is None:
            names = " or ".join(_label_names(entry.name))
            raise BadPicture(f"{entry.name}: has no label file {names}")
        lines, problems = text_lines(read_bytes(entry.label_file), entry.place)
        return parse_instances(lines, entry.place, partial(parse_line, form=entry.form), problems), None


def _find_form(files: Sequence[pathlib.Path]) -> RowForm:
    """What the rows of a set are, by those of some files; a file that cannot be read is its picture's affair."""
    lines: list[str] = []
    for file in spread(files, _MOST_FILES):
        with contextlib.suppress(BadPicture):
            lines += [line for _, line in text_lines(read_bytes(file), file.name)[0]]
    return find_row_form(lines)


def _label_names(picture: str) -> tuple[str, ...]:
    folder, name = posixpath.split(picture)
    stem = pathlib.PurePath(name).stem
    return tuple(posixpath.join(folder, file) for file in (f"gt_{stem}.txt", f"{stem}.txt", f"{name}.txt"))
