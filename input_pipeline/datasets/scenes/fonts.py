"""Which fonts scenes are written in: OpenCV's own and those of the system and of installed packages."""

import dataclasses
import functools
import importlib.util
import os
import pathlib
import re
import sys
import threading

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
_PROBE = "Agn0@*çβγбд"


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
            opened = cv2.FontFace(face)
            # Of a file that it cannot read OpenCV makes a face without a name, and writes in another.
            if not opened.getName():
                raise ValueError(f"`face` (={face!r}) must be a font file or one of {', '.join(BUILTIN)}")
            _FACES[face] = opened, threading.Lock()
        return _FACES[face]


@functools.lru_cache
def find_fonts(folder: str = "") -> tuple[str, ...]:
    """The faces to write in: OpenCV's own, then the TrueType and OpenType files of a folder and all below.

    Sorted by file name, so that two machines with the same files get the same. A file that cannot be read, and fonts of
    symbols, are left out.

    **Arguments:**

    - `folder`: "" takes the system's folders and matplotlib's fonts, if that is installed; "builtin" none.

    **Raises:** FileNotFoundError when there is no such folder.
    """
    if folder == "builtin":
        return BUILTIN
    if folder and not pathlib.Path(folder).is_dir():
        raise FileNotFoundError(f"`config.data.fonts` (={folder!r}) must be a folder of fonts, '' or 'builtin'")
    roots = [pathlib.Path(folder)] if folder else _system_folders()
    files = {file.name: file for root in roots for file in sorted(root.rglob("*.[tToO][tT][fF]"))}
    return (*BUILTIN, *(str(files[name]) for name in sorted(files) if _is_readable(files[name])))


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
    except (ValueError, cv2.error):
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
        tracking=float(rng.uniform(0.02, 0.3)) if rng.random() < 0.15 else 0.0,
        stretch=float(rng.uniform(0.7, 1.35)) if rng.random() < 0.5 else 1.0,
    )
