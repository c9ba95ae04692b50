"""Labels with anything wrong in them: a sample or a named error, and what is left out is named."""

import copy
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import OWN_DATA
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder
from input_pipeline.datasets.parsing.coco_mask import decode_mask, decompress_counts, mask_outlines
from tests.helpers.own_labels import FILES, FLAT_WORD, document, encode, icdar_text, make, write
from tests.helpers.problems import said

DOCUMENTS = [kind for kind in FILES if kind != "icdar_folder"]
# What a valid document may hold in many places: an instance fewer is no loss then.
EMPTY = (None, [], {})
WRONG = st.sampled_from(
    [
        *EMPTY,
        True,
        False,
        0,
        -1,
        2,
        float("nan"),
        float("-inf"),
        1e30,
        10**400,
        "",
        "word",
        "\0",
        "/",
        "x" * 5000,
        [None],
        [[]],
        [[[]]],
        [1, 2, 3],
        {"a": None},
        {"size": [60, 80], "counts": "061M"},
        {"size": [10**9, 10**9], "counts": [10**18]},
    ]
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A data set of each kind, whose labels are written anew for each example."""
    return {kind: make(kind, tmp_path_factory.mktemp("own"), [1, 2]) for kind in FILES}


def places(value):
    """Every place in a document: the container and the key or position in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


def read(kind, folder, **options):
    """The samples of a data set with their problems, and those of the whole; named errors are no failure."""
    dataset = OWN_DATA[kind.split()[0]](folder, "trainval", **options)
    samples, problems = [], list(said(dataset))
    for index in range(len(dataset)):
        assert dataset.name(index)
        try:
            samples.append(dataset[index])
        except BadPicture as error:
            problems.append(str(error))
            continue
        problems += said(samples[-1])
        for polygon in samples[-1].polygons:
            assert polygon.dtype == np.float32
            assert polygon.shape[0] >= 3
            assert np.isfinite(polygon).all()
    for text in [*problems, *(text for sample in samples for text in sample.texts)]:
        text.encode()  # can be written to a log
    return samples, problems


def check(kind, folder, full, may_lose):
    try:
        samples, problems = read(kind, folder)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        message.encode()
        assert re.search(f"{re.escape(FILES[kind].split('/')[-1])}|no trainval pictures of", message)
        return
    if sum(len(sample.polygons) for sample in samples) < full:
        assert problems or may_lose


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_value_of_a_document_may_be_of_another_type(folders, kind, data):
    numbers = [1] if kind == "labelme" else [1, 2]
    content = document(kind, numbers)
    content = copy.deepcopy(json.loads(json.dumps(content)))  # no part twice
    found = list(places(content))
    container, key = found[data.draw(st.integers(0, len(found) - 1))]
    wrong = data.draw(WRONG)
    container[key] = wrong
    folder = folders[kind]
    write(folder / FILES[kind], encode(kind, content))
    check(kind, folder, 4, wrong in EMPTY)
    write(folder / FILES[kind], encode(kind, document(kind, numbers)))


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=40)
@given(data=st.data())
def test_any_key_of_a_document_may_be_missing(folders, kind, data):
    numbers = [1] if kind == "labelme" else [1, 2]
    content = json.loads(json.dumps(document(kind, numbers)))
    keys = [(container, key) for container, key in places(content) if isinstance(container, dict)]
    container, key = keys[data.draw(st.integers(0, len(keys) - 1))]
    del container[key]
    folder = folders[kind]
    write(folder / FILES[kind], encode(kind, content))
    # A picture or an instance that is not there is no loss, nor are words in a line that has none.
    check(kind, folder, 4, str(key).isdigit() or str(key).startswith("img_") or key in ("lines", "words"))
    write(folder / FILES[kind], encode(kind, document(kind, numbers)))


PIECES = st.sampled_from([b",", b'"', b"nan", b"-", b"1e9", b"9" * 40, b"{", b"]", b"\x00", b"\xff", b"\n", b"\\u"])
MUTATION = st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES | st.binary(max_size=4))


def mutate(data, mutations):
    for where, length, piece in mutations:
        position = int(where * len(data))
        data = data[:position] + piece + data[position + length :]
    return data


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=40)
@given(mutations=st.lists(MUTATION, min_size=1, max_size=4))
def test_any_bytes_of_a_file_may_be_damaged(folders, kind, mutations):
    good = encode(kind, document(kind, [1] if kind == "labelme" else [1, 2]))
    write(folders[kind] / FILES[kind], mutate(good, mutations))
    # A key of another name may be one that the format does not know.
    check(kind, folders[kind], 4, may_lose=True)
    write(folders[kind] / FILES[kind], good)


@settings(max_examples=100)
@given(mutations=st.lists(MUTATION, min_size=1, max_size=4))
def test_mutated_icdar_lines_are_instances_or_named(folders, mutations):
    good = f"{','.join(map(str, FLAT_WORD))},word".encode()
    bad = re.sub(rb"[\r\n]", b"", mutate(good, mutations))
    folder = folders["icdar_folder"]
    write(folder / "train/gt_img_1.txt", b"\n".join([good, bad, good]))
    annotation = IcdarFolder(folder, "trainval").annotation(0)
    left_out = [problem for problem in said(annotation) if not re.search("kept as it is|read as Latin-1", problem)]
    blank = not bad.decode("latin-1").strip("\ufeff \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")
    assert len(annotation.polygons) + len(left_out) == (2 if blank else 3)
    assert annotation.texts[0] == annotation.texts[-1] == "word"
    write(folder / "train/gt_img_1.txt", icdar_text())


def compress(counts):
    """COCO's compressed string of runs, written the other way round."""
    text = ""
    for place, count in enumerate(counts):
        number = count - counts[place - 2] if place > 2 else count
        while True:
            bits, number = number & 31, number >> 5
            last = number == (-1 if bits & 16 else 0)
            text += chr(48 + bits + (0 if last else 32))
            if last:
                break
    return text


@pytest.mark.parametrize(("counts", "text"), [([0, 6, 1, 3], "061M"), ([0, 1024], "0PP1"), ([0, 6, 1, 6], "0610")])
def test_known_compressed_masks(counts, text):
    assert decompress_counts(text) == counts
    assert compress(counts) == text


@pytest.mark.parametrize("text", ["061m", "0 1", "é", "P" * 99])
def test_text_that_is_no_compressed_mask(text):
    with pytest.raises(ValueError, match="`counts`"):
        decompress_counts(text)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10**7), max_size=12))
def test_compressed_counts(counts):
    assert decompress_counts(compress(counts)) == counts


@settings(max_examples=100)
@given(pixels=st.lists(st.booleans(), min_size=1, max_size=60), height=st.integers(1, 8), compressed=st.booleans())
def test_masks(pixels, height, compressed):
    width = -(-len(pixels) // height)
    mask = np.resize(np.array(pixels, np.uint8), (height, width))
    counts, run, last = [], 0, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(run)
            run, last = 0, pixel
        run += 1
    counts.append(run)
    value = {"size": [height, width], "counts": compress(counts) if compressed else counts}
    np.testing.assert_array_equal(decode_mask(value), mask)


@settings(max_examples=100)
@given(st.text(alphabet=[chr(code) for code in range(44, 116)], max_size=12))
def test_any_text_as_a_mask_is_refused_with_a_reason(text):
    try:
        outlines = mask_outlines({"size": [6, 8], "counts": text})
    except ValueError as error:
        message = str(error)
    else:
        assert all(len(outline) >= 3 for outline in outlines)
        return
    assert message.startswith(("`counts`", "the mask has no area"))
