"""Paths of files, on a disk and in a bucket: `gs://bucket/run`, `s3://bucket/run`.

A bucket has objects and no folders. A folder is there as long as an object has a name below it. An object is written
whole or not at all, and nothing can be appended to it.
"""

import errno
import functools
import importlib
import io
import logging
import os
import pathlib
import posixpath
import re
import tempfile
import types
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from etils.epath.gpath import PosixGPath

AnyPath = str | os.PathLike[str]


class _Service(NamedTuple):
    """A kind of buckets: its name, the module that reaches it, and how a person gives it credentials."""

    name: str
    module: str
    credentials: str


_SERVICES = {
    "gs": _Service(
        "Google Cloud Storage",
        "gcsfs",
        "`gcloud auth application-default login` makes some, and GOOGLE_APPLICATION_CREDENTIALS names the key file of "
        "a service account",
    ),
    "s3": _Service(
        "S3",
        "s3fs",
        "`aws configure` stores some, and so do AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    ),
}
# What errors about credentials have in their class or their text.
_CREDENTIALS = re.compile(r"(?i)credential|refresherror|access ?key ?id|signature")
# `pathlib` makes one slash of two.
_URL = re.compile(rf"({'|'.join(_SERVICES)}):/{{1,2}}([^/].*)")


class BucketError(OSError):
    """A bucket cannot be used; the message contains the path, the reason and what to do."""


def in_bucket(path: AnyPath) -> bool:
    """Whether a path is that of a bucket: "gs://…" or "s3://…"."""
    return str(path).startswith(tuple(f"{scheme}://" for scheme in _SERVICES))


def as_path(path: AnyPath) -> pathlib.Path:
    """The path as an object with the methods of `pathlib.Path`; for a bucket, a `BucketPath`.

    The first path of a bucket asks the bucket whether it can be used.

    **Raises:** ImportError when the package for the bucket is not installed; BucketError when the bucket does not
    exist, or there is no permission; ValueError for a URL of another kind.
    """
    if isinstance(path, BucketPath):
        return path
    text = os.fspath(path)
    if found := _URL.fullmatch(text):
        whole = BucketPath(f"{found[1]}://{found[2]}")
        _connect(whole.scheme, whole.parts[2])
        return whole
    if re.match(r"[a-z][a-z0-9+.-]+://", text):
        raise ValueError(f"the path {text!r} must be on a disk, or begin with gs:// or s3://")
    return pathlib.Path(path)


def root_of(path: pathlib.Path) -> pathlib.Path:
    """The root of the disk, or of the bucket, that a path lies in; the empty path of a relative one."""
    return BucketPath(*path.parts[:3]) if in_bucket(path) else pathlib.Path(path.anchor)


class BucketPath(PosixGPath, pathlib.PosixPath):  # type: ignore[misc]
    """A path in a bucket, with the methods of `pathlib.Path` that this project calls.

    It is a `pathlib.Path` too, so that a function takes both. `open`, `os.path` and libraries that open a path
    themselves cannot use it: `read_bytes` gives them the content.

    Paths that a folder lists know what they are, so that a question about each costs no request.
    """

    _listed_as: str | None = None
    listed_size: int | None = None
    """The bytes of an object that a folder listed; None of other paths."""

    @property
    def scheme(self) -> str:
        """ "gs" or "s3"; "" of a relative path."""
        return self._uri_scheme or ""

    def _ask(self, method: str, *values: Any, **options: Any) -> Any:
        """The answer of the bucket. **Raises:** FileNotFoundError, BucketError."""
        try:
            return getattr(_file_system(self.scheme), method)(str(self), *values, **options)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from error
        except Exception as error:
            raise _in_words(error, str(self)) from error

    def _kind(self) -> str | None:
        """ "file" or "directory"; None where there is nothing."""
        if self._listed_as or len(self.parts) == 3:
            return self._listed_as or "directory"
        try:
            return str(self._ask("info")["type"])
        except FileNotFoundError:
            return None

    def exists(self) -> bool:
        return self._kind() is not None

    def is_file(self) -> bool:
        return self._kind() == "file"

    def is_dir(self) -> bool:
        return self._kind() == "directory"

    def is_symlink(self) -> bool:
        return False

    def resolve(self, strict: bool = False) -> "BucketPath":
        """The path without "..", which is a part of an object's name in a bucket."""
        return type(self)(posixpath.normpath("/".join(self.parts)[1:]))

    def absolute(self) -> "BucketPath":
        return self

    def expanduser(self) -> "BucketPath":
        return self

    def iterdir(self) -> Iterator["BucketPath"]:  # type: ignore[override]
        yield from self._children(self._ask("ls", detail=True))

    def _children(self, listed: list[dict[str, Any]]) -> Iterator["BucketPath"]:
        start = f"{self.scheme}://"
        for entry in listed:
            path = type(self)(start + entry["name"].rstrip("/"))
            if path != self:  # some tools write an empty object for a folder
                path._listed_as, path.listed_size = entry["type"], entry.get("size")
                yield path

    def glob(self, pattern: str) -> Iterator["BucketPath"]:  # type: ignore[override]
        """The paths below this one that a pattern matches; each `*` of it is a part of one name."""
        first, _, rest = pattern.partition("/")
        try:
            found = [path for path in self.iterdir() if fnmatchcase(path.name, first)]
        except FileNotFoundError:
            return
        for path in found:
            yield from path.glob(rest) if rest else [path]

    def rglob(self, pattern: str) -> Iterator["BucketPath"]:  # type: ignore[override]
        """The files below this path, in its inner folders too, whose names a pattern matches; no folders."""
        found = self._children(list(self._ask("find", detail=True).values()))
        yield from (path for path in found if fnmatchcase(path.name, pattern))

    def open(self, mode: str = "rb", **_: Any) -> Any:  # type: ignore[override]
        """The content as an open file, read whole. Only "rb": `write_bytes` writes."""
        if mode != "rb":
            raise ValueError(f"`mode` (={mode!r}) must be 'rb' in a bucket")
        return io.BufferedReader(io.BytesIO(self.read_bytes()))  # type: ignore[arg-type,unused-ignore]

    def read_bytes(self) -> bytes:
        return bytes(self._ask("cat_file"))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding or "utf-8", errors).read()

    def write_bytes(self, data: bytes) -> int:  # type: ignore[override]
        # gcsfs sends a line feed after a small content. A carriage return before it counts as a part of the line end,
        # and would be lost. A content that is as large as a chunk is sent alone.
        alone = {"chunksize": len(data)} if self.scheme == "gs" and data.endswith(b"\r") else {}
        self._ask("pipe_file", data, **alone)
        return len(data)

    def write_text(self, data: str, encoding: str | None = None, errors: str | None = None) -> int:  # type: ignore[override]
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:  # type: ignore[override]
        """Does nothing: a folder is there as soon as something is in it."""

    def rmdir(self) -> None:
        """Does nothing: a folder is gone as soon as nothing is in it."""

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self._ask("rm_file")
        except FileNotFoundError:
            if not missing_ok:
                raise

    def stat(self) -> Any:  # type: ignore[override]
        """The size of an object in bytes, `st_size`, and when it was written, `st_mtime` and `st_mtime_ns`."""
        found = self._ask("info")
        seconds = (found.get("mtime") or found["LastModified"]).timestamp()
        return types.SimpleNamespace(st_size=found["size"], st_mtime=seconds, st_mtime_ns=int(seconds * 1e9))

    def rename(self, target: AnyPath) -> "BucketPath":
        """Copies a folder or a file object by object, and removes it then: a bucket cannot rename."""
        target, files = type(self)(target), list(self.rglob("*")) if self.is_dir() else [self]
        for file in files:
            (target / file.relative_to(self)).write_bytes(file.read_bytes())
        for file in files:
            file.unlink()
        return target


def open_in_parts(path: pathlib.Path) -> Any:
    """The content as an open file; of an object in a bucket, only the parts that are read are fetched."""
    return path._ask("open", "rb") if isinstance(path, BucketPath) else path.open("rb")


def local_copy(path: pathlib.Path) -> pathlib.Path:
    """The path itself on a disk; of an object in a bucket a copy, which stays until this process ends.

    For libraries that open a file by its name. An object that has changed since is copied again.
    """
    return _copied(path, path.stat().st_mtime) if isinstance(path, BucketPath) else path


@functools.lru_cache(8)
def _copied(path: BucketPath, written: float) -> pathlib.Path:
    copy = pathlib.Path(tempfile.mkdtemp(dir=_copies().name)) / path.name
    copy.write_bytes(path.read_bytes())
    return copy


@functools.cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="dbnet_jax-")


@functools.cache
def _file_system(scheme: str) -> Any:
    service = _SERVICES[scheme]
    try:
        importlib.import_module(service.module)
    except ImportError as error:
        raise ImportError(
            f"{scheme}:// needs the package {service.module}: pip install 'dbnet_jax[cloud]' installs it ({error})"
        ) from error
    import fsspec

    # It prints the traceback of an error before it raises it.
    logging.getLogger(service.module).setLevel(logging.CRITICAL)
    # Orbax and other hosts write too. A listing that is kept would not show their files.
    fsspec.config.conf.setdefault(scheme, {}).setdefault("use_listings_cache", False)
    return fsspec.filesystem(scheme)


@functools.cache
def _connect(scheme: str, bucket: str) -> None:
    """Asks a bucket for one of its objects. **Raises:** ImportError, BucketError."""
    files = _file_system(scheme)
    try:
        if scheme == "gs":
            files.call("GET", "b/{}/o", bucket, maxResults=1, json_out=True)
        else:
            files.call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1)
    except Exception as error:
        raise _in_words(error, f"{scheme}://{bucket}") from error


def _in_words(error: Exception, path: str) -> BucketError:
    """An error of a bucket with its path, in one line that says what to do."""
    service = _SERVICES[path.partition(":")[0]]
    said = " ".join(str(error).split())[:300] or type(error).__name__
    kind = type(error).__name__
    if kind == "FileNotFoundError" or "NoSuchBucket" in said:
        return BucketError(f"{path}: there is no such bucket in {service.name}; create it, or correct its name")
    if getattr(error, "code", None) == 401 or _CREDENTIALS.search(f"{kind} {said}"):
        return BucketError(f"{path}: {service.name} takes no credentials from here ({said}): {service.credentials}")
    if isinstance(error, PermissionError) or "Forbidden" in said or "AccessDenied" in said:
        return BucketError(f"{path}: the credentials have no permission to read, list or write there ({said})")
    return BucketError(f"{path}: {service.name} cannot be used ({kind}: {said})")
