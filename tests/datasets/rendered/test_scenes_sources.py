"""Tests of what scenes are made from: photographs to write on, layouts to fill; and of what is wrong with them."""

import shutil
import weakref

import cv2
import numpy as np
import pytest

from input_pipeline.datasets.rendered.scenes import backgrounds, composition
from input_pipeline.datasets.rendered.scenes.backgrounds import _CLUTTER, Backgrounds, _Photos, _read_photo
from input_pipeline.datasets.rendered.scenes.block import set_lines
from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset
from input_pipeline.datasets.rendered.scenes.fonts import Font
from input_pipeline.datasets.rendered.scenes.ink import Ink
from input_pipeline.datasets.rendered.scenes.layouts import Layouts
from tests.helpers.problems import said

CLOCKWISE = "10,20,60,10,110,20,110,50,60,40,10,50,around"
BACKWARDS = "10,50,110,50,110,20,10,20,back"  # begins below, runs against the clock


@pytest.fixture
def photos(tmp_path):
    """A folder with one photograph, red, and two files that are none."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    cv2.imwrite(str(folder / "deeper" / "red.PNG"), np.full((200, 300, 3), (0, 0, 255), np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture at all")
    return folder


def test_grounds_are_of_the_asked_size_and_the_photographs_own_colour(photos):
    grounds = Backgrounds(photos)
    pictures, problems = [], []
    for seed in range(60):
        pictures.append(grounds.paint(np.random.default_rng(seed), (140, 190), problems))
    assert {picture.shape for picture in pictures} == {(140, 190, 3)}
    shares = np.array([(picture == (255, 0, 0)).all(-1).mean() for picture in pictures])
    red = int((shares == 1).sum())
    assert 5 < red < 30
    # Things that are not text stand on some of the photographs too.
    assert ((shares > 0.5) & (shares < 1)).sum() >= 2
    # What is no picture gives way to a drawn ground, and is named.
    assert {name for name in ("broken.jpg", "empty.png") if any(name in str(problem) for problem in problems)} == {
        "broken.jpg",
        "empty.png",
    }
    assert len(problems) + red < 60


def test_a_broken_background_is_named_by_the_sample(photos):
    dataset = SceneDataset(30, size=(128, 128), fonts="builtin", backgrounds=photos)
    samples = list(map(dataset.__getitem__, range(30)))
    assert any(said(samples[i]) for i in range(30))
    assert all("config.data.backgrounds" in problem for sample in samples for problem in said(sample))


def test_large_photographs_are_kept_small(tmp_path):
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((30, 4000, 3), 200, np.uint8))
    cv2.imwrite(str(tmp_path / "small.png"), np.full((30, 40, 3), 200, np.uint8))
    assert _read_photo(tmp_path / "wide.png").shape == (8, 1024, 3)
    assert _read_photo(tmp_path / "small.png").shape == (30, 40, 3)
    picture = Backgrounds(tmp_path).paint(np.random.default_rng(1), (140, 190), [])
    assert picture.shape == (140, 190, 3)


@pytest.mark.parametrize(("side", "kept"), [(100, 10), (50, 15)])  # of 30,000 and of 7,500 bytes
def test_kept_photographs_take_a_bounded_part_of_the_memory(tmp_path, monkeypatch, side, kept):
    monkeypatch.setattr(backgrounds, "_KEPT", 300_000)
    cv2.imwrite(str(tmp_path / "0.png"), np.full((side, side, 3), 200, np.uint8))
    for number in range(1, 15):
        shutil.copy(tmp_path / "0.png", tmp_path / f"{number}.png")
    read = _Photos().read
    photos = [weakref.ref(read(tmp_path / f"{number}.png")) for number in range(15)]
    assert [photo() is not None for photo in photos] == [False] * (15 - kept) + [True] * kept
    assert read(tmp_path / "14.png") is photos[-1]()


def test_what_is_kept_changes_no_picture(tmp_path, monkeypatch):
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (160, 160, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), noise)
    dataset = SceneDataset(16, size=(128, 128), fonts="builtin", backgrounds=tmp_path)
    kept = [dataset[index].image for index in (*range(16), *range(16))]
    for index in range(16):
        monkeypatch.setattr(backgrounds, "_photos", _Photos())
        fresh = dataset[index].image
        np.testing.assert_array_equal(kept[index], fresh)
        np.testing.assert_array_equal(kept[16 + index], fresh)


@pytest.mark.parametrize("clutter", _CLUTTER, ids=lambda paint: paint.__name__)
def test_clutter_is_painted_on_pictures_of_any_size(clutter):
    changed = 0
    for seed, size in enumerate([(128, 128), (128, 700), (400, 130)] * 4):
        picture = np.full((*size, 3), 77, np.uint8)
        clutter(np.random.default_rng(seed), picture)
        changed += (picture != 77).any()
    assert changed > 6


@pytest.mark.parametrize("argument", ["backgrounds", "layouts"])
def test_a_folder_that_is_missing_or_empty_is_named(tmp_path, argument):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(FileNotFoundError, match=rf"config\.data\.{argument}.*{name}"):
            SceneDataset(1, fonts="builtin", **{argument: tmp_path / name})


def test_layouts_read_every_direction_from_the_texts_upper_left(tmp_path):
    (tmp_path / "a.txt").write_text(f"{CLOCKWISE}\n{BACKWARDS}\n0,0,50,0,50,20,0,20,###\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("")
    layouts = Layouts(tmp_path)
    assert len(layouts) == 1
    (around, first), (back, second), (_, third) = layouts[0]
    assert (first, second, third) == ("around", "back", "")
    np.testing.assert_array_equal(around[0], [[10, 20], [60, 10], [110, 20]])
    np.testing.assert_array_equal(around[1], [[10, 50], [60, 40], [110, 50]])
    np.testing.assert_array_equal(back[0], [[10, 20], [110, 20]])
    np.testing.assert_array_equal(back[1], [[10, 50], [110, 50]])
    assert said(layouts) == []


def test_what_is_wrong_with_layouts_is_named(tmp_path):
    (tmp_path / "a.txt").write_text(
        f"{CLOCKWISE}\n0,0,50,0,50,20,25,30,0,20,five\n0,0,50,0,10,30,40,35,crossed\nno outline\n", encoding="utf-8"
    )
    (tmp_path / "folder.txt").mkdir()
    dataset = SceneDataset(1, fonts="builtin", layouts=tmp_path)
    problems = "\n".join(said(dataset))
    assert "a.txt:4" in problems
    assert "folder.txt" in problems
    assert "2 outlines of an odd number of points" in problems
    assert [text for _, text in Layouts(tmp_path)[0]] == ["around"]


def test_layouts_without_any_outline_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match=r"config\.data\.layouts.*must hold outlines"):
        Layouts(tmp_path)


def test_layouts_are_filled_with_their_texts(tmp_path):
    (tmp_path / "a.txt").write_text(f"{CLOCKWISE}\n0,100,90,100,90,130,0,130,###\n", encoding="utf-8")
    dataset = SceneDataset(40, size=(200, 200), fonts="builtin", layouts=tmp_path)
    filled = [sample for sample in map(dataset.__getitem__, range(40)) if "around" in sample.texts]
    assert 4 < len(filled) < 24
    for sample in filled:
        polygon = sample.polygons[sample.texts.index("around")]
        # As in the file: a little bent, more than three times as wide as high.
        assert 6 <= len(polygon) <= 14
        wide, high = np.ptp(polygon, 0)
        assert 2 < wide / high < 3
        assert len(sample.texts) == 2


@pytest.mark.parametrize(
    ("text", "drawn", "script"),
    [
        ("around", "around", "Latin"),
        ("中文", "中文", "Chinese"),
        ("שלום 12", "12 םולש", "Hebrew"),
        ("سلام", "مالس", "Arabic"),
    ],
)
def test_a_layouts_own_text_has_its_script_and_is_drawn_from_left_to_right(text, drawn, script, monkeypatch):
    written = []

    def write(lines, font, size):
        written.extend(lines)
        return set_lines([["abcd"]], font, size)

    monkeypatch.setattr(composition, "set_lines", write)
    upper = np.array([[10, 20], [60, 15], [110, 20]], np.float32)
    ink = Ink()
    placed = composition._fill(np.random.default_rng(0), upper, upper + np.float32([0, 30]), text, Font(), ink)
    assert written == [[drawn]]
    assert (placed.script, placed.block.lines[0].text) == (script, text)


def test_layouts_of_real_photographs(shared, tmp_path):
    # A part of them: each of their outlines is checked for crossing itself.
    for file in sorted((shared / "data/total_text/annotations").glob("*.txt"))[::10]:
        shutil.copy(file, tmp_path)
    layouts = Layouts(tmp_path)
    assert len(layouts) > 120
    words = [word for i in range(len(layouts)) for word in layouts[i]]
    assert len(words) > 900
    # Upper sides lead to the right, nearly all of them.
    assert np.mean([upper[-1, 0] > upper[0, 0] for (upper, _), _ in words]) > 0.9
