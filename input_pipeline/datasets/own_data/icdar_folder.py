"""Folders of pictures with text files in ICDAR's style."""

import pathlib
import posixpath
from collections.abc import Iterator

from dbnet_jax.file_names import same_name
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.entries import Entry, Size, natural_order
from input_pipeline.datasets.own_data.picture_folder import PictureFolder
from input_pipeline.datasets.parsing.annotations import (
    Instance,
    as_polygon,
    check_commas,
    is_endless,
    is_ignored_text,
    is_number,
    parse_instances,
    parse_numbers,
    text_lines,
)
from input_pipeline.datasets.parsing.folders import read_bytes
from input_pipeline.datasets.sample import Annotation


class IcdarFolder(PictureFolder):
    """A text file a picture, gt_NAME.txt, NAME.txt or NAME.jpg.txt; a line an instance,
    `x1,y1,…,xn,yn,transcription`, with three or more points; text with `###` is ignored.

    - The numbers end where the transcription begins, which may hold commas. After four points anything may
      follow but a number, that would be a fifth point's; a transcription that is a number, "2016", is the last
      field of an odd number of them. A line whose numbers do not come out even is reported, not guessed.
    - Four points may stand without a transcription; more of them need a comma at the end of the line.
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
        # IMG_1.TXT belongs to img_1.jpg where there is no img_1.txt.
        spelled = {**{same_name(name).lower(): name for name in files}, **{name: name for name in files}}
        for picture, path in self.pictures(labels):
            names = [spelling for name in _label_names(picture) for spelling in (name, same_name(name).lower())]
            name = next((spelled[name] for name in names if name in spelled), "")
            if name and name in used:
                both = Problem(name, f"belongs to {used[name]} and to {picture} by its name")
                problems.add(both, "labels of two pictures")
            used[name] = picture
            yield Entry(picture, (path,), name or picture, label_file=files.get(name))
        for name in sorted(files.keys() - used.keys(), key=natural_order):
            problems.add(Problem(name, "there is no picture of it"), "label files without a picture")

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        if entry.label_file is None:
            names = " or ".join(_label_names(entry.name))
            raise BadPicture(f"{entry.name}: has no label file {names}")
        lines, problems = text_lines(read_bytes(entry.label_file), entry.place)
        return parse_instances(lines, entry.place, parse_line, problems), None


def parse_line(line: str) -> Instance:
    """One instance; see `IcdarFolder`. **Raises:** ValueError with the reason where it cannot."""
    fields = line.split(",")
    check_commas(fields[0])
    count = next((position for position, field in enumerate(fields) if not is_number(field)), len(fields))
    if count == len(fields) and count > 8:
        count -= 1  # the transcription is a number, such as a year
    rest = fields[count:]
    if len(rest) > 1 and is_endless(rest[0]):
        raise ValueError(f"{rest[0].strip()!r} is not a finite number")
    if count % 2 or _garbled(count, rest):
        raise ValueError(f"the coordinates cannot be told from the transcription: {count} numbers come first")
    numbers = parse_numbers(fields, count)
    text = ",".join(rest)
    return Instance(as_polygon(numbers[0::2], numbers[1::2]), is_ignored_text(text), text)


def _garbled(count: int, rest: list[str]) -> bool:
    """Whether what follows the numbers may hold coordinates: "…,1O,20,word"."""
    if not rest:
        return count != 8
    numeric = sum(is_number(field) for field in rest[1:])
    # A transcription with a comma before a number is nothing rare after four points: "Suite 3, 12".
    return numeric > (1 if count == 8 else 0)


def _label_names(picture: str) -> tuple[str, ...]:
    folder, name = posixpath.split(picture)
    stem = pathlib.PurePath(name).stem
    return tuple(posixpath.join(folder, file) for file in (f"gt_{stem}.txt", f"{stem}.txt", f"{name}.txt"))
