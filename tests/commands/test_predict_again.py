"""Prediction into the folder of an earlier run: its files go, and all other files stay."""

import json
import pathlib

import pytest

from dbnet_jax.commands.predict import WRITERS, predict_files
from dbnet_jax.files import MANIFEST
from dbnet_jax.pages import results
from tests.helpers.brightness import BrightnessDetector, white_box
from tests.helpers.full_disk import files_of_at_most
from tests.helpers.pictures import write

BOX = (10, 20, 60, 50)


@pytest.fixture(scope="module")
def detector() -> BrightnessDetector:
    return BrightnessDetector(resize="none")


def test_nothing_of_an_earlier_run_stays_and_all_else_does(detector, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    for name in ("one.png", "two.png", "two.bmp", "in/three.png"):
        write(photos / name, white_box((80, 120), *BOX))
    (photos / "in/four.png").write_bytes(b"")
    (tmp_path / "other.txt").write_text("outside")
    predict_files(detector, photos, output)
    kept = ["icdar/res_mine.txt", "icdar/in/notes.txt", "pictures/00001-one.png", "pictures/00009-mine.jpg", "mine.txt"]
    for name in kept:
        (output / name).write_text("the user's own")

    def files() -> set[str]:
        return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} - {*kept, MANIFEST}

    assert {"icdar/res_one.txt", "icdar/res_two.png.txt", "icdar/res_two.bmp.txt", "icdar/in/res_three.txt"} < files()
    for name in ("one.png", "two.bmp", "in/three.png", "in/four.png"):
        (photos / name).unlink()
    predict_files(detector, photos, output)
    pictures = {f"pictures/00001-two{letter}.jpg" for letter in ("", "-P", "-T", "-B")}
    assert files() == {"detections.json", "index.html", "icdar/res_two.txt", *pictures}
    assert all((output / name).read_text() == "the user's own" for name in kept)
    # The same again, and the same files.
    predict_files(detector, photos, output)
    assert files() == {"detections.json", "index.html", "icdar/res_two.txt", *pictures}


def test_files_that_are_no_text_are_listed_too(detector, tmp_path):
    write(tmp_path / "photos/one.png", white_box((80, 120), *BOX))
    (tmp_path / "photos/one.png").rename(tmp_path / "photos/caf\udce9.png")
    predict_files(detector, tmp_path / "photos", tmp_path / "out")
    assert (tmp_path / "out/icdar/res_caf\udce9.txt").is_file()
    (tmp_path / "photos/caf\udce9.png").rename(tmp_path / "photos/two.png")
    predict_files(detector, tmp_path / "photos", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out/icdar").iterdir()] == ["res_two.txt"]


@pytest.mark.parametrize(
    "text", ["{", '{"icdar": 1, "page": [null, "../res_mine.txt", "%s"]}' % ("x" * 300), "[" * 100_000]
)
def test_a_damaged_list_of_an_earlier_run_removes_nothing(detector, tmp_path, text):
    write(tmp_path / "photos/one.png", white_box((80, 120), *BOX))
    output = tmp_path / "in/out"
    (output / "icdar").mkdir(parents=True)
    (output / MANIFEST).write_text(text)
    others = [tmp_path / "in/res_mine.txt", output / "icdar/res_mine.txt"]
    for file in others:
        file.write_text("the user's own")
    predict_files(detector, tmp_path / "photos", output)
    assert all(file.is_file() for file in others)
    assert list(json.loads((output / "detections.json").read_text())["pictures"]) == ["one.png"]


def test_the_formats_choose_the_files_and_those_of_others_go(detector, tmp_path):
    write(tmp_path / "photos/one.png", white_box((80, 120), *BOX))
    output = tmp_path / "out"

    def files(*formats: str) -> set[str]:
        found = predict_files(detector, tmp_path / "photos", output, formats)
        assert found.page == (output / "index.html" if "page" in formats else None)
        return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} - {MANIFEST}

    assert "index.html" in files("json", "icdar", "page")
    assert files("json") == {"detections.json"}
    assert {file.name for file in output.iterdir()} == {"detections.json", MANIFEST}  # and no empty folder
    assert files("icdar") == {"icdar/res_one.txt"}
    with pytest.raises(ValueError, match=r"`formats` \(=json,xml\): 'xml' is none of json, icdar, page"):
        files("json", "xml")
    # A page of another command lies in the same folder: the files of the detections stay.
    results.write_results_page(output, "scores", {}, [])
    assert {file.name for file in output.iterdir()} >= {"icdar", "index.html"}
    assert (output / "icdar/res_one.txt").is_file()


def test_what_an_earlier_run_found_goes_also_where_this_one_fails(detector, tmp_path):
    class Failing(BrightnessDetector):
        def _extract(self, maps, sizes):
            raise RuntimeError("out of memory")

    write(tmp_path / "photos/one.png", white_box((80, 120), *BOX))
    output = tmp_path / "out"
    predict_files(detector, tmp_path / "photos", output)
    with pytest.raises(RuntimeError, match="out of memory"):
        predict_files(Failing(resize="none"), tmp_path / "photos", output)
    assert not (output / "icdar").exists()
    assert not (output / "pictures").exists()
    assert "No pictures." in (output / "index.html").read_text()


@pytest.mark.parametrize("name", ["index.html", "detections.json", "icdar/in/res_one.txt", "icdar"])
def test_files_of_a_person_are_refused_before_any_picture_is_read(tmp_path, name):
    write(tmp_path / "photos/in/one.png", white_box((80, 120), *BOX))
    detector, output = BrightnessDetector(resize="none"), tmp_path / "out"
    (output / name).parent.mkdir(parents=True)
    (output / name).write_text("the user's own")
    before = sorted(output.rglob("*"))
    with pytest.raises(FileExistsError, match=rf"`output` \(='{output}'\) contains .*: {name}\. Move or delete them"):
        predict_files(detector, tmp_path / "photos", output)
    assert not detector.calls
    assert sorted(output.rglob("*")) == before
    # Formats that do not write it are no reason.
    photo = pathlib.PurePath("in/one.png")
    others = [kind for kind, writer in WRITERS.items() if not any(name in file for file in writer.planned([photo]))]
    assert len(others) == 2
    predict_files(detector, tmp_path / "photos", output, others)
    assert (output / name).read_text() == "the user's own"


def test_a_full_disk_leaves_every_file_of_the_earlier_run_whole(detector, tmp_path):
    for name in ("one.png", "two.png"):
        write(tmp_path / "photos" / name, white_box((80, 120), *BOX))
    output = tmp_path / "out"

    def contents() -> dict[pathlib.Path, bytes]:
        return {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}

    predict_files(detector, tmp_path / "photos", output)
    before = contents()
    largest = max(len(content) for content in before.values())
    for size in (0, 10, 1000, largest - 1):
        with files_of_at_most(size), pytest.raises(OSError, match="File too large") as caught:
            predict_files(detector, tmp_path / "photos", output)
        assert caught.value.filename.startswith(str(output))
        now = contents()
        json.loads(now[output / "detections.json"])
        page = [path for path in before if path.suffix in (".html", ".jpg")]
        assert len(page) == 9
        assert all(now[path] == before[path] for path in page)
        assert not [path for path in now if path.suffix == ".partial"]
    predict_files(detector, tmp_path / "photos", output)
    assert contents() == before
