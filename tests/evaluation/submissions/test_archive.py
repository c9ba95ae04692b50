"""Where files that are scored come from: folders and archives, also those that mean harm."""

import pathlib
import zipfile

import numpy as np
import pytest

from dbnet_jax.evaluation.submissions import archive
from dbnet_jax.evaluation.submissions.archive import read_source
from tests.helpers.submissions import WORD, pack


def test_a_truncated_archive_is_refused(tmp_path: pathlib.Path) -> None:
    whole = pack(tmp_path / "whole.zip", {"gt_a.txt": f"{WORD},a\n" * 99}).read_bytes()
    (tmp_path / "gt.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"gt\.zip: neither a folder nor a whole zip archive"):
        read_source(tmp_path / "gt.zip", (".txt",))


def test_names_of_an_archive_lead_nowhere(tmp_path: pathlib.Path) -> None:
    files = {"/etc/gt_a.txt": "1", "../../gt_b.txt": "2", "..\\x\\gt_c.txt": "3", "deep/./gt_d.txt": "4"}
    contents = read_source(pack(tmp_path / "gt.zip", files), (".txt",))
    assert contents == {"etc/gt_a.txt": b"1", "gt_b.txt": b"2", "x/gt_c.txt": b"3", "deep/gt_d.txt": b"4"}
    assert [path.name for path in tmp_path.iterdir()] == ["gt.zip"]


def test_an_archive_that_holds_too_much_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(tmp_path / "bomb.zip", {"gt_a.txt": "0" * 2**20})
    assert bomb.stat().st_size < 2**12
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 2**16)
    with pytest.raises(ValueError, match=r"bomb.zip: gt_a.txt: too much to read"):
        read_source(bomb, (".txt",))
    many = pack(tmp_path / "many.zip", {f"gt_{n}.txt": "0" * 2**12 for n in range(20)})
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2**15)
    with pytest.raises(ValueError, match=r"many.zip: gt_8.txt: too much to read"):
        read_source(many, (".txt",))
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(ValueError, match=r"many.zip: gt_3.txt: too much to read"):
        read_source(many, (".txt",))


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_compression_that_may_ask_for_any_memory_is_refused(tmp_path: pathlib.Path, compression: int) -> None:
    path = pack(tmp_path / "gt.zip", {"gt_a.txt": WORD}, compression)
    with pytest.raises(ValueError, match=r"gt\.zip.*gt_a\.txt is compressed by another method than deflate"):
        read_source(path, (".txt",))


def test_an_archive_that_lists_too_many_files_is_not_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "gt.zip", {"gt_a.txt": WORD, **{f"{n}.jpg": "" for n in range(20)}})
    monkeypatch.setattr(archive, "MAX_LISTED", 21)
    assert len(read_source(path, (".txt",))) == 1
    monkeypatch.setattr(archive, "MAX_LISTED", 20)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ValueError, match=r"gt\.zip.*lists more than 20 files"):
        read_source(path, (".txt",))


def test_sources_that_are_none(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder or file"):
        read_source(tmp_path / "nowhere", (".txt",))
    with pytest.raises(FileNotFoundError, match=r"holds no \.txt or \.gt file"):
        read_source(tmp_path, (".txt", ".gt"))
    with pytest.raises(FileNotFoundError, match=r"empty.zip: holds no \.txt file"):
        read_source(pack(tmp_path / "empty.zip", {}), (".txt",))
    (tmp_path / "text.zip").write_text(WORD)
    with pytest.raises(ValueError, match=r"text\.zip: neither a folder nor a whole zip archive"):
        read_source(tmp_path / "text.zip", (".txt",))
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match="neither a folder nor a whole zip archive"):
        read_source(tmp_path / "a.rar", (".txt",))
    whole = pack(tmp_path / "whole.zip", {"gt_a.txt": "word " * 1000}).read_bytes()
    spoiled = bytearray(whole)
    spoiled[40:60] = bytes(20)
    (tmp_path / "spoiled.zip").write_bytes(spoiled)
    with pytest.raises(ValueError, match=r"spoiled.zip: cannot be read as a zip archive"):
        read_source(tmp_path / "spoiled.zip", (".txt",))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_spoiled_archive_is_read_or_named(tmp_path: pathlib.Path, compression: int) -> None:
    path, random = tmp_path / "gt.zip", np.random.default_rng(0)
    pack(path, dict.fromkeys(("ü/gt_a.txt", "gt_b.txt"), f"{WORD},text\n" * 20), compression)
    whole, outcomes = np.frombuffer(path.read_bytes(), np.uint8), set()
    for _ in range(300):
        spoiled = whole.copy()
        count = random.integers(0, 4)
        spoiled[random.integers(0, len(whole), count)] = random.integers(0, 256, count)
        path.write_bytes(spoiled[: random.integers(len(whole) // 2, 3 * len(whole))].tobytes())
        try:
            assert set(read_source(path, (".txt",)).values()) <= {f"{WORD},text\n".encode() * 20}
            outcomes.add("read")
        except (ValueError, FileNotFoundError) as error:
            outcomes.add("named" if str(path) in str(error) else str(error))
    assert outcomes == {"read", "named"}
