"""Files that appear whole or not at all, and folders that belong to a person in part."""

import errno
import json
import os
import pathlib
from typing import NamedTuple

import pytest

from dbnet_jax.files import (
    MANIFEST,
    check_files,
    claim_files,
    lacking_room,
    naming,
    replace_files,
    write_atomically,
    write_json,
)
from dbnet_jax.paths import BucketError
from tests.helpers.full_disk import files_of_at_most


def test_a_full_disk_leaves_the_good_file_and_is_named_with_the_path(tmp_path):
    file = tmp_path / "detections.json"
    for write in (write_atomically, write_json):
        write(file, "old")
        before = file.read_bytes()
        with files_of_at_most(100), pytest.raises(OSError, match="File too large") as caught:
            write(file, "new" * 100)
        assert caught.value.filename == str(file)
        assert file.read_bytes() == before
        assert list(tmp_path.iterdir()) == [file]


class Disk(NamedTuple):
    f_blocks: int = 1000
    f_bavail: int = 10
    f_frsize: int = 4096
    f_files: int = 1000
    f_favail: int = 10


@pytest.mark.parametrize(
    ("disk", "size", "count", "words"),
    [
        (Disk(), 40_960, 10, ""),
        (Disk(), 2_500_000, 10, "2.5 MB are needed, and 0.0 MB are free"),
        (Disk(), 0, 11, "11 new files are needed, and the disk takes 10 more"),
        (Disk(f_blocks=0, f_bavail=0, f_files=0, f_favail=0), 2**40, 2**20, ""),  # nothing is counted
    ],
)
def test_room_is_counted_in_bytes_and_in_files(monkeypatch, disk, size, count, words):
    monkeypatch.setattr(os, "statvfs", lambda folder: disk)
    assert lacking_room("folder", size, count) == words


def make(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


PLANNED = {"page": ["index.html"], "icdar": ["icdar/a/res_1.txt", "icdar/res_[2].txt"]}


@pytest.mark.parametrize("name", ["index.html", "icdar/res_[2].txt", "icdar/a/res_1.txt", "icdar", "icdar/a"])
def test_a_file_that_no_run_listed_is_refused_by_its_name(tmp_path, name):
    make(tmp_path, name, "notes.txt")
    for check in (check_files, claim_files):
        with pytest.raises(FileExistsError) as caught:
            check(tmp_path, PLANNED)
        assert str(caught.value) == (
            f"`output` (={str(tmp_path)!r}) contains files that no run listed as its own, and this run would overwrite "
            f"them: {name}. Move or delete them, or choose another folder"
        )
    assert not (tmp_path / MANIFEST).exists()


def test_a_link_counts_as_a_file_and_of_many_files_the_first_are_listed(tmp_path):
    (tmp_path / "index.html").symlink_to("nowhere")
    make(tmp_path, *(f"icdar/{number}.txt" for number in range(9)))
    with pytest.raises(FileExistsError, match=r": index.html, icdar/0.txt, .*, icdar/3.txt and 5 more\. Move"):
        check_files(tmp_path, {"page": ["index.html"], "icdar": [f"icdar/{number}.txt" for number in range(9)]})


def test_a_killed_run_is_started_again_and_its_claims_end_with_the_next(tmp_path):
    claim_files(tmp_path, PLANNED)
    make(tmp_path, "index.html", "icdar/a/res_1.txt")
    # Killed here. Other pictures come next.
    claim_files(tmp_path, {"page": ["index.html"], "icdar": ["icdar/res_3.txt"]})
    make(tmp_path, "icdar/res_3.txt")
    replace_files(tmp_path, {"page": ["index.html"], "icdar": ["icdar/res_3.txt"]})
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        *(MANIFEST, "index.html", "icdar", "icdar/res_3.txt")
    }
    assert json.loads((tmp_path / MANIFEST).read_text()) == {"page": ["index.html"], "icdar": ["icdar/res_3.txt"]}


def test_folders_that_a_run_emptied_go_and_those_with_files_of_a_person_stay(tmp_path):
    files = ["icdar/in/res_1.txt", "icdar/out/res_2.txt", "pictures/1.jpg"]
    make(tmp_path, *files, "icdar/out/mine.txt")
    replace_files(tmp_path, {"all": files})
    replace_files(tmp_path, {"all": []})
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        *(MANIFEST, "icdar", "icdar/out", "icdar/out/mine.txt")
    }


def test_an_error_without_a_number_is_left_as_it_is(tmp_path):
    with pytest.raises(OSError, match=r"^a reason$") as caught, naming(tmp_path):
        raise OSError("a reason")
    assert caught.value.filename is None
    with pytest.raises(OSError, match=str(tmp_path)), naming(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), OSError(errno.EIO, "no"), BucketError("the network is down")]
)
def test_a_manifest_that_cannot_be_read_is_neither_empty_nor_overwritten(tmp_path, monkeypatch, error):
    claim_files(tmp_path, PLANNED)
    make(tmp_path, "index.html")
    manifest = (tmp_path / MANIFEST).read_bytes()

    def fail(file: pathlib.Path) -> bytes:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(pathlib.Path, "read_bytes", fail)
        for use in (check_files, claim_files, replace_files):
            with pytest.raises(type(error)) as caught:
                use(tmp_path, {"page": ["other.html"]})
            assert caught.value.errno is None or caught.value.filename == str(tmp_path / MANIFEST)
    assert (tmp_path / MANIFEST).read_bytes() == manifest
    assert (tmp_path / "index.html").exists()
