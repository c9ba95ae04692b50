"""The copies of checkpoints between a bucket and a disk: what a kill, an error or another process leaves of them."""

import pathlib
import shutil

import pytest

from dbnet_jax.training import checkpoint_mirror
from dbnet_jax.training.checkpoint_files import MARKS, saved_steps
from dbnet_jax.training.checkpoint_mirror import CheckpointMirror
from tests.helpers.buckets import contents


def make(folder: pathlib.Path, step: int) -> None:
    """Files in the place of a checkpoint. A folder is none of them: in a bucket, there are none."""
    for name in ("data", *MARKS):
        (folder / str(step) / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / str(step) / name).write_text(f"{name} of {step}")


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
    """A folder in the place of a bucket, with a checkpoint of step 1."""
    make(tmp_path, 1)
    return tmp_path


@pytest.fixture
def mirror(source):
    mirror = CheckpointMirror(source)
    yield mirror
    mirror.close()


def test_a_failed_upload_leaves_the_only_checkpoint_and_the_next_one_replaces_it(source, mirror, monkeypatch):
    mirror.fetch()
    make(mirror.folder, 2)
    shutil.rmtree(mirror.folder / "1")
    before = contents(source)

    def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(checkpoint_mirror, "_copy", fail)
        with pytest.raises(ConnectionError):
            mirror.push()
    assert contents(source) == before
    mirror.push()
    assert contents(source) == contents(mirror.folder)
    assert {name.partition("/")[0] for name in contents(source)} == {"2"}


@pytest.mark.parametrize("removed", ["all", "its marks", "its marks while it is copied"])
def test_a_checkpoint_that_a_training_removes_meanwhile_gives_way_to_the_new_one(source, mirror, monkeypatch, removed):
    copy, listed, copied = pathlib.Path.read_bytes, saved_steps, []

    def list_and_remove(folder: pathlib.Path) -> list[int]:
        found = listed(folder)
        if found == [1]:
            make(source, 2)
            for mark in MARKS:
                (source / "1" / mark).unlink()
            if removed == "all":
                shutil.rmtree(source / "1")
        return found

    def read_and_remove(file: pathlib.Path) -> bytes:
        content = copy(file)
        if file.name == "data" and not copied:
            copied.append(file)
            make(source, 2)
            for mark in MARKS:
                (source / "1" / mark).unlink()
        return content

    if removed == "its marks while it is copied":
        monkeypatch.setattr(pathlib.Path, "read_bytes", read_and_remove)
    else:
        monkeypatch.setattr(checkpoint_mirror, "saved_steps", list_and_remove)
    mirror.fetch()
    monkeypatch.undo()
    expected = {name: content for name, content in contents(source).items() if name.startswith("2/")}
    assert contents(mirror.folder) == expected
    assert len(expected) == 1 + len(MARKS)


def test_a_checkpoint_that_never_comes_whole_is_left_out(source, mirror, monkeypatch):
    make(source, 2)
    listings = []

    def list_too_many(folder: pathlib.Path) -> list[int]:
        listings.append(folder)
        return [3, *saved_steps(folder)]

    monkeypatch.setattr(checkpoint_mirror, "saved_steps", list_too_many)
    mirror.fetch()
    assert contents(mirror.folder) == contents(source)
    assert 1 < len(listings) < 10
