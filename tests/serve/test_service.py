"""What the addresses answer, to good requests and to bad ones."""

import re
import xml.etree.ElementTree as ET
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from dbnet_jax.serve.engine import Engine
from dbnet_jax.serve.limits import Limits
from tests.helpers.pdf_files import pdf_file
from tests.helpers.pictures import saved, with_orientation
from tests.helpers.service import WORD, FakeDetector, fake_engine, form, running

PNG = saved(np.full((40, 60, 3), 200, np.uint8), "PNG")
JPEG = saved(np.full((40, 60, 3), 200, np.uint8), "JPEG")


@pytest.fixture(scope="module")
def client():
    with running(fake_engine(), Limits(picture_bytes=100_000, batch_bytes=300_000, batch_pictures=3)) as client:
        client.wait_until(lambda: client.service.ready)
        yield client


@pytest.mark.parametrize(
    ("content", "size"),
    [(PNG, (40, 60)), (JPEG, (40, 60)), (with_orientation(JPEG, 6), (60, 40))],
    ids=["png", "jpeg", "turned"],
)
@pytest.mark.parametrize("as_form", [False, True], ids=["body", "form"])
def test_a_picture_as_body_or_in_a_form_of_any_field_gives_its_text(client, content, size, as_form):
    body, headers = form(("a.png", content), field="anything") if as_form else (content, {})
    answer = client.ask("POST", "/detect", body, headers)
    expected = {"height": size[0], "width": size[1], "detections": [{"polygon": WORD.tolist(), "score": 0.7}]}
    assert (answer.status, answer.json) == (200, expected)


def test_options_change_the_detector_for_their_request_alone(client):
    calls = client.service.engine.detector.calls
    query = "shape=polygon&box_threshold=0.25&unclip_ratio=1.25&size=416"
    assert client.ask("POST", f"/detect?{query}", PNG).json["detections"][0]["score"] == 0.25
    used = {name: calls[-1][name] for name in ("shape", "box_threshold", "unclip_ratio", "size")}
    assert used == {"shape": "polygon", "box_threshold": 0.25, "unclip_ratio": 1.25, "size": 416}
    assert client.ask("POST", "/detect", PNG).json["detections"][0]["score"] == 0.7
    assert calls[-1]["shape"] == "quad"


CORNERS = "2,2,30,2,30,12,2,12"


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/detect?format=icdar", "text/plain", CORNERS + "\n"),
        ("/detect?format=hocr", "text/html", "x_wconf 70"),
        ("/read?format=icdar", "text/plain", CORNERS + ",a<b\n"),
        ("/read?format=json", "application/json", '"text":"a<b"'),
        ("/read?format=hocr", "text/html", "x_wconf 90"),
        ("/read?format=alto", "application/xml", 'CONTENT="a&lt;b"'),
        ("/read?format=text", "text/plain", "a<b\n"),
        ("/read?format=tsv", "text/plain", "1\t1\t2\t2\t28\t10\t90.0\ta<b"),
    ],
)
def test_formats(client, path, kind, text):
    answer = client.ask("POST", path, PNG)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert text in answer.body.decode()
    if "hocr" in path or "alto" in path:
        ET.fromstring(answer.body.decode())


def test_a_bad_picture_of_a_batch_has_its_own_problem(client):
    answer = client.ask("POST", "/detect/batch?box_threshold=0.5", *form(("a", PNG), ("b", b"no picture"), ("c", JPEG)))
    first, second, third = answer.json["pictures"]
    assert [first["name"], second["name"], third["name"]] == ["a", "b", "c"]
    assert first["detections"] == third["detections"] == [{"polygon": WORD.tolist(), "score": 0.5}]
    assert second["problem"]["status"] == 422
    assert second["problem"]["detail"].startswith("b: ")


def test_names_of_files_cannot_break_an_answer(client):
    body, headers = form(("a\x01<b>&\x7f" + "x" * 300 + ".png", PNG))
    answer = client.ask("POST", "/detect?format=hocr", body, headers)
    page = ET.fromstring(answer.body.decode())
    assert page.findtext(".//{*}title") == ("a<b>&" + "x" * 300)[:200]


def bomb(side: int) -> bytes:
    """A PNG file of few bytes and of side × side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    header = side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


LARGE = bytes(200_000)
HDR = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 400 +X 60\n"
FLOATS = cv2.imencode(".tiff", np.zeros((4, 4)))[1].tobytes()
FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}
# The request, the status, and what the problem says.
BAD = {
    "no picture": ("POST", "/detect", b"text", {}, 422, "picture: cannot be decoded"),
    "an address": ("POST", "/detect", b"file:///etc/passwd", {}, 422, "picture: cannot be decoded"),
    "a cut picture": ("POST", "/read", JPEG[:-20], {}, 422, "picture: "),
    "a PDF": ("POST", "/detect", pdf_file([(10, 10, 50, 40)]), {}, 422, "picture: a PDF file"),
    "an empty body": ("POST", "/detect", b"", {}, 422, "there is no picture"),
    "a bomb": ("POST", "/detect", bomb(20_000), {}, 413, "has 20000×20000 pixels"),
    "a bomb in a form": ("POST", "/read", *form(("x.png", bomb(2_000))), 413, "x.png: has 2000×2000 pixels"),
    "a Radiance bomb": ("POST", "/detect", HDR.replace(b"60", b"3000"), {}, 413, "has 3000×400 pixels"),
    "a netpbm bomb": ("POST", "/read", b"P6 3000 400 255\n", {}, 413, "has 3000×400 pixels"),
    "a Radiance picture": ("POST", "/detect", HDR, {}, 422, "picture: Radiance HDR, whose pixels have no white"),
    "a telephone's picture": ("POST", "/detect", b"\0\0\0\x18ftypheic", {}, 422, "picture: HEIC, which OpenCV"),
    "a picture without a size": ("POST", "/detect", FLOATS, {}, 422, "picture: cannot be decoded"),
    "a large body": ("POST", "/detect", LARGE, {}, 413, "100,000"),
    "a large body without length": (
        "POST",
        "/detect",
        iter([b"30D40\r\n", LARGE, b"\r\n0\r\n\r\n"]),
        "chunked",
        413,
        "100,000",
    ),
    "a large form": ("POST", "/read", *form(("x", LARGE)), 413, "100,000"),
    "a large picture of a batch": ("POST", "/detect/batch", *form(("x", LARGE)), 413, "x: has 200,000 bytes"),
    "a large batch": ("POST", "/detect/batch", *form(*[("x", LARGE)] * 2), 413, "300,000"),
    "a long batch": ("POST", "/detect/batch", *form(*[("x", PNG)] * 4), 413, "more than 3 pictures"),
    "two pictures": ("POST", "/detect", *form(("x", PNG), ("y", PNG)), 413, "more than 1 picture,"),
    "a form without files": ("POST", "/detect", b"--xyz--\r\n", FORM, 422, "there is no picture"),
    "a cut form": ("POST", "/detect", form(("x", PNG))[0][:-20], FORM, 400, "it ends before its last boundary"),
    "a broken form": ("POST", "/detect", b"nothing of that kind", FORM, 400, "the form is broken"),
    "a form without boundary": ("POST", "/detect", b"", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    "a packed body": ("POST", "/detect", zlib.compress(PNG), {"Content-Encoding": "deflate"}, 415, "deflate"),
    "an unknown option": ("POST", "/detect?box_treshold=0.5", PNG, {}, 422, "`box_treshold` (='0.5')"),
    "an option twice": ("POST", "/detect?size=736&size=736", PNG, {}, 422, "`size` (=736, 736) comes 2 times"),
    "a threshold": ("POST", "/detect?box_threshold=1.5", PNG, {}, 422, "`box_threshold` (='1.5')"),
    "no number": ("POST", "/detect?unclip_ratio=nan", PNG, {}, 422, "`unclip_ratio` (='nan')"),
    "a size": ("POST", "/detect?size=737", PNG, {}, 422, "`size` (=737) must be one of 416, 736, 1536"),
    "a format": ("POST", "/detect?format=text", PNG, {}, 422, "`format` (='text')"),
    "a file": ("GET", "/../../../../etc/passwd", None, {}, 404, "no such address"),
    "a hidden file": ("GET", "/%2e%2e%2fapp.py", None, {}, 404, "no such address"),
    "a method": ("GET", "/detect", None, {}, 405, "no such method"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_problem_and_the_next_one_its_answer(client, name):
    method, path, body, headers, status, words = BAD[name]
    headers = {"Transfer-Encoding": "chunked"} if headers == "chunked" else headers
    answer = client.ask(method, path, body, headers)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == status
    assert words in answer.json["detail"]
    assert client.ask("POST", "/detect", PNG).status == 200


def test_the_pages_load_nothing_from_elsewhere_and_may_not(client):
    for path in ("/", "/page.css", "/page.js", "/docs"):
        answer = client.ask("GET", path)
        assert answer.status == client.ask("HEAD", path).status == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        addresses = re.findall(r"(?:https?:)?//[a-z][^\s\"'<)]*", answer.body.decode())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}
    assert {"/detect", "/detect/batch", "/read", "/models", "/healthz", "/metrics"} == set(
        client.ask("GET", "/openapi.json").json["paths"]
    )


def test_models_and_metrics(client):
    models = client.ask("GET", "/models").json
    assert models["detector"] == "fake"
    assert models["defaults"] == {
        "shape": "quad",
        "box_threshold": 0.7,
        "unclip_ratio": 1.5,
        "size": 736,
        "sizes": [416, 736, 1536],
        "reads": True,
    }
    for path, body in (("/detect", PNG), ("/detect", PNG[:40]), ("/made-up/1", b"")):
        client.ask("POST", path, body)
    numbers = client.ask("GET", "/metrics").body.decode()
    assert re.search(r'dbnet_requests_total\{path="/detect",status="200"\} [1-9]', numbers)
    assert re.search(r'dbnet_pictures_total\{result="error"\} [1-9]', numbers)
    assert "dbnet_waiting_pictures 0.0" in numbers
    assert "made-up" not in numbers


def test_a_size_is_one_look_where_there_are_several(monkeypatch):
    engine = fake_engine()
    engine.detector.config.predict.update({"size": None, "looks": "all"})
    shapes = []
    monkeypatch.setattr(FakeDetector, "detect_batch", lambda self, images: shapes.append(images[0].shape[:2]))
    with running(engine) as client:
        client.wait_until(lambda: client.service.ready)
        sizes = client.ask("GET", "/models").json["defaults"]["sizes"]
        assert {min(shape) for shape in shapes} == set(sizes)
        assert client.ask("POST", f"/detect?size={sizes[0]}", PNG).status == 200


def test_a_service_without_recogniser_says_so():
    with running(Engine(fake_engine().detector, None, 10**6)) as client:
        answer = client.ask("POST", "/read", PNG)
    assert (answer.status, answer.json["detail"]) == (
        404,
        "this service has no recogniser; start it with --recognizer=NAME",
    )


def test_an_answer_of_the_shipped_weights_is_that_of_the_detector(monkeypatch, small_detector, sign):
    monkeypatch.setattr(Engine, "prepare", lambda self: iter(()))  # four shapes, which this picture has not
    expected = small_detector.with_options(box_threshold=0.6).detect(sign)
    assert len(expected.polygons) == 2
    with running(Engine(small_detector, None, 10**6)) as client:
        found = client.ask("POST", "/detect?box_threshold=0.6", saved(sign, "PNG")).json["detections"]
    assert [one["polygon"] for one in found] == [polygon.tolist() for polygon in expected.polygons]
