"""The TFDS builder gives the plain readers' samples, prepares by itself and never reads a stale copy.

One file, because importing TensorFlow takes ten seconds.
"""

import concurrent.futures

import cv2
import numpy as np
import pytest

from dbnet_jax.decode import BadPicture
from input_pipeline.datasets import BENCHMARKS, open_dataset
from input_pipeline.datasets.sample import Dataset

RNG = np.random.default_rng(0)
WORD = "10,10,30,10,30,20,10,20"


@pytest.fixture(scope="module")
def scene_text():
    from input_pipeline.datasets import scene_text

    return scene_text


@pytest.fixture
def folder(tmp_path):
    """Twelve ICDAR2015 pictures: 1 has no text, 2 every kind of line, 3 is truncated, 4 has no annotation."""
    images = tmp_path / "data/ch4_training_images"
    labels = tmp_path / "data/ch4_training_localization_transcription_gt"
    images.mkdir(parents=True)
    labels.mkdir()
    for number in range(1, 13):
        picture = RNG.integers(0, 256, (40, 50, 3), np.uint8)
        (images / f"img_{number}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        (labels / f"gt_img_{number}.txt").write_text(f"{WORD},word {number}\n")
    (labels / "gt_img_1.txt").write_text("")
    (labels / "gt_img_2.txt").write_text(
        f"{WORD},a, b\n{WORD},###\n1,2,3\n0,0,20,10,20,0,0,12,été\n60,0,70,0,70,9,60,9,right\n",
        encoding="utf-8",
    )
    (images / "img_3.jpg").write_bytes((images / "img_3.jpg").read_bytes()[:500])
    (labels / "gt_img_4.txt").unlink()
    return tmp_path / "data"


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
        sample.problems,
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


def test_what_the_samples_hold(folder, tmp_path):
    prepared = open_dataset("icdar2015", folder, "trainval", source="tfds", tfds_dir=tmp_path / "tfds")
    assert prepared[0].polygons == []
    sample = prepared[1]
    assert sample.texts == ["a, b", "###", "été"]
    assert sample.ignore == [False, True, False]
    assert [problem.split(": ")[0] for problem in sample.problems] == [
        "gt_img_2.txt:3",
        "gt_img_2.txt:4",
        "img_2.jpg",
    ]
    with pytest.raises(BadPicture, match=r"img_3\.jpg: .*truncated"):
        prepared[2]
    with pytest.raises(BadPicture, match=r"img_4\.jpg: has no annotation file"):
        prepared[3]


def test_prepares_once_and_again_when_a_file_changes(folder, tmp_path, scene_text, monkeypatch):
    read = []
    example = scene_text._example
    monkeypatch.setattr(scene_text, "_example", lambda reader, index: read.append(index) or example(reader, index))

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
    example, others = scene_text._example, []

    def race(reader, index):
        if not others:
            others.append(True)
            others.append(scene_text.PreparedDataset("icdar2015", folder, "train", tfds_dir=tmp_path / "tfds"))
        return example(reader, index)

    monkeypatch.setattr(scene_text, "_example", race)
    mine = scene_text.PreparedDataset("icdar2015", folder, "train", tfds_dir=tmp_path / "tfds")
    assert outcome(mine, 5) == outcome(others[1], 5)
    assert not list((tmp_path / "tfds").rglob("incomplete*"))


def test_tfds_finds_the_builder_by_name(folder, tmp_path, scene_text):
    import tensorflow_datasets as tfds

    builder = tfds.builder("scene_text/icdar2015", data_dir=tmp_path / "tfds")
    assert isinstance(builder, scene_text.SceneText)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 10,
        "validation": 2,
    }
    example = next(iter(tfds.load("scene_text/icdar2015", data_dir=tmp_path / "tfds", split="train", download=False)))
    assert example["name"].numpy() == b"img_2.jpg"
    assert example["image"].shape == (40, 50, 3)
    assert example["polygons"].shape == (4, None, 2)
    assert {config.name for config in scene_text.SceneText.BUILDER_CONFIGS} == set(BENCHMARKS)


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
