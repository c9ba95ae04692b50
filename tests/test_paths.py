"""Paths on a disk and in a bucket: what both do alike, and what is said where a bucket cannot be used."""

import pathlib
import pickle
import sys
import time
import types

import pytest

from dbnet_jax import paths
from dbnet_jax.files import check_files, claim_files, replace_files, write_atomically
from dbnet_jax.paths import BucketError, BucketPath, as_path, in_bucket, local_copy, root_of
from tests.helpers.buckets import contents


def test_a_path_of_a_disk_stays_one(tmp_path):
    assert type(as_path(tmp_path)) is type(tmp_path)
    assert type(as_path("gs/bucket:1/x")) is type(tmp_path)
    assert not in_bucket("gs:/bucket")
    assert root_of(pathlib.Path("/a/b")) == pathlib.Path("/")
    assert local_copy(tmp_path) is tmp_path


@pytest.mark.parametrize("url", ["az://bucket/run", "https://host/photo.jpg", "file:///run"])
def test_another_url_is_refused(url):
    with pytest.raises(ValueError, match=r"must be on a disk, or begin with gs:// or s3://"):
        as_path(url)


def test_parts_of_a_bucket_path_are_those_of_its_name():
    path = BucketPath("gs://bucket/run/a.tar.gz")
    assert str(path) == f"{path}" == path.__fspath__() == "gs://bucket/run/a.tar.gz"
    assert (path.name, path.stem, path.suffix) == ("a.tar.gz", "a.tar", ".gz")
    assert str(path.parent / "b/c.jpg") == "gs://bucket/run/b/c.jpg"
    assert path.relative_to(path.parent).as_posix() == "a.tar.gz"
    assert pathlib.Path("out") / path.relative_to(path.parent) == pathlib.Path("out/a.tar.gz")
    assert str((path.parent / "../x/./y").resolve()) == "gs://bucket/x/y"
    assert str(root_of(path)) == "gs://bucket"
    assert isinstance(path, pathlib.Path)
    assert pickle.loads(pickle.dumps(path)) == path
    assert in_bucket(path)
    assert not in_bucket(path.relative_to(path.parent))


def test_a_bucket_answers_as_a_disk_does(each_bucket, tmp_path):
    answers = []
    for folder in (each_bucket, tmp_path):
        for name in ("b.txt", "a/1.txt", "a/2.jpg", "a [1]/c*.txt", "a/d/3.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode() + b"\r\n")
        names = sorted(path.relative_to(folder).as_posix() for path in folder.iterdir())
        kinds = [
            [(folder / name).is_file(), (folder / name).is_dir()] for name in ("a", "b.txt", "a/1.txt", "no", "a/n")
        ]
        found = [sorted(path.name for path in folder.glob(pattern)) for pattern in ("*", "*.txt", "a*/*.txt", "no/*")]
        below = sorted(path.name for path in folder.rglob("*.txt"))
        text = (folder / "a/1.txt").read_text(), (folder / "a [1]/c*.txt").read_bytes()
        write_atomically(folder / "ö.txt", "Grüße\ud800")
        (folder / "a").rename(folder / "z")
        (folder / "b.txt").unlink()
        (folder / "b.txt").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError) as missing:
            (folder / "a/1.txt").read_bytes()
        sizes = (folder / "ö.txt").stat().st_size, local_copy(folder / "ö.txt").read_bytes()
        answers.append([names, kinds, found, below, text, contents(folder), missing.value.strerror, sizes])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("content", [b"", b"\r", b"a\r", b"a\n", b"a\r\n\r", bytes(range(256)) * 40, b"\n--==0==\r"])
def test_every_content_comes_back_as_it_was_written(content, each_bucket):
    (each_bucket / "content.bin").write_bytes(content)
    assert (each_bucket / "content.bin").read_bytes() == content
    assert (each_bucket / "content.bin").stat().st_size == len(content)


def test_an_object_that_changed_is_copied_to_the_disk_again(bucket):
    for content in (b"old", b"new"):
        (bucket / "weights.bin").write_bytes(content)
        time.sleep(0.01)  # the emulator's clock is the computer's
        assert local_copy(bucket / "weights.bin").read_bytes() == content


def test_files_of_a_person_are_not_overwritten_and_those_of_a_run_are_replaced(bucket):
    (bucket / "mine.txt").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"gs://bucket/.*mine\.txt\. Move"):
        claim_files(bucket, {"text": ["mine.txt", "a/1.txt"]})
    claim_files(bucket, {"text": ["a/1.txt", "a/2.txt"]})
    for name in ("a/1.txt", "a/2.txt"):
        write_atomically(bucket / name, name)
    check_files(bucket, {"text": ["a/1.txt"]})
    replace_files(bucket, {"text": ["a/2.txt"]})
    assert contents(bucket).keys() == {".dbnet_jax.json", "mine.txt", "a/2.txt"}
    with pytest.raises(FileExistsError, match=r"mine\.txt"):  # a folder is needed where a file is
        check_files(bucket, {"text": ["mine.txt/1.txt"]})


@pytest.mark.parametrize(("server", "url"), [("storage", "gs://nowhere"), ("s3_storage", "s3://nowhere")])
def test_a_bucket_that_is_not_there_is_said_to_be_missing(server, url, request):
    request.getfixturevalue(server)
    with pytest.raises(BucketError, match=rf"^{url}: there is no such bucket in (Google Cloud Storage|S3); create it"):
        as_path(f"{url}/run")


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_a_missing_package_is_named(scheme, monkeypatch):
    paths._file_system.cache_clear()
    monkeypatch.setitem(sys.modules, {"gs": "gcsfs", "s3": "s3fs"}[scheme], None)
    with pytest.raises(ImportError, match=rf"^{scheme}:// needs the package .*pip install 'dbnet_jax\[cloud\]'"):
        as_path(f"{scheme}://package/run")
    paths._file_system.cache_clear()


def _error(name: str, text: str = "", **fields: object) -> Exception:
    error = type(name, (Exception,), {})(text)
    vars(error).update(fields)
    return error


@pytest.mark.parametrize(
    ("scheme", "error", "said"),
    [
        (
            "gs",
            _error("HttpError", "Anonymous caller does not have access, 401", code=401),
            "takes no credentials.*gcloud",
        ),
        ("gs", _error("DefaultCredentialsError", "not found"), "takes no credentials.*gcloud auth"),
        ("gs", _error("RefreshError", "Reauthentication is needed"), "takes no credentials.*gcloud auth"),
        ("gs", OSError("Forbidden: b/package/o\nno access"), "no permission to read, list or write"),
        ("s3", _error("NoCredentialsError", "Unable to locate credentials"), "takes no credentials.*AWS_ACCESS_KEY_ID"),
        ("s3", PermissionError("The AWS Access Key Id you provided does not exist"), "takes no credentials"),
        ("s3", PermissionError("Access Denied"), "no permission to read, list or write"),
        ("s3", FileNotFoundError("The specified bucket does not exist"), "there is no such bucket"),
        (
            "s3",
            _error("EndpointConnectionError", "Could not connect"),
            "cannot be used .EndpointConnectionError: Could",
        ),
    ],
)
def test_each_refusal_of_a_bucket_is_one_sentence_with_what_to_do(scheme, error, said, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise error

    files = types.SimpleNamespace(call=refuse, call_s3=refuse, cat_file=refuse)
    monkeypatch.setattr(paths, "_file_system", lambda scheme: files)
    with pytest.raises(BucketError, match=said) as caught:
        as_path(f"{scheme}://refusing/run")
    assert "\n" not in str(caught.value)
    assert f"{scheme}://refusing" in str(caught.value)
