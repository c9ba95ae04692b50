"""Large pictures whose text is known: photos and scans that are joined, and a rendered screenshot."""

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from input_pipeline.datasets.sample import Sample

_WORDS = ("the", "time", "last", "seen", "today", "send", "reply", "message", "delivery", "total", "account")
_INKS = (((250, 250, 252), (30, 32, 38)), ((32, 36, 44), (224, 228, 236)), ((225, 245, 254), (1, 60, 100)))
_SIZES = (13, 15, 18, 24)  # of the fonts, in pixels


def joined(name: str, rows: Sequence[Sequence[Sample]]) -> Sample:
    """The pictures of samples side by side in each row, the rows below each other, on black."""
    heights = [max(sample.image.shape[0] for sample in row) for row in rows]
    width = max(sum(sample.image.shape[1] for sample in row) for row in rows)
    image, polygons, ignore, top = np.zeros((sum(heights), width, 3), np.uint8), [], [], 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for sample in row:
            rows_, columns = sample.image.shape[:2]
            image[top : top + rows_, left : left + columns] = sample.image
            polygons += [np.asarray(polygon + (left, top), np.float32) for polygon in sample.polygons]
            ignore += list(sample.ignore)
            left += columns
        top += height
    return Sample(name, image, polygons, ignore)


def of_height(sample: Sample, height: int) -> Sample:
    """The sample at another height in pixels."""
    scale = height / sample.image.shape[0]
    image = cv2.resize(sample.image, (round(sample.image.shape[1] * scale), height), interpolation=cv2.INTER_AREA)
    return Sample(sample.name, image, [polygon * scale for polygon in sample.polygons], sample.ignore)


def screenshot(size: tuple[int, int], seed: int = 0) -> Sample:
    """Lines of small text in panels of several colours. An instance is a line.

    **Arguments:** `size`: (height, width) in pixels.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    image = PIL.Image.new("RGB", (width, height), _INKS[0][0])
    draw, polygons, top = PIL.ImageDraw.Draw(image), [], 0
    while top < height:
        (ground, ink), panel = _INKS[rng.integers(len(_INKS))], int(rng.integers(200, 500))
        draw.rectangle((0, top, width, top + panel), fill=ground)
        y = top + 20
        while y < min(top + panel, height) - 50:
            font_size = int(rng.choice(_SIZES))
            font = PIL.ImageFont.load_default(font_size)
            text = _line(rng, font, int(rng.integers(width // 4, width - 60)))
            left, upper, right, lower = draw.textbbox((25, y), text, font=font)
            draw.text((25, y), text, fill=ink, font=font)
            polygons.append(np.array([[left, upper], [right, upper], [right, lower], [left, lower]], np.float32))
            y += round(font_size * 2.2)
        top += panel
    return Sample("screenshot", np.asarray(image), polygons, [False] * len(polygons))


def _line(rng: np.random.Generator, font: PIL.ImageFont.FreeTypeFont, width: int) -> str:
    """Words that are `width` pixels long together, at most; one word at least."""
    text = str(rng.choice(_WORDS))
    while font.getlength(longer := f"{text} {rng.choice(_WORDS)}") <= width:
        text = longer
    return text
