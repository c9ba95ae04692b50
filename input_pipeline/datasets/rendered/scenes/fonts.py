"""Which fonts scenes are written in: OpenCV's own and those of the system and of installed packages."""

import dataclasses
import filecmp
import functools
import importlib.util
import math
import os
import pathlib
import re
import struct
import sys
import threading
from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import UInt8

BUILTIN = ("sans", "italic", "uni")  # the variable fonts and the Unicode font that OpenCV carries
# They hold symbols, pieces of formulas or boxes, or letters drawn as something else.
_UNREADABLE = re.compile(
    r"math|symbol|emoji|icon|ding|awesome|braille|barcode|music|lastresort|stixsiz|stixnonuni|cmex|cmmi|cmsy|ornament"
    r"|opens___|segment|initial|keyboard|libertinei|linbiolinum_k",
    re.IGNORECASE,
)
_FILES = "*.[tToO][tT][fF]"
_PROBE = "Agn0@*çβγбд"
# What a font file begins with: TrueType's two, and OpenType's of other curves.
_MAGICS = (b"\0\1\0\0", b"true", b"OTTO")
_COLLECTION = b"ttcf"  # several fonts in one file; OpenCV takes the first


@dataclasses.dataclass(frozen=True)
class Font:
    """A way of writing.

    **Arguments:**

    - `face`: a name of `BUILTIN` or a font file.
    - `weight`: of the strokes, 100 (thin) to 1000 (black), where the face varies; 0 is the face's own.
    - `tracking`: extra space between letters, in font sizes.
    - `stretch`: horizontal scale of the letters.
    """

    face: str = "sans"
    weight: int = 400
    tracking: float = 0.0
    stretch: float = 1.0

    def write(self, picture: UInt8[np.ndarray, "height width"], text: str, x: int, baseline: int, size: int) -> int:
        """Writes `text` in place, `size` pixels high, from (x, baseline) on; returns where it ends."""
        face, lock = _open(self.face)
        with lock:
            (end, _), _ = cv2.putText(picture, text, (x, baseline), (255,), face, size, self.weight)
        return end


# Open for ever: OpenCV keeps drawn letters by a face's address, and shows them for the next face that lies there.
_FACES: dict[str, tuple[cv2.FontFace, threading.Lock]] = {}
_OPENING = threading.Lock()


def _open(face: str) -> tuple[cv2.FontFace, threading.Lock]:
    """A face, and what to hold while writing: two threads in one face write wrong letters.

    **Raises:** ValueError when it is no font.
    """
    with _OPENING:
        if face not in _FACES:
            opened = cv2.FontFace(face) if face in BUILTIN or _is_whole(pathlib.Path(face)) else None
            # Of a file that it cannot read OpenCV makes a face without a name, and writes in another.
            if opened is None or not opened.getName():
                raise ValueError(f"`face` (={face!r}) must be a whole font file or one of {', '.join(BUILTIN)}")
            _FACES[face] = opened, threading.Lock()
        return _FACES[face]


def _is_whole(file: pathlib.Path) -> bool:
    """Whether it is a font file that holds all of its tables: where one is cut short OpenCV reads on, and may crash.

    Only the list of tables at its head is read: https://learn.microsoft.com/typography/opentype/spec/otff
    """
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            size, start = file.stat().st_size, 0
            if opened.read(4) == _COLLECTION:
                (start,) = struct.unpack(">8xI", opened.read(12))
            opened.seek(start)
            magic, count = struct.unpack(">4sH6x", opened.read(12))
            tables = [struct.unpack(">8xII", opened.read(16)) for _ in range(count)]
    except (OSError, struct.error):
        return False
    return magic in _MAGICS and count > 0 and all(offset + length <= size for offset, length in tables)


@functools.lru_cache
def find_fonts(folder: str = "") -> tuple[str, ...]:
    """The faces to write in: OpenCV's own, then the TrueType and OpenType files of a folder and all below.

    Sorted by file name, so that two machines with the same files get the same, wherever these lie. A file that cannot
    be read, fonts of symbols, and copies of a file under its own name are left out.

    **Arguments:**

    - `folder`: "" takes the system's folders and matplotlib's fonts, if that is installed; "builtin" none.

    **Raises:** FileNotFoundError when a folder is named that is not there or holds no font to write in.
    """
    if folder == "builtin":
        return BUILTIN
    fonts = _list_fonts([pathlib.Path(folder).expanduser()] if folder else _system_folders())
    if folder and not fonts:
        raise FileNotFoundError(
            f"`config.data.fonts` (={folder!r}) must be a folder that holds fonts of letters, *.ttf or *.otf; "
            "or '', or 'builtin'"
        )
    return (*BUILTIN, *fonts)


def _list_fonts(roots: Iterable[pathlib.Path]) -> list[str]:
    found = [(file.name, file.relative_to(root).as_posix(), file) for root in roots for file in root.rglob(_FILES)]
    fonts: dict[str, list[pathlib.Path]] = {}
    for name, _, file in sorted(found):
        # Of one name there may be other fonts, "Regular.ttf" of each family, or one font in two places.
        alike = fonts.setdefault(name, [])
        if _is_readable(file) and not any(filecmp.cmp(file, other, shallow=False) for other in alike):
            alike.append(file)
    return [str(file) for alike in fonts.values() for file in alike]


def _system_folders() -> list[pathlib.Path]:
    home = pathlib.Path.home()
    if sys.platform == "darwin":
        folders = [pathlib.Path("/System/Library/Fonts"), pathlib.Path("/Library/Fonts"), home / "Library/Fonts"]
    elif sys.platform == "win32":
        folders = [pathlib.Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    else:
        folders = [pathlib.Path("/usr/share/fonts"), pathlib.Path("/usr/local/share/fonts")]
        folders += [home / ".fonts", home / ".local/share/fonts"]
    package = importlib.util.find_spec("matplotlib")
    if package and package.origin:
        folders.append(pathlib.Path(package.origin).parent / "mpl-data" / "fonts" / "ttf")
    return folders


def _is_readable(file: pathlib.Path) -> bool:
    """Whether it is a font of letters: some ink for each of a few, and another for each."""
    if _UNREADABLE.search(file.name):
        return False
    try:
        pictures = [np.zeros((64, 64), np.uint8) for _ in _PROBE]
        for letter, picture in zip(_PROBE, pictures, strict=True):
            Font(str(file), 0).write(picture, letter, 12, 48, 32)
    except (ValueError, cv2.error, SystemError):  # the last where OpenCV found no memory for what a file asks for
        return False
    # Letters that it lacks are borrowed from OpenCV's fonts; some fonts hold empty ones.
    return all(picture.any() for picture in pictures) and len({picture.tobytes() for picture in pictures}) == len(
        _PROBE
    )


def pick_font(rng: np.random.Generator, faces: tuple[str, ...]) -> Font:
    """A random way of writing in one of `faces`, OpenCV's own for a fifth of the text at least."""
    face = BUILTIN[rng.integers(len(BUILTIN))] if rng.random() < 0.2 else faces[rng.integers(len(faces))]
    return Font(
        face=face,
        weight=int(rng.integers(2, 10)) * 100 if face in BUILTIN else 0,
        # Half of them have a seventh of a size or less; the letters of names over doors stand up to a width apart.
        tracking=math.exp(rng.uniform(math.log(0.02), 0.0)) if rng.random() < 0.25 else 0.0,
        stretch=float(rng.uniform(0.7, 1.35)) if rng.random() < 0.5 else 1.0,
    )
