"""Results in the format that a client asked for."""

from typing import Literal

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from dbnet_jax.detection import outputs
from dbnet_jax.reader import Line, Page, Word
from dbnet_jax.serve.engine import Found
from dbnet_jax.transcripts.formats import TRANSCRIPTS, as_hocr, as_json

DetectFormat = Literal["json", "icdar", "hocr"]
ReadFormat = Literal["json", "icdar", "hocr", "alto", "text", "tsv"]


def found_json(found: Found) -> dict[str, object]:
    """The detections as plain values, as `detections.json` has them."""
    (height, width), notes = found.size, list(found.detections.notes)
    values = {"height": height, "width": width, "detections": outputs.as_json(found.detections)}
    return {**values, **({"notes": notes} if notes else {})}


def answer_found(found: Found, kind: DetectFormat, name: str) -> Response:
    """The answer to /detect for a picture of that name."""
    if kind == "json":
        return JSONResponse(found_json(found))
    if kind == "icdar":
        return PlainTextResponse(outputs.as_icdar(found.detections))
    return HTMLResponse(as_hocr(_unread(found), name))


def answer_page(page: Page, kind: ReadFormat, name: str) -> Response:
    """The answer to /read for a picture of that name."""
    if kind == "json":
        return JSONResponse(as_json(page))
    if kind == "icdar":
        return PlainTextResponse("".join(f"{_corners(word)},{_one_line(word.text)}\n" for word in page.words))
    text = TRANSCRIPTS[kind][1](page, name)
    if kind == "hocr":
        return HTMLResponse(text)
    return Response(text, media_type="application/xml") if kind == "alto" else PlainTextResponse(text)


def _unread(found: Found) -> Page:
    """A page whose words have no text; their confidence is that of the detection."""
    pairs = zip(found.detections.polygons, found.detections.scores, strict=True)
    return Page([Line([Word(polygon, "", float(score), float(score))]) for polygon, score in pairs], found.size)


def _corners(word: Word) -> str:
    return ",".join(str(int(value)) for value in word.polygon.ravel().round())


def _one_line(text: str) -> str:
    return " ".join(text.split())
