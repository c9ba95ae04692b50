"""The pictures that own labels describe: each once, in an order."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable

from dbnet_jax.messages import Problem, Problems
from input_pipeline.datasets.own_data.icdar_rows import POLYGONS, RowForm
from input_pipeline.datasets.parsing.folders import find_file, identity

Size = tuple[int, int]
Identity = str | tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One picture that the labels describe.

    **Arguments:**

    - `name`: the picture's, as the labels have it, with `/` between folders; unique in the data set.
    - `pictures`: paths where it may lie; the first that exists is read, in any spelling (see `find_file`).
    - `place`: where the labels speak of it, for messages ("train.json: img_1.jpg").
    - `lines`: what they say of its text: (number, text) of each instance, to be parsed when it is asked for …
    - `label_file`: … or the file that holds it, of rows of the form `form` where it is a text file.
    - `size`: (height, width) of the picture as the labels state it; None where they do not, or in their file.
    - `split`: which of the splits the labels put it in; "" where they do not say.
    - `unusable`: why the labels of the picture cannot be used at all; "" where they can. Such an entry still is a
        picture: it is skipped, and counted with the unreadable pictures.
    """

    name: str
    pictures: tuple[pathlib.Path, ...]
    place: str
    lines: tuple[tuple[int, str], ...] = ()
    label_file: pathlib.Path | None = None
    size: Size | None = None
    split: str = ""
    unusable: str = ""
    form: RowForm = POLYGONS


def unusable_entry(place: str, reason: object, split: str = "") -> Entry:
    """The entry of a picture whose labels, at `place`, cannot be used."""
    return Entry(place, (), place, split=split, unusable=str(Problem.at(place, reason)))


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people do: img_2 before img_10."""
    parts = re.split(r"([0-9]+)", name)
    # Numbers stand at odd places. The longer one is the larger, without converting thousands of digits.
    keys = [(len(part.lstrip("0")), part.lstrip("0")) if i % 2 else (0, part) for i, part in enumerate(parts)]
    return [*keys, (0, name)]


def locate(entry: Entry) -> pathlib.Path | None:
    """Where the picture of an entry lies; None if nowhere."""
    return find_file(entry.pictures)


def unique(entries: Iterable[Entry], problems: Problems) -> list[Entry]:
    """The first entry of each picture and of each name; `problems` lists the others."""
    kept: list[Entry] = []
    known: dict[Identity, Entry] = {}
    for entry in entries:
        keys = (entry.name, _identity(entry))
        first = next((known[key] for key in keys if key in known), None)
        if first is not None:
            other = "" if first.name == entry.name else f", as {first.name} before"
            again = Problem(entry.place, f"named a second time{other}; this one is left out")
            problems.add(again, "a picture named twice")
            continue
        known.update(dict.fromkeys(keys, entry))
        kept.append(entry)
    return kept


def merge(training: list[Entry], scored: list[Entry], problems: Problems) -> list[Entry]:
    """The entries of both, those to be scored on under names of their own where another picture has theirs."""
    names, pictures = {entry.name for entry in training}, set(map(_identity, training))
    apart = [
        dataclasses.replace(entry, name=f"validation/{entry.name}")
        if entry.name in names and _identity(entry) not in pictures
        else entry
        for entry in scored
    ]
    return unique([*training, *apart], problems)


def exclude(training: list[Entry], scored: list[Entry], problems: Problems) -> list[Entry]:
    """The entries whose pictures are not in `scored`; `problems` lists the others."""
    taken, kept = set(map(_identity, scored)), []
    for entry in training:
        if _identity(entry) not in taken:
            kept.append(entry)
        else:
            problem = Problem(entry.place, "is a picture to score on too; kept out of training")
            problems.add(problem, "to be scored on too")
    return kept


def _identity(entry: Entry) -> Identity:
    """What tells a picture from others: its file, whatever path leads to it, or its name where there is no file."""
    path = locate(entry)
    return entry.name if path is None else identity(path)
