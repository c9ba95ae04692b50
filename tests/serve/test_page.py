"""The page in a browser: Chromium, where it and Playwright are installed."""

import contextlib
import json
import shutil

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
pytest.importorskip("playwright")

from playwright import sync_api

from dbnet_jax.serve.engine import Engine
from tests.helpers.pictures import saved
from tests.helpers.service import running

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
POLYGON = "#outlines polygon"
DROP = """([bytes, kind]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "sign.png", { type: "image/png" }));
  const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.body.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def port(small_detector):
    patch = pytest.MonkeyPatch()
    patch.setattr(Engine, "prepare", lambda self: iter(()))
    with patch.context(), running(Engine(small_detector, None, 10**6)) as client:
        yield client.port
    patch.undo()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, port):
    """The page at a telephone's width. It may write no error to the console: a refused script or style is one."""
    page = browser.new_page(viewport={"width": 360, "height": 700})
    errors, addresses = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    yield page
    page.close()
    assert errors == []
    assert all(one.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:")) for one in addresses)


def choose(page, content):
    page.set_input_files("#file", {"name": "sign.png", "mimeType": "image/png", "buffer": content})
    page.wait_for_selector(POLYGON, state="attached")


def set_slider(page, name, value):
    with page.expect_response(lambda response: "/detect?" in response.url) as asked:
        page.locator(name).evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
    page.wait_for_selector("#figure:not(.waiting)")
    return asked.value.json()


def area(points):
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(points, points[1:] + points[:1], strict=True))) / 2


def test_a_chosen_picture_shows_its_outlines_and_the_sliders_act(page, sign, small_detector, tmp_path):
    choose(page, saved(sign, "PNG"))
    expected = small_detector.detect(sign)
    assert page.locator(POLYGON).count() == len(expected.polygons) == 2
    drawn = page.locator(POLYGON).first.get_attribute("points")
    assert drawn == " ".join(f"{x:g},{y:g}" for x, y in expected.polygons[0])
    assert page.locator("#outlines").get_attribute("viewBox") == "0 0 160 160"
    # The outlines lie on the picture, and the page is no wider than the telephone.
    assert page.locator("#outlines").bounding_box() == page.locator("#picture").bounding_box()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = set_slider(page, "#unclip_ratio", 4)["detections"]
    right = small_detector.with_options(unclip_ratio=4).detect(sign)
    assert [one["polygon"] for one in wide] == [polygon.tolist() for polygon in right.polygons]
    assert area(wide[0]["polygon"]) > area(expected.polygons[0].tolist())
    assert set_slider(page, "#box_threshold", 1)["detections"] == []
    assert page.locator(POLYGON).count() == 0
    values = set_slider(page, "#box_threshold", 0.5)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "sign.png.json"
    download.value.save_as(tmp_path / "values.json")
    assert json.loads((tmp_path / "values.json").read_text()) == values


def test_the_keyboard_suffices(page, sign):
    choose(page, saved(sign, "PNG"))
    focused = [""]
    while focused[-1] != "download":
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert len(focused) < 20
        if focused[-1] == "polygon":
            note = page.locator("#tip").inner_text()
            assert note.startswith("score 0.")
            assert note == page.evaluate("document.activeElement.getAttribute('aria-label')")
        if focused[-1] == "box_threshold":
            page.keyboard.press("ArrowRight")
    assert focused.count("polygon") == 2
    assert {"file", "box_threshold", "unclip_ratio", "shape", "size"} <= set(focused)
    assert page.locator("#box_threshold_value").inner_text() == "0.73"


def test_an_answer_leaves_the_keyboard_where_it_is(page, sign):
    choose(page, saved(sign, "PNG"))
    page.locator(POLYGON).nth(1).focus()
    set_slider(page, "#unclip_ratio", 3)
    assert page.evaluate("[...document.activeElement.parentNode.children].indexOf(document.activeElement)") == 1
    assert page.locator("#tip").is_visible()
    set_slider(page, "#box_threshold", 1)
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_picture_chosen_before_the_options_are_known_is_sent_once(page, port, sign):
    waiting, posts = [], []
    page.route("**/models", lambda route: waiting.append(route))
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.goto(f"http://127.0.0.1:{port}/")
    page.set_input_files("#file", {"name": "sign.png", "mimeType": "image/png", "buffer": saved(sign, "PNG")})
    page.wait_for_selector("#figure.waiting")
    assert posts == []
    waiting[0].continue_()
    page.wait_for_selector(POLYGON, state="attached")
    page.wait_for_timeout(500)  # more than the page's patience with a slider
    assert len(posts) == 1
    assert "/detect?" in posts[0]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted(page, sign, kind):
    page.evaluate(DROP, [list(saved(sign, "PNG")), kind])
    page.wait_for_selector(POLYGON, state="attached")
    page.locator(POLYGON).first.hover()
    assert page.locator("#tip").is_visible()


def test_dark_and_light_differ(browser, port):
    grounds = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"http://127.0.0.1:{port}/")
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(grounds) == 2


def labels(page):
    return [page.locator(f"#{name}_value").inner_text() for name in ("box_threshold", "unclip_ratio")]


def test_the_sliders_show_what_the_service_uses(browser, monkeypatch, sign, small_detector):
    monkeypatch.setattr(Engine, "prepare", lambda self: iter(()))
    detector = small_detector.with_options(shape="quad", unclip_ratio=None, box_threshold=0.625)
    with running(Engine(detector, None, 10**6)) as client, contextlib.closing(browser.new_page()) as page:
        page.goto(f"http://127.0.0.1:{client.port}/")
        choose(page, saved(sign, "PNG"))
        assert labels(page) == ["0.625", "1.5"]
        page.select_option("#shape", "polygon")
        assert labels(page) == ["0.625", "2"]
        assert page.locator("#unclip_ratio").input_value() == "2"
        found = set_slider(page, "#box_threshold", 0.6)["detections"]
        right = detector.with_options(shape="polygon", box_threshold=0.6, unclip_ratio=2).detect(sign)
        assert [one["polygon"] for one in found] == [polygon.tolist() for polygon in right.polygons]
        page.select_option("#shape", "quad")
        assert labels(page) == ["0.6", "1.5"]
        set_slider(page, "#unclip_ratio", 3)
        page.select_option("#shape", "polygon")
        assert labels(page) == ["0.6", "3"]


WORD = {"text": "HERE", "polygon": [[0, 0], [9, 0], [9, 9]], "score": 0.9, "detection_score": 0.8}
READ = {"width": 160, "height": 160, "lines": [{"text": "HERE", "words": [WORD]}]}


def test_no_result_stays_beside_another_picture_or_an_error(page, sign):
    page.route("**/detect?*", lambda route: route.fulfill(json=READ))
    choose(page, saved(sign, "PNG"))
    assert page.locator("#count").inner_text() == "Text: 1 words"
    assert page.locator("#texts li").all_inner_texts() == ["HERE"]
    assert page.locator("#download").get_attribute("href").startswith("blob:")
    page.route("**/detect?*", lambda route: waiting.append(route))
    waiting = []
    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": saved(sign, "PNG")})
    page.wait_for_selector("#figure.waiting")
    assert_nothing(page)
    page.route("**/detect?*", lambda route: route.fulfill(json=READ))
    page.select_option("#shape", "polygon")
    page.wait_for_selector(POLYGON, state="attached")
    # An answer without `ok`, and without the line that Chromium writes to the console for a status of 422.
    page.evaluate("fetch = async () => ({ ok: false, status: 422, json: async () => ({ detail: 'no picture' }) })")
    page.select_option("#shape", "quad")
    page.wait_for_selector("#status.error")
    assert page.locator("#status").inner_text() == "no picture"
    assert_nothing(page)


def assert_nothing(page):
    assert page.locator(POLYGON).count() == 0
    assert page.locator("#texts li").count() == 0
    assert page.locator("#count").inner_text() == "Text"
    assert page.locator("#download").get_attribute("href") is None
    assert page.locator("#download").get_attribute("aria-disabled") == "true"
