"""A data set in a bucket has the samples, the names and the problems that it has on a disk."""

import unicodedata

import numpy as np
import pytest

from input_pipeline.datasets import open_dataset
from tests.helpers import benchmark_labels, own_labels
from tests.helpers.buckets import upload

OWN = ("coco_text", "hiertext", "labelme", "pascal_voc", "icdar_folder", "label_studio")
BENCHMARKS = ("icdar2015", "total_text", "synthtext")


def read(name: str, folder) -> list[object]:
    dataset = open_dataset(name, folder, "trainval")
    samples = [dataset[index] for index in range(len(dataset))]
    problems = [
        str(problem) for problem in [*dataset.problems, *(one for sample in samples for one in sample.problems)]
    ]
    return [
        [(sample.name, sample.image.shape, list(sample.ignore)) for sample in samples],
        [np.concatenate(sample.polygons).tolist() for sample in samples],
        [problem.replace(str(folder), "DIR") for problem in problems],
    ]


@pytest.mark.parametrize("kind", [*OWN, *BENCHMARKS])
def test_a_bucket_reads_as_a_disk_does(kind, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (own_labels if kind in OWN else benchmark_labels).make(kind, tmp_path / "set", [1, 2])
    there = upload(tmp_path / "set", f"{bucket}/set")
    here = read(kind, tmp_path / "set")
    assert len(here[0]) == 2
    assert read(kind, there) == here


def test_names_of_other_spellings_are_found_and_missing_pictures_are_listed(bucket, tmp_path):
    own_labels.make("icdar_folder", tmp_path, [1, 2, 3])
    part = tmp_path / "train"
    (part / "img_1.jpg").rename(part / unicodedata.normalize("NFD", "é_1.jpg"))
    (part / "gt_img_1.txt").rename(part / unicodedata.normalize("NFC", "gt_é_1.txt"))
    (part / "img_2.jpg").unlink()
    own_labels.make("paddleocr", tmp_path / "list", [1, 2])
    (tmp_path / "list/img_2.jpg").unlink()
    (tmp_path / "list/img_1.jpg").rename(tmp_path / "list" / unicodedata.normalize("NFD", "é.jpg"))
    labels = (tmp_path / "list/train.txt").read_text()
    (tmp_path / "list/train.txt").write_text(labels.replace("img_1.jpg", unicodedata.normalize("NFC", "é.jpg")))
    there = upload(tmp_path, f"{bucket}/set")
    for name, inner in (("icdar_folder", "."), ("paddleocr", "list")):
        found = []
        for folder in (tmp_path / inner, there / inner if inner != "." else there):
            dataset = open_dataset(name, folder, "trainval")
            states = []
            for index in range(len(dataset)):
                try:
                    states.append(dataset[index].name)
                except ValueError as error:
                    states.append(str(error).replace(str(folder), "DIR"))
            found.append([states, [str(problem).replace(str(folder), "DIR") for problem in dataset.problems]])
        assert found[0] == found[1]
        assert any("é" in unicodedata.normalize("NFC", state) for state in found[0][0])


def test_a_list_of_labels_in_s3_is_read(each_bucket, tmp_path):
    own_labels.make("paddleocr", tmp_path, [1, 2])
    assert read("paddleocr", upload(tmp_path, str(each_bucket))) == read("paddleocr", tmp_path)


@pytest.mark.parametrize(("name", "said"), [("word_lmdb", "LMDB maps"), ("icdar2015", "no trainval pictures")])
def test_what_cannot_be_read_there_is_said(name, said, storage):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        open_dataset(name, f"{storage}/nothing", "trainval")
