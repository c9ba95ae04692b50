"""Every reader on mutated files: each text is read or named, nothing else is raised, and what is good stays.

A reader gives samples of finite outlines, `BadPicture`, or an error that names its file. Of the texts of the valid file
each one that is missing has a problem; the texts beside a bad one are as they were.
"""

import codecs
import json
import os
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.datasets import BENCHMARKS, OWN_DATA
from tests.helpers import benchmark_labels, own_labels
from tests.helpers.reader_cases import OWN, PUBLISHED, Case, check, named, read

KINDS = (*PUBLISHED, *OWN)
LINES = (*benchmark_labels.LINES, "icdar_folder")  # of an instance each
DOCUMENTS = tuple(kind for kind in OWN if kind not in ("icdar_folder", "pascal_voc"))  # of JSON
TEXT = tuple(kind for kind in KINDS if kind not in ("synthtext", "total_text mat"))
# What is named though it is there.
KEPT = ("kept as it is", "repaired to one valid polygon", "not UTF-8", "where the release has")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A case for each reader, whose labels are written anew for each example."""
    return {kind: Case(kind, tmp_path_factory.mktemp("set")) for kind in KINDS}


def places(value):
    """Every place in a document: the container and the key or position in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


def test_every_reader_is_mutated():
    assert {kind.split()[0] for kind in KINDS} == {*BENCHMARKS, *OWN_DATA}


ENCODINGS = {
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-32": lambda text: text.encode("utf-32"),
    "LF": lambda text: text.replace("\r\n", "\n").encode(),
    "CR LF": lambda text: text.replace("\r\n", "\n").replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\r\n", "\r").replace("\n", "\r").encode(),
    "no end of line": lambda text: text.rstrip().encode(),
    "blank lines": lambda text: f"\n\r\n{text}\n \n".encode(),
}


@pytest.mark.parametrize("kind", TEXT)
def test_encodings_and_line_ends_lose_nothing(cases, kind):
    good, expected = cases[kind].good, cases[kind].expected
    assert len(expected.texts) >= 4
    assert named(expected) == []
    for name, encode in ENCODINGS.items():
        assert check(cases[kind], encode(good.decode())) == expected, name
    latin = check(cases[kind], good.decode().encode("latin-1"))
    assert latin.texts == expected.texts
    # A spoilt end takes no more than its line with it, of a document the picture.
    for spoilt in (good.decode().encode("utf-16")[:-1], good + b"\xff\xc3"):
        found = check(cases[kind], spoilt)
        assert len(found.texts) >= len(expected.texts) - 1 or kind not in LINES


WRONG_FIELDS = (
    *("nan", "-inf", "1e308", "-1e308", "1.7e308", "1e999", "1_000", "١٠", "１０", "0x10", "1e", "", "-", "10\0"),
    *("9" * 400, '"10"', "1 0", "\t", "word", "10,10,10", "\x85", "1e-400", "-5", "99999", "0"),
)


@pytest.mark.parametrize("kind", LINES)
@settings(max_examples=20)
@given(data=st.data())
def test_a_bad_line_is_named_and_takes_no_neighbour_along(cases, kind, data):
    expected = cases[kind].expected
    lines = cases[kind].good.decode().splitlines()
    fields = re.split("([, ])", lines[1])
    position = data.draw(st.integers(0, len(fields) - 1))
    fields[position] = data.draw(st.sampled_from(WRONG_FIELDS) | st.just(fields[position] * 2))
    bad = "".join(fields)
    found = check(cases[kind], "\n".join([lines[0], bad, *lines[2:]]).encode())
    after = len(expected.texts) - 2
    assert (found.texts[0], found.texts[-after:]) == (expected.texts[0], expected.texts[-after:])
    if len(found.texts) < len(expected.texts):
        left_out = [problem for problem in named(found) if not any(kept in problem for kept in KEPT)]
        (problem,) = left_out
        assert problem.startswith(f"{cases[kind].path.name}:2: ") or "lies outside of the picture" in problem


PIECES = st.sampled_from(
    [b",", b'"', b"\t", b"nan", b"-", b"1e308", b"9" * 5000, b"{", b"]", b"[", b"\0", b"\xff", b"\n", b"\r", b"\\u"]
    + [b"\\d", b"<", b"&", b"'", b"####", b"<!DOCTYPE x>", b"null", b"true", b"1_0", b"\xff\xfe"]
)
MUTATION = st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES | st.binary(max_size=4))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=42)
@given(mutations=st.lists(MUTATION, min_size=1, max_size=3), flip=st.none() | st.floats(0, 0.999), cut=st.floats(0, 3))
def test_any_bytes_may_be_damaged(cases, kind, mutations, flip, cut):
    data = cases[kind].good
    for where, length, piece in mutations:
        position = int(where * len(data))
        data = data[:position] + piece + data[position + length :]
    if flip is not None:
        position = int(flip * len(data))
        data = data[:position] + bytes([data[position] ^ 1 << int(flip * 1e6) % 8]) + data[position + 1 :]
    # A line's end or a key's name may be gone, and what is cut off leaves no trace.
    check(cases[kind], data[: int(cut * len(data))], may_lose=True)


MANY = b",".join(b"%d" % (i * 7919 % 5000) for i in range(10_000))
WHOLE_FILES = {
    "nothing": b"",
    **{text: text.encode() for text in ("{", "[]", "3", "null", '{"images": 3}', "<html>404</html>")},
    "garbage": random.Random(0).randbytes(3000),
    "zeros": bytes(5000),
    "a damaged gzip file": b"\x1f\x8b" + random.Random(0).randbytes(50),
    "digits": b"9" * 50_000 + b"x,1,2",
    "a point too many": MANY + b",####x",
    "spaces": b" " * 100_000 + b"x",
    "a record without an end": b"x: [[1 2\n" + b"junk]]\n" * 3000,
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "deep elements": b"<a>" * 50_000,
    "entities": b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_file_of_something_else(cases, kind, name):
    found = check(cases[kind], WHOLE_FILES[name], may_lose=name == "nothing")
    if kind in OWN and kind not in (*own_labels.FOLDERS, "paddleocr"):
        assert found.error
        assert cases[kind].path.name in found.problems[0]


DEEP = json.loads("[" * 50 + "]" * 50)
HUGE = {"size": [10**9, 10**9], "counts": [10**18]}
# What a valid document may hold in many places: an instance fewer is no loss then.
EMPTY = (None, [], {})
VALUES = (True, False, 0, -1, 2, 2.5, float("nan"), float("-inf"), 1e30, 1e308, 10**400, "", "word", "\0", "/", "1_000")
WRONG_VALUES = st.sampled_from(
    [*EMPTY, *VALUES, "x" * 5000, [[]], [[[]]], [None], [1, 2, 3], [[1, 2]] * 2000, {"a": None}, DEEP, HUGE]
    + [{"size": [60, 80], "counts": "061M"}]
)


def document_of(kind):
    """The document in a label file, no part of it twice."""
    return json.loads(json.dumps(own_labels.document(kind, [1] if kind == "labelme" else [1, 2])))


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=80)
@given(data=st.data())
def test_any_value_may_be_of_another_type(cases, kind, data):
    document = document_of(kind)
    found = list(places(document))
    container, key = found[data.draw(st.integers(0, len(found) - 1))]
    container[key] = data.draw(WRONG_VALUES)
    check(cases[kind], own_labels.encode(kind, document), may_lose=container[key] in EMPTY)


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=32)
@given(data=st.data())
def test_any_key_may_be_missing(cases, kind, data):
    document = document_of(kind)
    keys = [(container, key) for container, key in places(document) if isinstance(container, dict)]
    container, key = keys[data.draw(st.integers(0, len(keys) - 1))]
    del container[key]
    # A picture or an instance that is not there is no loss, nor are words in a line that has none.
    may_lose = str(key).isdigit() or str(key).startswith("img_") or key in ("lines", "words")
    check(cases[kind], own_labels.encode(kind, document), may_lose=may_lose)


def cut_off(picture):
    picture.write_bytes(picture.read_bytes()[:-40])


def a_folder(picture):
    picture.unlink()
    picture.mkdir()


def a_loop(picture):
    picture.unlink()
    picture.symlink_to(picture.name)


def a_pipe(picture):
    picture.unlink()
    os.mkfifo(picture)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoil", [cut_off, a_folder, a_loop, a_pipe])
@pytest.mark.parametrize("what", ["picture", "labels"])
def test_files_that_cannot_be_read(tmp_path, kind, spoil, what):
    case = Case(kind, tmp_path)
    picture = next(path for path in sorted(tmp_path.rglob("*1.*")) if path.suffix.lower() == ".jpg")
    spoil(picture if what == "picture" else case.path)
    found = read(kind, tmp_path)
    assert named(found) or (what, spoil) == ("labels", cut_off)
    one_for_all = what == "labels" and kind in ("synthtext", *OWN) and kind not in own_labels.FOLDERS
    if not one_for_all:
        others = case.expected.texts[len(case.expected.texts) // 2 :]
        assert found.texts[-len(others) :] == others


@pytest.mark.parametrize("kind", [*PUBLISHED[:-1], "icdar_folder"])
def test_small_and_large_letters_of_file_names(tmp_path, kind):
    case = Case(kind, tmp_path)
    case.path.rename(case.path.with_suffix(case.path.suffix.upper()))
    assert read(kind, tmp_path) == case.expected
