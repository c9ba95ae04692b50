"""Prepared data sets: the same samples as from files, and never a stale copy."""

import concurrent.futures

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets import open_dataset
from input_pipeline.datasets.sample import Dataset
from tests.helpers.benchmark_labels import WORD
from tests.helpers.own_labels import write_picture
from tests.helpers.pictures import with_orientation
from tests.helpers.problems import said

# Of TFDS with protobuf 6, which is the one that Apache Beam takes.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")

RNG = np.random.default_rng(0)


def outcome(dataset, index):
    """A sample as plain values, or why there is none."""
    try:
        sample = dataset[index]
    except BadPicture as error:
        return str(error)
    return (
        sample.name,
        sample.image.shape,
        sample.image.tobytes(),
        [polygon.tolist() for polygon in sample.polygons],
        [polygon.dtype for polygon in sample.polygons],
        sample.ignore,
        sample.texts,
        said(sample),
    )


@pytest.mark.parametrize("split", ["train", "validation", "trainval"])
def test_the_same_samples_as_from_files(folder, tmp_path, split):
    files = open_dataset("icdar2015", folder, split)
    prepared = open_dataset("icdar2015", folder, split, source="tfds", tfds_dir=tmp_path / "tfds")
    assert isinstance(prepared, Dataset)
    assert len(prepared) == len(files) == {"train": 10, "validation": 2, "trainval": 12}[split]
    for index in range(len(files)):
        assert prepared.name(index) == files.name(index)
        assert outcome(prepared, index) == outcome(files, index)
    assert prepared.annotation(0).texts == files.annotation(0).texts
    with pytest.raises(IndexError):
        prepared[len(prepared)]


def test_a_photo_whose_labels_follow_its_orientation(tmp_path):
    folder = tmp_path / "data"
    for name in ("img1.jpg", "img651.jpg"):
        write_picture(folder / "Images/Test" / name, 60, 80)
        path = folder / "Images/Test" / name
        path.write_bytes(with_orientation(path.read_bytes(), 6))
        (folder / "Txts/Test").mkdir(parents=True, exist_ok=True)
        (folder / f"Txts/Test/{name}.txt").write_text(f"{WORD},word")
    files = open_dataset("total_text", folder, "test")
    prepared = open_dataset("total_text", folder, "test", source="tfds", tfds_dir=tmp_path / "tfds")
    assert [prepared[index].image.shape for index in range(2)] == [(60, 80, 3), (80, 60, 3)]
    assert outcome(prepared, 1) == outcome(files, 1)


def test_prepares_once_and_again_when_a_file_changes(folder, tmp_path, scene_text, monkeypatch):
    read = []
    example = scene_text.make_example
    monkeypatch.setattr(scene_text, "make_example", lambda reader, index: read.append(index) or example(reader, index))

    def open_prepared():
        read.clear()
        return open_dataset("icdar2015", folder, "trainval", source="tfds", tfds_dir=tmp_path / "tfds")

    open_prepared()
    assert len(read) == 12
    assert open_prepared()[4].texts == ["word 5"]
    assert read == []
    label = folder / "ch4_training_localization_transcription_gt/gt_img_5.txt"
    label.write_text(f"{WORD},WORD 5\n")  # as long as before
    assert open_prepared()[4].texts == ["WORD 5"]
    assert len(read) == 12


def test_reads_from_many_threads(folder, tmp_path):
    prepared = open_dataset("icdar2015", folder, "trainval", source="tfds", tfds_dir=tmp_path / "tfds")
    wanted = list(RNG.permutation(np.repeat(np.arange(12), 20)))
    expected = [outcome(prepared, index) for index in range(12)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: outcome(prepared, int(index)), wanted))
    assert all(found[i] == expected[index] for i, index in enumerate(wanted))


def test_a_faster_process_is_no_error(folder, tmp_path, scene_text, monkeypatch):
    """Both find nothing prepared; the other one's copy is in place when ours is finished."""
    example, others = scene_text.make_example, []

    def race(reader, index):
        if not others:
            others.append(True)
            others.append(scene_text.PreparedDataset("icdar2015", folder, "train", tfds_dir=tmp_path / "tfds"))
        return example(reader, index)

    monkeypatch.setattr(scene_text, "make_example", race)
    mine = scene_text.PreparedDataset("icdar2015", folder, "train", tfds_dir=tmp_path / "tfds")
    assert outcome(mine, 5) == outcome(others[1], 5)
    assert not list((tmp_path / "tfds").rglob("incomplete*"))


def test_the_readers_messages_come_through(tmp_path):
    with pytest.raises(FileNotFoundError, match="where to get it: https://github"):
        open_dataset("total_text", tmp_path, "train", source="tfds", tfds_dir=tmp_path / "tfds")
    assert not (tmp_path / "tfds").exists()
    with pytest.raises(ValueError, match=r"`name` \(='synthetic'\) has no TFDS builder"):
        open_dataset("synthetic", tmp_path, "train", source="tfds", tfds_dir=tmp_path / "tfds")


def test_real_msra_td500(shared, tmp_path):
    arguments = ("msra_td500", shared / "data/msra_td500", "validation")
    files, prepared = open_dataset(*arguments), open_dataset(*arguments, source="tfds", tfds_dir=tmp_path)
    assert len(files) == len(prepared) == 30
    for index in (0, 7, 29):
        assert outcome(prepared, index) == outcome(files, index)
