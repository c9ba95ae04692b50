"""Pascal VOC's XML: a file a picture."""

import codecs
import pathlib
import posixpath
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from dbnet_jax.file_names import same_name
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem, Problems
from dbnet_jax.typing import Polygon
from input_pipeline.datasets.own_data.entries import Entry, Size
from input_pipeline.datasets.own_data.picture_folder import PictureFolder
from input_pipeline.datasets.own_data.stored_names import stored_names
from input_pipeline.datasets.parsing.annotations import Instance, as_polygon, is_number, parse_instances
from input_pipeline.datasets.parsing.encodings import decode_text
from input_pipeline.datasets.parsing.folders import read_bytes
from input_pipeline.datasets.parsing.json_values import as_size, box_polygon, is_marked_ignored
from input_pipeline.datasets.parsing.outline import turn
from input_pipeline.datasets.sample import Annotation

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")


class PascalVoc(PictureFolder):
    """An XML file a picture, as labelImg, roLabelImg and other tools write it after the Pascal VOC challenge.

    - Each `object` is an instance: its `robndbox` (`cx`, `cy`, `w`, `h`, and `angle` in radians, clockwise), its
      `polygon` (`x1`, `y1`, `x2` …, or a list of `pt`), or its `bndbox` (`xmin`, `ymin`, `xmax`, `ymax`). Its `name` is
      the transcription.
    - For ignored text see `is_marked_ignored`: the name `###`, or `difficult` 1.
    - The picture of NAME.xml is NAME.jpg (.png …); where there are several, or none, the one of `filename`. A picture
      without an XML file is reported and left out.
    """

    title = "Pascal VOC's format"
    layout = f"{PictureFolder.layout}\nor  JPEGImages/ and Annotations/\nLabels of NAME.jpg are called NAME.xml."
    label_suffix = ".xml"

    def read_entries(self, labels: pathlib.Path, problems: Problems) -> Iterator[Entry]:
        pictures = dict(self.pictures(labels))
        by_stem: dict[str, list[str]] = {}
        by_file: dict[str, str] = {name: name for name in pictures}
        for name in pictures:
            # Under the name as it is, and under the one that all its spellings share.
            for stem in dict.fromkeys((_stem(name), same_name(_stem(name)))):
                by_stem.setdefault(stem, []).append(name)
            # Label Studio writes the name of the file without its suffix.
            file_name = same_name(posixpath.basename(name))
            by_file.setdefault(file_name, name)
            by_file.setdefault(_stem(file_name), name)
        used = set()
        for place, file in self.label_files(labels):
            alike = by_stem.get(_stem(place)) or by_stem.get(same_name(_stem(place)), [])
            try:
                name = alike[0] if len(alike) == 1 else _of_file_name(file, place, by_file)
            except ValueError as error:
                problems.add(Problem.at(place, f"{error}; left out"), "bad label files")
                continue
            used.add(name)
            yield Entry(name, (pictures.get(name, file.parent / name),), place, label_file=file)
        for name in [name for name in pictures if name not in used]:
            problems.add(Problem(name, "has no label file; left out"), "pictures without a label file")

    def parse_entry(self, entry: Entry) -> tuple[Annotation, Size | None]:
        assert entry.label_file is not None
        try:
            root, doubts = _read(read_bytes(entry.label_file), entry.place, entry.pictures[0].name)
        except BadPicture:
            raise
        except ValueError as error:
            raise BadPicture(f"{entry.name}: its labels cannot be used: {error}") from error
        sides = [root.findtext(f"size/{side}", "") for side in ("width", "height")]
        size = as_size(*(float(side) if is_number(side) else None for side in sides))
        objects = list(enumerate(root.iter("object"), 1))
        return parse_instances(objects, entry.place, _parse_object, doubts, _as_line), size


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _of_file_name(file: pathlib.Path, place: str, by_file: dict[str, str]) -> str:
    """The picture that `filename` of a label file names, one of `by_file` where it is there.

    **Raises:** ValueError if the file cannot be read, or names none.
    """
    written = _read(read_bytes(file), place)[0].findtext("filename", "")
    wanted = posixpath.basename(written.strip().replace("\\", "/"))
    if not wanted:
        raise ValueError(f"{place}: not one picture of its name, and no `filename` in it")
    joined = posixpath.join(posixpath.dirname(place), wanted)
    spellings = (joined, *map(same_name, (wanted, *map(posixpath.basename, stored_names(wanted)))))
    return next((by_file[spelling] for spelling in spellings if spelling in by_file), joined)


def _read(data: bytes, place: str, picture: str = "") -> tuple[ElementTree.Element, list[Problem]]:
    """The document of a label file, and the problems of its encoding.

    **Arguments:** `data`; `place`: the file's name; `picture`: a name that stands in it.

    **Raises:** ValueError if it is no XML, of another format, or declares a document type.
    """
    text, doubts = _decode(data, place, picture)
    # Only a document type can declare entities, a kilobyte of which may stand for gigabytes. Labels have none.
    if "<!DOCTYPE" in text:
        raise ValueError(f"{place}: declares a document type, which labels have no need of; refused")
    try:
        root = ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
    except ElementTree.ParseError as error:
        said = "; ".join([f"not XML: {error}", *(doubt.what for doubt in doubts)])
        raise ValueError(f"{place}: {said}") from error
    if root.tag != "annotation":
        raise ValueError(f"{place}: <{root.tag[:40]}> where <annotation> is needed")
    return root, doubts


def _decode(data: bytes, place: str, picture: str) -> tuple[str, list[Problem]]:
    """The text of a document in the encoding that it declares, or that it seems to have."""
    declared = _DECLARED.match(data)
    if declared is not None:
        try:
            return codecs.decode(data, declared[1].decode()), []
        except (LookupError, ValueError, TypeError):
            pass
    return decode_text(data, place, lambda text: int(picture in text))


def _parse_object(element: ElementTree.Element) -> Instance:
    fields = {child.tag: child.text for child in element}
    return Instance(_outline(element), is_marked_ignored(fields), (fields.get("name") or "").strip())


def _outline(element: ElementTree.Element) -> Polygon:
    turned, polygon, box = (element.find(tag) for tag in ("robndbox", "polygon", "bndbox"))
    if turned is not None:
        x, y, width, height, angle = _numbers(turned, "cx", "cy", "w", "h", "angle")
        upright = box_polygon(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return turn(upright, (x, y), angle)
    if polygon is not None and len(polygon):
        points = [_numbers(point, "x", "y") for point in polygon.findall("pt")]
        count = sum(re.fullmatch(r"x\d+", child.tag) is not None for child in polygon)
        points += [_numbers(polygon, f"x{i}", f"y{i}") for i in range(1, count + 1)]
        return as_polygon([x for x, _ in points], [y for _, y in points])
    if box is None:
        raise ValueError("no `bndbox`, `robndbox` or `polygon` in it")
    return box_polygon(*_numbers(box, "xmin", "ymin", "xmax", "ymax"))


def _numbers(element: ElementTree.Element, *tags: str) -> list[float]:
    """The numbers in the parts of an element. **Raises:** ValueError if one is missing or no finite number."""
    texts = [element.findtext(tag, "").strip() for tag in tags]
    for tag, text in zip(tags, texts, strict=True):
        if not is_number(text):
            raise ValueError(f"`{tag}` (={text[:40]!r}) must be a number")
    return [float(text) for text in texts]


def _as_line(element: ElementTree.Element) -> str:
    return " ".join(ElementTree.tostring(element, encoding="unicode").split())
