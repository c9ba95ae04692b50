"""SynthText's reader: what `gt.mat` says, the index that is made of it, and what happens when either is damaged."""

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.benchmarks import synthtext as synthtext_module
from input_pipeline.datasets.benchmarks import synthtext_index as index_module
from input_pipeline.datasets.benchmarks.synthtext import SynthText
from input_pipeline.datasets.sample import Dataset
from tests.helpers.benchmark_labels import NAMES, QUAD, ROWS, SQUARE, check_places, make_synthtext, mat
from tests.helpers.own_labels import names
from tests.helpers.problems import said


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("inner", [".", "SynthText"])
def test_synthtext(tmp_path, inner):
    make_synthtext(tmp_path / inner)
    dataset = open_dataset("synthtext", tmp_path, "trainval")
    assert isinstance(dataset, Dataset)
    assert names(dataset) == NAMES
    assert said(dataset) == ["4 train pictures where the release has 858750"]
    assert dataset[0].texts == ["one"]
    np.testing.assert_array_equal(dataset[0].polygons[0], SQUARE)
    three = dataset.annotation(1)
    assert (three.texts, three.ignore) == (["two", "words", "four"], [False] * 3)
    np.testing.assert_array_equal(three.polygons[1], np.array(SQUARE) + 20)
    np.testing.assert_array_equal(dataset[-2].image, dataset[2].image)
    assert (dataset[2].polygons, said(dataset[2])) == ([], [])
    odd = dataset[3]
    assert (len(odd.polygons), odd.texts) == (1, [""])
    assert said(odd) == ["gt.mat: 9/none.jpg: 2 words and 1 boxes; kept without their texts"]
    assert [path.name for path in dataset.files()][:2] == ["gt.mat", "ballet_106_0.jpg"]
    check_places(SynthText, tmp_path, 4)
    with pytest.raises(IndexError):
        dataset.name(4)
    (tmp_path / inner / NAMES[0]).unlink()
    with pytest.raises(BadPicture, match=r"ballet_106_0\.jpg: cannot be read"):
        dataset[0]


def test_a_thousandth_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(synthtext_module, "_VALIDATION_EVERY", 3)
    folder = make_synthtext(tmp_path)
    found = {split: names(SynthText(folder, split)) for split in ("train", "validation", "trainval")}
    assert found == {"train": [NAMES[1], NAMES[2]], "validation": [NAMES[0], NAMES[3]], "trainval": NAMES}
    check_places(SynthText, folder, 4)
    assert SynthText(folder, "train").annotation(0).texts == ["two", "words", "four"]
    assert SynthText(folder, "validation").place(1) == ("validation", 1)
    with pytest.raises(FileNotFoundError, match="SynthText has no split 'test': all of its pictures are to train on"):
        SynthText(folder, "test")
    make_synthtext(folder, names=NAMES[:1], boxes=[QUAD], texts=[["word"]])
    with pytest.raises(FileNotFoundError, match="1 picture, none of them in this split"):
        SynthText(folder, "train")


def test_synthtext_bad_entries_are_named(tmp_path):
    nan, huge, flat = QUAD.copy(), QUAD.copy(), QUAD.copy()
    nan[0, 0], huge[1, 1], flat[1] = np.nan, 1e200, 5
    boxes = [np.stack([nan, QUAD, huge, flat], axis=2), np.ones((3, 4, 2)), np.array(["no"]), QUAD]
    dataset = SynthText(make_synthtext(tmp_path, boxes=boxes, texts=[["n ok h f"], ["a b"], ["a"], ["z"]]), "trainval")
    annotation = dataset.annotation(0)
    assert annotation.texts == ["ok"]
    assert said(annotation) == [
        "gt.mat: 8/ballet_106_0.jpg:1: a coordinate is not finite: 'n'",
        "gt.mat: 8/ballet_106_0.jpg:3: a coordinate is not finite: 'h'",
        "gt.mat: 8/ballet_106_0.jpg:4: the outline has no area: 'f'",
    ]
    with pytest.raises(BadPicture, match=r"8/ballet_106_1\.jpg: gt\.mat: wordBB is of shape \(3, 4, 2\) where"):
        dataset.annotation(1)
    with pytest.raises(BadPicture, match=r"200/wall_1_0\.jpg: gt\.mat: wordBB"):
        dataset.annotation(2)
    assert dataset.annotation(3).texts == ["z"]


def test_synthtext_labels_are_read_once(tmp_path, monkeypatch, cache):
    made = []
    make = index_module._make
    monkeypatch.setattr(index_module, "_make", lambda labels, key: made.append(labels) or make(labels, key))
    make_synthtext(tmp_path / "data")
    for _ in range(3):
        assert names(SynthText(tmp_path / "data", "trainval")) == NAMES
    assert len(made) == 1
    assert sorted(path.name for path in (tmp_path / "data").iterdir() if path.is_file()) == ["gt.mat", "gt.mat.index"]
    # Another gt.mat in its place, and a damaged index, are found out.
    make_synthtext(tmp_path / "data", names=["1/other.jpg"], boxes=[QUAD], texts=[["word"]])
    assert names(SynthText(tmp_path / "data", "trainval")) == ["1/other.jpg"]
    assert len(made) == 2
    index = tmp_path / "data/gt.mat.index"
    whole = index.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], b"x" * len(whole), whole.replace(b"<i8", b"<f8")):
        index.write_bytes(damaged)
        assert SynthText(tmp_path / "data", "trainval").annotation(0).texts == ["word"]
    assert len(made) == 7
    assert not cache.exists()


def test_synthtext_index_of_a_folder_that_cannot_be_written(tmp_path, monkeypatch, cache):
    data = make_synthtext(tmp_path / "data")
    store = index_module._store
    monkeypatch.setattr(index_module, "_store", lambda path, arrays: path.parent != data and store(path, arrays))
    assert SynthText(data, "trainval").annotation(0).texts == ["one"]
    (kept,) = (cache / "dbnet_jax").iterdir()
    assert kept.suffix == ".index"
    monkeypatch.setattr(index_module, "_make", None)  # not called again
    assert SynthText(data, "trainval").annotation(1).texts == ["two", "words", "four"]


def test_synthtext_index_that_can_be_kept_nowhere(tmp_path, cache):
    data = make_synthtext(tmp_path / "data")
    (data / "gt.mat.index").mkdir()
    cache.write_text("a file where a folder is needed")
    dataset = SynthText(data, "trainval")
    assert [dataset.annotation(index).texts for index in range(3)] == [["one"], ["two", "words", "four"], []]
    assert [path.name for path in data.iterdir() if path.name.startswith("gt.mat.index")] == ["gt.mat.index"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read as SynthText's labels"),
        (lambda data: b"", "cannot be read as SynthText's labels"),
        (lambda data: mat(ROWS), "cannot be read as SynthText's labels: imnames: there is no `imnames`"),
    ],
)
def test_synthtext_damaged_labels(tmp_path, change, message):
    labels = make_synthtext(tmp_path) / "gt.mat"
    labels.write_bytes(change(labels.read_bytes()))
    with pytest.raises(ValueError, match=message):
        SynthText(tmp_path, "trainval")
    assert not labels.with_name("gt.mat.index").exists()


def test_synthtext_lists_of_different_lengths(tmp_path):
    make_synthtext(tmp_path, boxes=[QUAD] * 3, texts=[["a"]] * 4)
    with pytest.raises(ValueError, match="4 imnames, 3 wordBB and 4 txt"):
        SynthText(tmp_path, "trainval")
