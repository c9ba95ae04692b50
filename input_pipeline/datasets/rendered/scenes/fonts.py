"""The fonts of scenes: OpenCV's own, and those of the system and of installed packages."""

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

from dbnet_jax.paths import in_bucket

BUILTIN = ("sans", "italic", "uni")  # the variable fonts and the Unicode font that OpenCV carries
# Fonts of symbols, of pieces of formulas or boxes, or with letters that look like something else.
_UNREADABLE = re.compile(
    r"math|symbol|emoji|icon|ding|awesome|braille|barcode|music|lastresort|stixsiz|stixnonuni|cmex|cmmi|cmsy|ornament"
    r"|opens___|segment|initial|keyboard|libertinei|linbiolinum_k",
    re.IGNORECASE,
)
_FILES = "*.[tToO][tT][fF]"
_PROBE = "Agn0@*çβγбд"
# The first bytes of a font file: two of TrueType, one of OpenType with other curves.
_MAGICS = (b"\0\1\0\0", b"true", b"OTTO")
_COLLECTION = b"ttcf"  # several fonts in one file; OpenCV reads the first


@dataclasses.dataclass(frozen=True)
class Font:
    """A way of writing.

    **Arguments:**

    - `face`: a name of `BUILTIN` or a font file.
    - `weight`: the weight of the strokes, 100 (thin) to 1000 (black), of a variable face; 0 is the face's own.
    - `tracking`: extra space between letters, in font sizes.
    - `stretch`: horizontal scale of the letters.
    """

    face: str = "sans"
    weight: int = 400
    tracking: float = 0.0
    stretch: float = 1.0

    def write(self, picture: UInt8[np.ndarray, "height width"], text: str, x: int, baseline: int, size: int) -> int:
        """Writes `text` in place, `size` pixels high, from (x, baseline) on; returns the x at which it ends."""
        face, lock = _open(self.face)
        with lock:
            (end, _), _ = cv2.putText(picture, text, (x, baseline), (255,), face, size, self.weight)
        return end


# Faces stay open: OpenCV caches letters by the address of a face, and a new face may get an old address.
_FACES: dict[str, tuple[cv2.FontFace, threading.Lock]] = {}
_OPENING = threading.Lock()


def _open(face: str) -> tuple[cv2.FontFace, threading.Lock]:
    """A face, and the lock to hold while writing: two threads with one face write wrong letters.

    **Raises:** ValueError if it is no font.
    """
    with _OPENING:
        if face not in _FACES:
            opened = cv2.FontFace(face) if face in BUILTIN or _is_whole(pathlib.Path(face)) else None
            # OpenCV makes a face without a name from an unreadable file, and writes with another face.
            if opened is None or not opened.getName():
                raise ValueError(f"`face` (={face!r}) must be a whole font file or one of {', '.join(BUILTIN)}")
            _FACES[face] = opened, threading.Lock()
        return _FACES[face]


def _is_whole(file: pathlib.Path) -> bool:
    """Whether it is a font file with all of its tables. OpenCV reads beyond the end of a truncated file and may crash.

    Only the list of tables at the start is read: https://learn.microsoft.com/typography/opentype/spec/otff
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
    """The faces: OpenCV's own, then the TrueType and OpenType files of a folder and its subfolders.

    Files are sorted by name, so that two machines with the same files return the same faces. Unreadable files, fonts of
    symbols, and copies of a file with the same name are left out.

    **Arguments:**

    - `folder`: a folder; "" takes the system's folders and matplotlib's fonts, if it is installed; "builtin" takes
        none.

    **Raises:** FileNotFoundError if the folder is missing or contains no font of letters.
    """
    if folder == "builtin":
        return BUILTIN
    if in_bucket(folder):
        raise ValueError(f"`config.data.fonts` (={folder!r}) must be on a disk: OpenCV opens a font by its name")
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
        # Files of one name may be different fonts ("Regular.ttf" of each family) or one font in two places.
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
    """Whether it is a font of letters: some letters all leave ink, and each leaves another ink."""
    if _UNREADABLE.search(file.name):
        return False
    try:
        pictures = [np.zeros((64, 64), np.uint8) for _ in _PROBE]
        for letter, picture in zip(_PROBE, pictures, strict=True):
            Font(str(file), 0).write(picture, letter, 12, 48, 32)
    except (ValueError, cv2.error, SystemError):  # SystemError: OpenCV has too little memory for the file
        return False
    # OpenCV's fonts replace missing letters. Some fonts have empty letters.
    return all(picture.any() for picture in pictures) and len({picture.tobytes() for picture in pictures}) == len(
        _PROBE
    )


def pick_font(rng: np.random.Generator, faces: tuple[str, ...]) -> Font:
    """A random font of one of `faces`. At least a fifth of the text has one of OpenCV's own."""
    face = BUILTIN[rng.integers(len(BUILTIN))] if rng.random() < 0.2 else faces[rng.integers(len(faces))]
    return Font(
        face=face,
        weight=int(rng.integers(2, 10)) * 100 if face in BUILTIN else 0,
        # Half of them have a seventh of a font size or less. The letters over doors stand up to a letter's width apart.
        tracking=math.exp(rng.uniform(math.log(0.02), 0.0)) if rng.random() < 0.25 else 0.0,
        stretch=float(rng.uniform(0.7, 1.35)) if rng.random() < 0.5 else 1.0,
    )
