"""The text files of a folder or of a zip archive, which is read as it is and never unpacked."""

import itertools
import mmap
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from dbnet_jax.file_names import is_hidden, same_name
from dbnet_jax.images.decode import PICTURE_SUFFIXES
from dbnet_jax.paths import as_path, local_copy

# An archive may claim anything, and a small one may hold far more than fits into memory.
MAX_FILES = 200_000
MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 2**30
_UTF_8_FLAG = 0x800  # of a name in a zip archive; without it the name is CP437
# Entries of an archive's list, of any kind: reading the list takes some 700 bytes of memory for each.
MAX_LISTED = 500_000
# An entry begins with it.
_ENTRY = re.compile(rb"PK\x01\x02")
# The methods that unpack as many bytes as they are asked for. For LZMA, a file of 100 bytes may ask for 4 GiB.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PREFIXES = ("poly_gt_", "gt_", "res_")


def read_source(source: str | os.PathLike[str], suffixes: Iterable[str]) -> dict[str, bytes]:
    """The content of every file with one of these suffixes, by its name within the source.

    Hidden files (`is_hidden`) are left out. Names are only names: nothing is written anywhere, so
    that an absolute one, or one with "..", does no harm.

    **Arguments:**

    - `source`: a folder, which is searched with all folders in it, a zip archive, or one such file.
    - `suffixes`: in lower case, with the dot.

    **Raises:** FileNotFoundError where the source does not exist; ValueError where it is neither, cannot be read, or
    holds too much.
    """
    path, wanted = as_path(source), tuple(suffixes)
    if path.is_dir():
        files = _read_folder(path, wanted)
    elif path.suffix.lower() in wanted:
        files = _read_files([(path.name, path)])
    elif path.exists() and zipfile.is_zipfile(local_copy(path)):
        files = _read_zip(local_copy(path), wanted)
    elif path.exists():
        raise ValueError(f"{path}: neither a folder nor a whole zip archive nor a {' or '.join(wanted)} file")
    else:
        raise FileNotFoundError(f"{path}: there is no such folder or file")
    contents: dict[str, bytes] = {}
    total = 0
    for name, data in files:
        total += len(data)
        if name in contents:
            raise ValueError(f"{path}: holds {name} twice")
        if len(data) > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES or len(contents) == MAX_FILES:
            raise ValueError(
                f"{path}: {name}: too much to read: {MAX_FILE_BYTES >> 20} MiB a file, {MAX_TOTAL_BYTES >> 20} MiB in "
                f"all and {MAX_FILES:,} files are the most"
            )
        contents[name] = data
    if not contents:
        raise FileNotFoundError(f"{path}: holds no {' or '.join(wanted)} file")
    return contents


def by_picture(names: Iterable[str]) -> dict[str, str]:
    """Each picture's name, without its suffix, for the file that tells of it: img_1 for gt_img_1.txt and img_1.jpg.

    Folders that all files are in do not count; others stay before the name: a/img_1. All spellings of a name
    (`same_name`) are one picture.

    **Returns:** the files by the pictures' names.

    **Raises:** ValueError where two files tell of the same picture.
    """
    paths = {name: PurePosixPath(name) for name in names}
    columns = zip(*(path.parent.parts for path in paths.values()), strict=False)
    shared = len(list(itertools.takewhile(lambda column: len(set(column)) == 1, columns)))
    files: dict[str, str] = {}
    for name, path in sorted(paths.items()):
        # A picture's own name, or that of a text file, which may hold the picture's with its suffix.
        stem = path.stem if path.suffix.lower() in PICTURE_SUFFIXES else _picture_stem(path.stem)
        picture = same_name("/".join((*path.parent.parts[shared:], stem)))
        if picture in files:
            raise ValueError(f"{files[picture]} and {name} are both of picture {picture}")
        files[picture] = name
    return files


def _picture_stem(stem: str) -> str:
    stem = next((stem.removeprefix(prefix) for prefix in PREFIXES if stem.startswith(prefix)), stem)
    path = PurePosixPath(stem)
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else stem


def _is_wanted(parts: tuple[str, ...], suffixes: tuple[str, ...]) -> bool:
    return bool(parts) and not any(map(is_hidden, parts)) and PurePosixPath(parts[-1]).suffix.lower() in suffixes


def _read_folder(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    files = [(path.relative_to(folder), path) for path in sorted(folder.rglob("*")) if path.is_file()]
    yield from _read_files([(name.as_posix(), path) for name, path in files if _is_wanted(name.parts, suffixes)])


def _read_files(files: list[tuple[str, Path]]) -> Iterator[tuple[str, bytes]]:
    for name, path in files:
        with path.open("rb") as file:
            yield name, file.read(MAX_FILE_BYTES + 1)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name of a file in an archive; zip tools of Macs write UTF-8 without the flag that announces it."""
    if info.flag_bits & _UTF_8_FLAG:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _check_list(path: Path) -> None:
    """**Raises:** ValueError where the archive lists too many files."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if any(index == MAX_LISTED for index, _ in enumerate(_ENTRY.finditer(content))):
            raise ValueError(f"it lists more than {MAX_LISTED:,} files; split it")


def _read_zip(path: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    try:
        _check_list(path)
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                parts = tuple(
                    part for part in _zip_name(info).replace("\\", "/").split("/") if part not in ("", ".", "..")
                )
                if info.is_dir() or not _is_wanted(parts, suffixes):
                    continue
                if info.compress_type not in _BOUNDED:
                    raise ValueError(f"{info.filename} is compressed by another method than deflate; pack it again")
                # Not by the size that the archive states: what comes out is counted.
                with archive.open(info) as file:
                    yield "/".join(parts), file.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError is what it raises for files under a password, ValueError for names that are no text.
        raise ValueError(f"{path}: cannot be read as a zip archive: {error}") from error
