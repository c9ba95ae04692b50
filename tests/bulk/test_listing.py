"""A job has every picture of its inputs once, by a name of its own, and reads what the listing has promised."""

import io
import os
import pathlib
import tarfile
import zipfile

import pytest

from dbnet_jax.bulk.listing import list_pictures
from dbnet_jax.bulk.reading import sources_of
from dbnet_jax.images.decode import reading_options
from tests.helpers.brightness import white_box
from tests.helpers.bulk import Widths, picture
from tests.helpers.pictures import saved

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def read(entries, columns=None, frames="first") -> dict[str, int | str]:
    """The width of each picture, or why it cannot be read."""
    found: dict[str, int | str] = {}
    for name, source in sources_of(entries, columns, frames, reading_options(Widths().predict)):
        assert name not in found
        try:
            found[name] = source().image.shape[1]
        except ValueError as error:
            found[name] = str(error)
    return found


def write(file: pathlib.Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.fixture
def tree(tmp_path) -> pathlib.Path:
    for index, name in enumerate(("a.png", "sub/a.png", "sub/deep/b.JPG.png", "sub/deep/[c].png", "x/.hidden/d.png")):
        write(tmp_path / "in" / name, picture(index))
    write(tmp_path / "in/notes.md", b"no picture")
    write(tmp_path / "in/out/old.png", picture(9))
    (tmp_path / "in/gone.png").symlink_to("nowhere")
    return tmp_path / "in"


FIVE = ["a.png", "gone.png", "sub/a.png", "sub/deep/[c].png", "sub/deep/b.JPG.png"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", FIVE),
        ("/**.png", FIVE),
        ("/**/*.png", FIVE),
        ("/*.png", FIVE[:2]),
        ("/sub/*", ["a.png", "deep/[c].png", "deep/b.JPG.png"]),
        ("/s*b/?.png", ["sub/a.png"]),
        ("/**/[a-c].png", ["a.png", "sub/a.png"]),
        ("/sub/**/b*", ["deep/b.JPG.png"]),
        ("/sub/deep/[c].png", ["[c].png"]),  # a file of this name, and no pattern
        ("/**/[!a]*.png", ["gone.png", "sub/deep/[c].png", "sub/deep/b.JPG.png"]),
    ],
)
def test_folders_and_patterns(tree, pattern, names):
    entries = list_pictures([f"{tree}{pattern}"], str(tree / "out"))
    assert [entry.name for entry in entries] == names
    found = read(entries)
    assert found.keys() == set(names)
    assert "No such file" in str(found.pop("gone.png", "No such file"))
    assert all(isinstance(width, int) for width in found.values())


def test_several_inputs_have_one_root_and_each_picture_once(tree, tmp_path):
    inputs = [f"{tree}/sub", f"{tree}/a.png", f"{tree}/sub/deep"]
    names = [entry.name for entry in list_pictures(inputs, str(tree / "out"))]
    assert names == ["a.png", "sub/a.png", "sub/deep/[c].png", "sub/deep/b.JPG.png"]
    assert len(list_pictures([f"{tree}/sub", os.path.relpath(f"{tree}/sub")], "")) == 3
    # The same inputs in a list, whose paths count from its folder; what is missing has a row with the reason.
    (tmp_path / "list.txt").write_text("in/sub\n\nin/a.png\nin/missing.png\n")
    found = read(list_pictures([f"{tmp_path}/list.txt"], str(tree / "out")))
    assert [*found] == ["a.png", "missing.png", "sub/a.png", "sub/deep/[c].png", "sub/deep/b.JPG.png"]
    assert found["missing.png"] == "missing.png: cannot be read: No such file or directory"


def test_every_line_of_a_list_counts_also_one_with_brackets(tree):
    (tree / "list.txt").write_text("sub/deep/[c].png\nsub/deep/missing[1].png\nsub/?.png\n")
    found = read(list_pictures([str(tree / "list.txt")], ""))
    assert [*found] == ["a.png", "deep/[c].png", "deep/missing[1].png"]
    assert found["deep/missing[1].png"] == "deep/missing[1].png: cannot be read: No such file or directory"


def test_lists_of_windows_and_lists_that_are_no_utf8(tree):
    (tree / "ü.png").write_bytes(picture(3))
    file = tree / "list.txt"
    file.write_bytes("a.png\r\nü.png\r\n".encode("utf-8-sig"))
    assert read(list_pictures([str(file)], "")) == {"a.png": 40, "ü.png": 43}
    for encoding in ("latin-1", "utf-16"):
        file.write_bytes("ü.png\n".encode(encoding))
        with pytest.raises(ValueError, match=r"`input` \(='.*/list\.txt'\) must be UTF-8"):
            list_pictures([str(file)], "")


def test_what_is_missing_or_empty_is_an_error(tree):
    with pytest.raises(FileNotFoundError, match=r"`input` \(='.*/nothing'\) is not there"):
        list_pictures([f"{tree}/nothing"], "")
    for inputs in ([f"{tree}/*.bmp"], [f"{tree}/a.png", f"{tree}/*.bmp"]):
        with pytest.raises(FileNotFoundError, match=r"`input` \(='[^ ]*\*\.bmp'\) contains no picture"):
            list_pictures(inputs, "")


MEMBERS = {"1.png": picture(1), "1.txt": b"label", "sub/2.png": picture(2), "__MACOSX/._1.png": b"", "3.png": b"x"}


def make_tar(file: pathlib.Path, mode: str) -> None:
    with tarfile.open(file, mode) as archive:
        for name, content in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "1.png"
        archive.addfile(link)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.xz", "tar.bz2", "zip"])
def test_archives(tmp_path, suffix):
    file = tmp_path / f"set.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in MEMBERS.items():
                archive.writestr(name, content)
    else:
        make_tar(file, {"tgz": "w:gz"}.get(suffix, f"w:{suffix[4:]}"))
    found = read(list_pictures([str(file)], ""))
    assert "is a link inside an archive" in str(found.pop("link.png", "is a link inside an archive"))
    assert "3.png: cannot be decoded" in str(found.pop("3.png"))
    assert found == {"1.png": 41, "sub/2.png": 42}
    # In a folder, the name of the archive comes before those of its files.
    assert {f"set.{suffix}/1.png", f"set.{suffix}/sub/2.png"} < read(list_pictures([str(tmp_path)], "")).keys()


def test_damaged_archives_are_rows_with_a_reason(tmp_path):
    make_tar(tmp_path / "cut.tar", "w")
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: whole.index(MEMBERS["sub/2.png"]) + 20])
    (tmp_path / "no.zip").write_bytes(b"no archive")
    (tmp_path / "no.parquet").write_bytes(b"no table")
    found = read(list_pictures([str(tmp_path)], ""))
    assert found.pop("cut.tar/1.png") == 41
    assert found.keys() >= {"no.zip", "no.parquet"}
    assert all("cannot be read" in str(reason) for reason in found.values())
    assert any(name.startswith("cut.tar") for name in found)


def table(**columns) -> object:
    return pyarrow.table(columns)


PNGS = [picture(index) for index in range(5)]
STRUCTS = [{"bytes": png, "path": f"{index}.png"} for index, png in enumerate(PNGS)]


@pytest.mark.parametrize(
    ("content", "columns", "names"),
    [
        ({"jpg": PNGS, "name": list("abcde")}, None, ["a", "b", "c", "d", "e"]),
        ({"jpg": PNGS}, None, [f"{row:08}" for row in range(5)]),
        ({"image": STRUCTS, "label": [1] * 5}, None, [f"{row}.png" for row in range(5)]),  # as Hugging Face writes it
        ({"x": PNGS, "y": [b""] * 5, "z": list("abcde")}, "x,z", ["a", "b", "c", "d", "e"]),
        ({"jpg": PNGS, "name": ["a", "a", None, "d", "a"]}, None, ["a", "a (2)", "00000002", "d", "a (3)"]),
    ],
)
def test_parquet(tmp_path, content, columns, names):
    parquet.write_table(table(**content), tmp_path / "set.parquet", row_group_size=2)
    entries = list_pictures([f"{tmp_path}/set.parquet"], "", columns)
    assert [entry.name for entry in entries] == names
    assert read(entries, columns) == {name: 40 + row for row, name in enumerate(names)}
    # A shard may begin and end in the middle of a row group.
    assert read(entries[1:4], columns) == {names[row]: 40 + row for row in (1, 2, 3)}


@pytest.mark.parametrize(
    ("content", "columns", "reason"),
    [
        ({"x": PNGS, "y": PNGS}, None, r"several columns of bytes \(x, y\), of x, y: --columns=BYTES,NAME"),
        ({"x": [1]}, None, "no column of bytes, of x"),
        ({"x": PNGS}, "x,z", r"`columns` \(='x,z'\): 'z' is none of x"),
        ({"x": PNGS}, ",x", r"`columns` \(=',x'\): '' is none of x"),
        ({"x": PNGS, "z": [1] * 5}, "z", r"`columns` \(='z'\): 'z' is int64, and must be bytes: choose one of x"),
        ({"x": [1]}, "x", "'x' is int64, and must be bytes: no column of the file is"),
        ({"image": STRUCTS}, "image", r"'image' is struct<.*>, and must be bytes: choose one of image\.bytes"),
        ({"x": PNGS, "image": STRUCTS}, "x,image", "'image' is struct<.*>, and must be texts or numbers"),
        ({"x": PNGS, "y": PNGS}, "x,y", "'y' is binary, and must be texts or numbers"),
    ],
)
def test_parquet_whose_columns_are_not_known(tmp_path, content, columns, reason):
    parquet.write_table(table(**content), tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/set\.parquet: .*{reason}"):
        list_pictures([f"{tmp_path}/set.parquet"], "", columns)
    # Beside other files, it is a row with the reason. Columns that a person has named must be there all the same.
    (tmp_path / "a.png").write_bytes(picture(0))
    if columns is None:
        _, entry = list_pictures([str(tmp_path)], "")
        assert entry.name == "set.parquet"
        assert entry.problem.startswith("cannot be read: has ")
    else:
        with pytest.raises(ValueError, match=reason):
            list_pictures([str(tmp_path)], "", columns)


def test_a_row_without_bytes_has_a_reason(tmp_path):
    parquet.write_table(table(jpg=[None, PNGS[1]], name=["a", "b"]), tmp_path / "set.parquet")
    found = read(list_pictures([f"{tmp_path}/set.parquet"], ""))
    assert found["b"] == 41
    assert "the row has no bytes" in str(found["a"])


def test_all_frames_are_rows_of_their_own_in_files_and_in_archives(tmp_path):
    frames = [white_box((30, 50), 5, 5, 20 + index, 20) for index in range(3)]
    write(tmp_path / "in/scan.tif", saved(frames[0], "TIFF", *frames[1:]))
    with zipfile.ZipFile(tmp_path / "in/set.zip", "w") as archive:
        archive.write(tmp_path / "in/scan.tif", "scan.tif")
        archive.writestr("one.png", picture(0))
    found = read(list_pictures([f"{tmp_path}/in"], ""), frames="all")
    scans = [f"{before}scan.tif#{frame}" for before in ("", "set.zip/") for frame in (1, 2, 3)]
    assert [*found] == [*scans[:3], *scans[3:], "set.zip/one.png"]
