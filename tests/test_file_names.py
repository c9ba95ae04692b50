"""What every mode leaves out of a folder, and reads where a person names it."""

import pathlib
import unicodedata
import zipfile

import pytest

from dbnet_jax.commands.pictures import picture_files
from dbnet_jax.commands.score import score_files
from dbnet_jax.evaluation.submissions.archive import by_picture, read_source
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.parsing.folders import describe
from input_pipeline.datasets.rendered.scenes.backgrounds import Backgrounds
from tests.helpers.own_labels import document, encode, icdar_text, names, write, write_picture
from tests.helpers.problems import said
from tests.helpers.submissions import WORD

# Folders and beginnings of names.
HIDDEN = ("._", ".thumbnails/", "__MACOSX/._", "__MACOSX/", "@eaDir/", "b/@eaDir/a.png/", "b/.git/", "$RECYCLE.BIN/")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    for start in ("", "b/", *HIDDEN):
        write_picture(folder / f"{start}img_1.jpg")
        write(folder / f"{start}img_1.json", encode("labelme", document("labelme", [1])))
        write(folder / f"{start}gt_img_1.txt", icdar_text())
    write(folder / "Thumbs.db", "")
    return folder


def test_every_mode_leaves_hidden_files_out(folder, tmp_path):
    wanted = ["b/img_1.jpg", "img_1.jpg"]
    found = picture_files(folder, tmp_path / "out")
    assert [file.relative_to(folder).as_posix() for file in found] == wanted
    for kind in ("labelme", "icdar_folder"):
        dataset = open_dataset(kind, folder, "trainval")
        assert (names(dataset), said(dataset)) == (wanted, [])
    assert set(read_source(folder, (".txt",))) == {"gt_img_1.txt", "b/gt_img_1.txt"}
    assert len(Backgrounds(folder)._files) == 2
    assert describe(folder) == "b/, gt_img_1.txt, img_1.jpg, img_1.json"


def test_hidden_files_that_a_person_names_are_read(folder, tmp_path):
    for name in ("._img_1.jpg", "@eaDir"):
        (found,) = picture_files(folder / name, tmp_path / "out")
        assert found.name in ("._img_1.jpg", "img_1.jpg")
    assert names(open_dataset("icdar_folder", folder, "trainval", labels=".thumbnails")) == ["img_1.jpg"]
    assert set(read_source(folder / "._gt_img_1.txt", (".txt",))) == {"._gt_img_1.txt"}


@pytest.mark.parametrize("detected", ["res_Café 1.txt", "Café 1.jpg.txt", "res_Caf%C3%A9%201.txt"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_spellings_of_a_name_are_one_picture_to_score(detected, form, tmp_path):
    write(tmp_path / "found" / unicodedata.normalize(form, detected), WORD)
    write(tmp_path / "truth" / unicodedata.normalize("NFD", "gt_Café 1.txt"), f"{WORD},a")
    scores = score_files(tmp_path / "found", tmp_path / "truth")
    assert (scores.summary["hmean"], scores.problems) == (1.0, [])


def test_a_zip_archive_of_a_mac_has_utf_8_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as archive:
        for name in ("Café 北京", "b"):
            archive.writestr(f"gt_{unicodedata.normalize('NFD', name)}.txt", WORD)
    # Python writes the flag of UTF-8 (bit 11) behind the signatures of both headers; the Mac does not.
    data = (tmp_path / "gt.zip").read_bytes()
    for signature, place in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        at = data.index(signature) + place
        data = data[:at] + bytes([data[at] & ~8]) + data[at + 1 :]
    (tmp_path / "gt.zip").write_bytes(data)
    assert set(by_picture(read_source(tmp_path / "gt.zip", (".txt",)))) == {"Café 北京", "b"}
