"""The results page: whole, escaped, complete, and drawn in the legend's colours."""

import itertools
import re

import cv2
import numpy as np
import pytest
from markupsafe import Markup

from dbnet_jax.files import MANIFEST
from dbnet_jax.images import drawing
from dbnet_jax.messages import Problem
from dbnet_jax.pages.page import MOST_LISTED, problem_list
from dbnet_jax.pages.results import KINDS, ResultPicture, group_polygons, write_results_page
from tests.helpers.page import Page


def _square(left, top=10.0, side=20.0):
    return np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * side + np.array([left, top], np.float32)


def _judged(**changes):
    """One truth each is found, missed, ignored; one detection each matches, is false, is on ignored text."""
    fields = {
        "name": "a.png",
        "image": np.full((60, 200, 3), 90, np.uint8),
        "polygons": [_square(10), _square(130), _square(50)],
        "scores": np.array([0.9, 0.8, 0.7], np.float32),
        "truths": [_square(11), _square(90), _square(130)],
        "ignore": [False, False, True],
        "matched_detections": [0],
        "matched_truths": [0],
        "ignored_detections": [1],
        "precision": 0.5,
        "recall": 0.5,
        "hmean": 0.5,
        "seconds": 0.25,
    }
    return ResultPicture(**(fields | changes))


def _lefts(groups):
    """The left edges of each kind's polygons."""
    return {kind: [int(polygon[0, 0]) for polygon, _ in entries] for kind, entries in groups.items()}


def _read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_every_reference_is_a_file_of_the_page_and_nothing_leaves_it(tmp_path):
    maps = np.random.default_rng(0).random((30, 100)).astype(np.float32)
    pictures = [
        _judged(probability_map=maps, threshold_map=maps, binary_map=maps),
        _judged(name="folder/ä ö <b>.jpg", probability_map=maps),
        _judged(name="a.png"),
    ]
    path = write_results_page(tmp_path / "deep" / "page", "Title", {"hmean": 0.5}, iter(pictures))
    page = Page(path)
    assert path == tmp_path / "deep" / "page" / "index.html"
    assert page.tags.count("article") == 3
    assert page.tags.count("img") == 4 + 2 + 1
    for reference in page.references:
        assert re.fullmatch(r"pictures/[A-Za-z0-9_.-]+\.jpg", reference)
        assert _read(path.parent / reference).ndim == 3
    assert set(page.references) == {f"pictures/{file.name}" for file in (path.parent / "pictures").iterdir()}
    assert len(page.alts) == page.tags.count("img")
    assert all(page.alts)
    assert not {"script", "link", "iframe", "b.jpg"} & set(page.tags)
    assert {"P probability", "T threshold", "B binary"} <= set(page.words)
    source = path.read_text(encoding="utf-8")
    assert "//" not in re.sub(r"<article>.*</article>", "", source, flags=re.S)
    assert "prefers-color-scheme: dark" in source
    assert sorted(file.name for file in path.parent.iterdir()) == [MANIFEST, "index.html", "pictures"]


def test_names_titles_and_numbers_are_escaped(tmp_path):
    evil = "<script>alert('x')</script>&\".png"
    path = write_results_page(tmp_path, evil, {evil: evil, "command": evil}, [_judged(name=evil)])
    page = Page(path)
    assert "script" not in page.tags
    # title, h1, a label and its value, the command, the card's name
    assert page.words.count(evil) == 6
    assert any(alt.startswith(evil) for alt in page.alts)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path):
    page = Page(write_results_page(tmp_path, "t", {"command": "run caf\udce9"}, [_judged(name="caf\udce9.jpg")]))
    assert r"caf\udce9.jpg" in page.words
    assert r"run caf\udce9" in page.words


def test_a_picture_with_nothing_in_it_says_so_and_maps_have_a_scale(tmp_path):
    nothing = {"polygons": [], "scores": None, "matched_detections": [], "matched_truths": [], "ignored_detections": []}
    maps = np.zeros((6, 20), np.float32)
    bare = _judged(**nothing, truths=[], ignore=[], probability_map=maps)
    words = Page(write_results_page(tmp_path, "t", {}, [bare, _judged()], problems=Markup("<p>lost</p>"))).words
    assert words.count("nothing here, nothing found") == 1
    assert "lost" in words
    assert "P and B: 0" in words
    assert "T: 0.3" in words
    assert "T: 0.3" not in Page(write_results_page(tmp_path, "t", {}, [_judged()])).words


def test_no_two_kinds_look_alike():
    for (kind, (color, *_)), (other, (its, *_)) in itertools.combinations(KINDS.items(), 2):
        # In their tint: two greys differ alike in red, green and blue.
        assert np.ptp(np.subtract(color, its)) > 50, (kind, other)


def test_summary_numbers(tmp_path):
    numbers = {"precision": 0.86549, "recall": None, "hmean": float("nan"), "images": 100, "seconds": 3725.0}
    summary = numbers | {"protocol": "iou", "box_threshold": 0.7, "command": "python run.py"}
    words = Page(write_results_page(tmp_path, "t", summary, [])).words
    shown = [word for word in words[words.index("precision") :] if word]
    assert dict(zip(shown[:16:2], shown[1:16:2], strict=True)) == {
        **{"precision": "0.865", "recall": "–", "hmean": "–", "pictures": "100", "time": "1:02:05"},
        **{"protocol": "iou", "box threshold": "0.700", "command": "python run.py"},
    }
    assert "No pictures." in words


def test_groups_follow_the_matches():
    groups = group_polygons(_judged())
    assert _lefts(groups) == {"found": [10], "false": [50], "missed": [90], "ignored": [130], "aside": [130]}
    assert groups["false"][0][1] == pytest.approx(0.7)


def test_split_and_merged_are_neither_missed_nor_false():
    truths = [_square(left) for left in (10, 40, 70, 100, 130)]
    picture = _judged(
        polygons=[_square(left) for left in (11, 41, 46, 71, 150)],
        scores=None,
        truths=truths,
        ignore=None,
        matched_detections=[0],
        matched_truths=[0],
        ignored_detections=[],
        split={1: [1, 2]},
        merged={3: [2, 3]},
    )
    assert _lefts(group_polygons(picture)) == {
        **{"found": [11], "false": [150], "missed": [130], "ignored": [], "aside": []},
        **{"split": [41, 46], "merged": [71], "truth": [40, 70, 100]},
    }


def test_sections_follow_the_numbers(tmp_path):
    path = write_results_page(tmp_path, "t", {"hmean": 0.5}, [], sections=Markup("<p>more</p>"))
    page = Page(path)
    assert page.words.index("0.500") < page.words.index("more") < page.words.index("No pictures.")


def test_groups_without_a_judgement():
    groups = group_polygons(_judged(matched_detections=None))
    assert {kind: len(entries) for kind, entries in groups.items()} == {"detected": 3, "truth": 2, "ignored": 1}
    assert list(group_polygons(_judged(matched_detections=None, truths=None, ignore=None))) == ["detected"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scores", [0.5]),
        ("ignore", [True]),
        ("matched_detections", [3]),
        ("matched_truths", [-1]),
        ("ignored_detections", np.array([7])),
    ],
)
def test_what_does_not_fit_is_named(field, value):
    with pytest.raises(ValueError, match=f"`{field}`"):
        group_polygons(_judged(**{field: value}))


def test_polygons_are_drawn_where_they_are_in_the_legends_colours(tmp_path):
    path = write_results_page(tmp_path, "t", {}, [_judged()])
    drawn = _read(tmp_path / "pictures" / "00001-a.jpg").astype(int)
    scale = drawn.shape[1] / 200
    for x, color in ((10, drawing.MATCHED), (50, drawing.FALSE), (90, drawing.MISSED)):
        column = drawn[round(20 * scale), round((x - 2) * scale) : round((x + 3) * scale)]
        assert np.abs(column - color).sum(axis=-1).min() < 90  # JPEG blurs colour
    page = Page(path)
    # Once in the legend and once as a count in the card.
    for kind in ("found", "false", "missed", "ignored", "aside"):
        assert page.classes.count(kind) == 2
    assert "detected" not in page.classes
    assert "precision 0.500 · recall 0.500 · 0.25 s" in page.words


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(2000, 3000, (853, 1280)), (1, 1, (4, 4)), (256, 256, (640, 640)), (4, 4000, (1, 1280))],
)
def test_pictures_take_the_pages_size(tmp_path, height, width, expected):
    picture = ResultPicture("x", np.zeros((height, width, 3), np.uint8), [])
    write_results_page(tmp_path, "t", {}, [picture])
    assert _read(tmp_path / "pictures" / "00001-x.jpg").shape[:2] == expected


def test_one_picture_at_a_time_and_the_earlier_page_stands_until_the_end(tmp_path):
    earlier = write_results_page(tmp_path, "earlier", {}, []).read_text(encoding="utf-8")

    def pictures():
        for index in range(3):
            written = len(list((tmp_path / "pictures").iterdir()))
            assert written == index
            assert (tmp_path / "index.html").read_text(encoding="utf-8") == earlier
            yield _judged(name=f"{index}.png")
        if fails:
            raise RuntimeError("the detector broke")

    fails = True
    with pytest.raises(RuntimeError, match="broke"):
        write_results_page(tmp_path, "later", {}, pictures())
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == earlier
    for file in (tmp_path / "pictures").iterdir():
        file.unlink()
    fails = False
    assert "later" in write_results_page(tmp_path, "later", {}, pictures()).read_text(encoding="utf-8")


def test_pictures_of_the_earlier_page_go_with_it_and_all_else_stays(tmp_path):
    write_results_page(tmp_path, "earlier", {}, [_judged(name=f"{index}.png") for index in range(3)])
    (tmp_path / "pictures/holiday.jpg").write_bytes(b"of the user")
    page = write_results_page(tmp_path, "later", {}, [_judged(name="0.png"), _judged(name="b.png")])
    there = {f"pictures/{file.name}" for file in (tmp_path / "pictures").iterdir()}
    assert there == {*Page(page).references, "pictures/holiday.jpg"}


def test_a_page_lists_problems_and_links_the_rest():
    html = problem_list("2 problems", [Problem("a.txt:1", "<odd>"), Problem("", "b")], "problems.txt")
    assert '<summary>2 problems <a href="problems.txt">problems.txt</a></summary>' in html
    assert "<li>a.txt:1: &lt;odd&gt;</li>\n<li>b</li>" in html
    assert problem_list("no problems", []) == ""
    assert "… and 9 more" in problem_list("many", [*[Problem("a", "x")] * (MOST_LISTED + 6), Problem("a", "odd", 3)])
