"""Prediction over files: whatever lies in a folder, every picture has its results and nothing is lost silently."""

import json
import pathlib
import threading

import cv2
import numpy as np
import pytest

from dbnet_jax.commands import pictures
from dbnet_jax.commands.predict import predict_files
from dbnet_jax.detection.outputs import as_json, icdar_files
from dbnet_jax.evaluation.submissions.formats import parse_detections
from dbnet_jax.models.from_config import MAPS
from dbnet_jax.pages import results
from tests.helpers.brightness import BrightnessDetector, quad, white_box
from tests.helpers.pictures import saved, write

# Folders with pictures of one name, names that only a suffix or a folder tells apart, and what is no picture.
PICTURES = ("img.png", "img.bmp", "a/img.png", "b/img.png", "a_img.png", "a/b/img.PNG", "b.png/img.png", "plain.tif")
BROKEN = ("a/broken.jpg", "empty.png", "text.png")


def box(index: int) -> tuple[int, int, int, int]:
    return 10 + index, 20, 60 + 2 * index, 50 + index


@pytest.fixture(scope="module")
def detector() -> BrightnessDetector:
    return BrightnessDetector(resize="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    for index, name in enumerate(PICTURES):
        write(folder / name, white_box((80 + index, 120), *box(index)))
    write(folder / "no text.png", np.zeros((50, 60, 3), np.uint8))
    write(folder / BROKEN[0], white_box((80, 120), *box(0)))
    whole = (folder / BROKEN[0]).read_bytes()
    (folder / BROKEN[0]).write_bytes(whole[: len(whole) // 2])
    (folder / BROKEN[1]).write_bytes(b"")
    (folder / BROKEN[2]).write_text("not a picture")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def output(folder, detector, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("out") / "deep" / "er"
    found = predict_files(detector, folder, output)
    assert (found.page, found.pictures, found.skipped.keys()) == (output / "index.html", len(PICTURES) + 1, {*BROKEN})
    return output


def read_icdar(path: pathlib.Path) -> list[np.ndarray]:
    found = parse_detections(path.read_bytes(), path.name)
    assert found.problems == []
    return found.polygons


def test_the_json_has_every_picture_and_names_what_was_skipped(output):
    found = json.loads((output / "detections.json").read_text())
    assert found.keys() == {"pictures", "skipped"}
    assert found["pictures"].keys() == {*PICTURES, "no text.png"}
    assert found["skipped"].keys() == set(BROKEN)
    for index, name in enumerate(PICTURES):
        picture = found["pictures"][name]
        assert (picture["height"], picture["width"]) == (80 + index, 120)
        (detection,) = picture["detections"]
        np.testing.assert_allclose(detection["polygon"], quad(*box(index)), atol=1)
        assert 0.9 <= detection["score"] <= 1
    assert found["pictures"]["no text.png"]["detections"] == []
    assert "truncated" in found["skipped"]["a/broken.jpg"]
    assert all(name in reason for name, reason in found["skipped"].items())


def test_every_picture_has_an_icdar_file_of_its_own_that_reads_back(output):
    found = json.loads((output / "detections.json").read_text())["pictures"]
    files = {str(path.relative_to(output / "icdar")) for path in (output / "icdar").rglob("*.txt")}
    assert len(files) == len(found)
    assert {"a/res_img.txt", "b/res_img.txt", "res_a_img.txt", "res_img.png.txt", "res_img.bmp.txt"} <= files
    names = [pathlib.Path(name) for name in found]
    for name, file in zip(found, icdar_files(names), strict=True):
        polygons = read_icdar(output / "icdar" / file)
        expected = [detection["polygon"] for detection in found[name]["detections"]]
        np.testing.assert_array_equal(np.array(polygons).reshape(-1, 4, 2), np.array(expected).reshape(-1, 4, 2))


def test_the_page_lists_every_picture_and_what_was_skipped(output):
    page = (output / "index.html").read_text()
    assert page.count("<article") == len(PICTURES) + 1
    for name in (*PICTURES, "no text.png", *BROKEN):
        assert name in page
    assert f"<dt>pictures</dt><dd>{len(PICTURES) + 1}</dd>" in page


def test_pictures_that_were_skipped_are_printed(folder, detector, tmp_path, capsys):
    predict_files(detector, folder, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(BROKEN)
    for name in BROKEN:
        assert any(line.startswith("skipped: ") and name in line for line in lines)


def test_regions_that_are_left_out_are_listed_everywhere(tmp_path, capsys):
    image = np.maximum(white_box((80, 120), 10, 10, 50, 30), white_box((80, 120), 10, 45, 90, 70))
    write(tmp_path / "in/page.png", image)
    predict_files(BrightnessDetector(resize="none", max_candidates=1), tmp_path / "in", tmp_path / "out")
    what = "page.png: `max_candidates` leaves out 1 text region, the smallest; raise it"
    assert capsys.readouterr().out.splitlines() == [what]
    assert json.loads((tmp_path / "out/detections.json").read_text())["pictures"]["page.png"]["notes"] == [
        what.removeprefix("page.png: ")
    ]
    assert what in (tmp_path / "out/index.html").read_text()


def test_one_file_is_a_source_too(folder, detector, tmp_path):
    predict_files(detector, str(folder / "a/img.png"), str(tmp_path))
    found = json.loads((tmp_path / "detections.json").read_text())
    assert list(found["pictures"]) == ["img.png"]
    assert len(read_icdar(tmp_path / "icdar/res_img.txt")) == 1
    predict_files(detector, folder / "empty.png", tmp_path / "empty")
    found = json.loads((tmp_path / "empty/detections.json").read_text())
    assert found["pictures"] == {}
    assert "the file is empty" in found["skipped"]["empty.png"]
    assert "No pictures" in (tmp_path / "empty/index.html").read_text()


def test_the_page_and_the_files_are_those_of_one_picture_after_another(folder, output, detector):
    found = json.loads((output / "detections.json").read_text())
    assert list(found["pictures"]) == sorted(found["pictures"], key=pathlib.Path)
    page = (output / "index.html").read_text()
    places = [page.index(f'<h2 title="{name}">') for name in found["pictures"]]
    assert places == sorted(places)
    for number, (name, picture) in enumerate(found["pictures"].items(), 1):
        alone, maps = detector.detect_with_maps(folder / name)
        assert picture["detections"] == as_json(alone)
        assert set(maps) == set(MAPS)
        for letter in "PTB":
            (drawn,) = (output / "pictures").glob(f"{number:05}-*-{letter}.jpg")
            painted = cv2.imread(str(drawn)).astype(int)
            assert painted.shape[0] / painted.shape[1] == pytest.approx(picture["height"] / picture["width"], abs=0.02)
            # Of this picture, and of no other: of one colour where its box is and of another all around.
            for polygon in alone.polygons:
                scale = painted.shape[1] / picture["width"]
                (left, top), (right, bottom) = polygon.min(axis=0), polygon.max(axis=0)
                inside = [(left + 4, top + 4), (right - 4, bottom - 4)]
                outside = [(left - 4, top - 4), (right + 4, bottom + 4)]
                colors = [painted[round(y * scale), round(x * scale)] for x, y in inside + outside]
                assert np.abs(colors[0] - colors[1]).max() < 40 < np.abs(colors[0] - colors[2]).max()
                assert np.abs(colors[2] - colors[3]).max() < 40


def test_what_was_found_before_an_error_is_kept_and_nothing_runs_on(folder, tmp_path, monkeypatch):
    class Failing(BrightnessDetector):
        def _extract(self, maps, sizes):
            if sizes.picture == (80 + PICTURES.index("img.bmp"), 120):
                raise RuntimeError("out of memory")
            return super()._extract(maps, sizes)

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="out of memory"):
        predict_files(Failing(resize="none"), folder, tmp_path)
    assert set(threading.enumerate()) <= before
    names = sorted((*PICTURES, "no text.png"), key=pathlib.Path)
    found = json.loads((tmp_path / "detections.json").read_text())
    assert list(found["pictures"]) == names[: names.index("img.bmp")]
    page = (tmp_path / "index.html").read_text()
    assert [f">{name}</h2>" in page for name in names] == [name in found["pictures"] for name in names]
    missing = len(names) + len(BROKEN) - len(found["pictures"]) - len(found["skipped"])
    assert f"<dd>{missing}: an error ended the run</dd>" in page
    # Nor does anything run on behind a page that cannot be drawn.
    monkeypatch.setattr(results, "_card", lambda *arguments: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="the disk is full") as caught:
        predict_files(BrightnessDetector(resize="none"), folder, tmp_path)
    # Even while somebody looks at the error and, in its traceback, at what was going on.
    assert set(threading.enumerate()) <= before
    del caught


def test_results_are_not_taken_for_pictures(detector, tmp_path):
    write(tmp_path / "photos/x.png", white_box((80, 120), *box(0)))
    for _ in range(2):
        predict_files(detector, tmp_path / "photos", tmp_path / "photos/out")
        assert list(json.loads((tmp_path / "photos/out/detections.json").read_text())["pictures"]) == ["x.png"]
    # The other way round every picture is an input.
    predict_files(detector, tmp_path / "photos/out/pictures", tmp_path / "photos")
    assert len(json.loads((tmp_path / "photos/detections.json").read_text())["pictures"]) == 4
    with pytest.raises(ValueError, match=r"`output` \(=.*\) must be another folder than `input`"):
        predict_files(detector, tmp_path / "photos", tmp_path / "photos")


def test_a_file_that_cannot_be_read_ends_nothing(detector, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        write(photos / name, white_box((80, 120), *box(0)))
    read = pictures.read_picture

    def refuse(file, **options):
        if file.name == "b.png":
            raise PermissionError(13, "Permission denied")
        return read(file, **options)

    monkeypatch.setattr(pictures, "read_picture", refuse)
    found = predict_files(detector, photos, tmp_path / "out")
    assert (found.pictures, list(found.skipped)) == (2, ["b.png"])
    assert "cannot be read: Permission denied" in found.skipped["b.png"]


def test_a_file_with_frames_is_noted_or_gives_each_of_them(detector, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    pages = [white_box((80, 120), *box(index)) for index in range(2)]
    (photos / "scan.tif").write_bytes(saved(pages[0], "TIFF", pages[1]))
    write(photos / "scan.png", pages[0])
    (photos / "empty.gif").write_bytes(b"")
    note = "has 2 frames; the first was read"

    def detected(detector) -> dict:
        predict_files(detector, photos, tmp_path / "out")
        return json.loads((tmp_path / "out/detections.json").read_text())["pictures"]

    found = detected(detector)
    assert {name: picture.get("notes") for name, picture in found.items()} == {"scan.tif": [note], "scan.png": None}
    assert f"scan.tif: {note}" in capsys.readouterr().out.splitlines()
    found = detected(BrightnessDetector(resize="none", frames="all"))
    assert list(found) == ["scan.png", "scan.tif#1", "scan.tif#2"]
    for name, index in {"scan.png": 0, "scan.tif#1": 0, "scan.tif#2": 1}.items():
        np.testing.assert_allclose(found[name]["detections"][0]["polygon"], quad(*box(index)), atol=1)
    files = {file.name for file in (tmp_path / "out/icdar").iterdir()}
    assert files == {"res_scan.png.txt", "res_scan.tif#1.txt", "res_scan.tif#2.txt"}
    assert note not in capsys.readouterr().out


def test_an_output_that_cannot_be_made_is_the_error(detector, tmp_path):
    write(tmp_path / "a.png", white_box((80, 120), *box(0)))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file/out"):
        predict_files(detector, tmp_path / "a.png", tmp_path / "file" / "out")


def test_a_link_that_leads_nowhere_is_named(detector, tmp_path, capsys):
    photos, names = tmp_path / "photos", ("gone.png", "round.png")
    photos.mkdir()
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "round.png").symlink_to("round.png")
    found = predict_files(detector, photos, photos / "out")
    assert (found.pictures, found.skipped.keys()) == (0, {*names})
    assert capsys.readouterr().out.count("leads nowhere") == 2
    write(photos / "there.png", white_box((80, 120), *box(0)))
    (photos / "link.png").symlink_to("there.png")
    predict_files(detector, photos, photos / "out")
    found = json.loads((photos / "out/detections.json").read_text())
    assert (list(found["pictures"]), found["skipped"].keys()) == (["link.png", "there.png"], {*names})
    assert all(name in (photos / "out/index.html").read_text() for name in names)


def test_a_source_without_pictures_is_refused(detector, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    for source in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"`input` \(='.*'\) is no picture and no folder with pictures"):
            predict_files(detector, source, tmp_path / "out")
