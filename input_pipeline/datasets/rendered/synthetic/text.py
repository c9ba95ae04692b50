"""One run of text as a mask: fonts, weights, spacing and outlines."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import UInt8

_FACES = ("sans", "italic", "uni")  # the variable fonts and the Unicode font that OpenCV carries
_FONT_SIZE = 64  # pixels; text of 80 pixels is enlarged only a little
_INK = 64  # of 255; weaker pixels at the rim of a letter do not widen its box
BOX_MARGIN = 0.04


@dataclasses.dataclass(frozen=True)
class Font:
    """The font of a run.

    **Arguments:**

    - `face`: a font that OpenCV carries.
    - `weight`: the weight of the strokes, 100 (thin) to 1000 (black); the face "uni" has one weight only.
    - `tracking`: extra space between letters, in font sizes.
    - `stretch`: horizontal scale of the letters.
    - `outline`: the width of the line around the letters, in font sizes; 0 for none.
    - `hollow`: whether the outline alone is painted.
    """

    face: str = "sans"
    weight: int = 400
    tracking: float = 0.0
    stretch: float = 1.0
    outline: float = 0.0
    hollow: bool = False


def pick_font(rng: np.random.Generator) -> Font:
    """A random font."""
    outlined = rng.random() < 0.2
    return Font(
        face=str(rng.choice(_FACES, p=[0.45, 0.25, 0.3])),
        weight=int(rng.integers(2, 10)) * 100,
        tracking=float(rng.uniform(0.02, 0.15)) if rng.random() < 0.25 else 0.0,
        stretch=float(rng.uniform(0.75, 1.3)) if rng.random() < 0.5 else 1.0,
        outline=float(rng.uniform(0.03, 0.06)) if outlined else 0.0,
        hollow=bool(outlined and rng.random() < 0.2),
    )


def draw_text(text: str, font: Font) -> UInt8[np.ndarray, "height width 2"]:
    """Writes `text` on one straight line.

    **Returns:** the opacity of the letters and of the letters with outline, in [0, 255]. The array has the size of the
    **text box**: the box of the ink of this text (with its outline), and a margin of `BOX_MARGIN` times its height on
    every side. So "sea" has a lower box than "harp". The warp applies `font.stretch`.

    **Raises:** `ValueError` if `text` leaves no ink.
    """
    letters = _write(text, font)
    both = letters
    if font.outline:
        radius = max(1, round(font.outline * _FONT_SIZE))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        both = cv2.dilate(letters, disc)
        if font.hollow:
            letters = both = cv2.subtract(both, letters)
    x, y, width, height = cv2.boundingRect((both >= _INK).astype(np.uint8))
    if not width:
        raise ValueError(f"`text` (={text!r}) leaves no ink: give it something visible")
    margin = max(1, round(BOX_MARGIN * height))
    # The canvas has room for the margin on all sides.
    box = np.s_[y - margin : y + height + margin, x - margin : x + width + margin]
    return np.stack([letters[box], both[box]], axis=-1)


def _write(text: str, font: Font) -> UInt8[np.ndarray, "height width"]:
    # Each call opens a face: threads that share a face write wrong letters. Opening takes a microsecond.
    face = cv2.FontFace(font.face)
    spacing = round(font.tracking * _FONT_SIZE)
    width = round(len(text) * 1.1 * _FONT_SIZE) + len(text) * spacing + _FONT_SIZE
    canvas = np.zeros((2 * _FONT_SIZE, width), np.uint8)
    x, y = _FONT_SIZE // 2, round(1.35 * _FONT_SIZE)
    # Only spaced letters are written one by one: a whole line keeps its kerning.
    for part in text if spacing else [text]:
        (x, _), _ = cv2.putText(canvas, part, (x, y), (255,), face, _FONT_SIZE, font.weight)
        x += spacing
    return canvas
