"""The builder, as TFDS and its command find it, and what it records of the data."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from input_pipeline.datasets import BENCHMARKS, open_dataset
from input_pipeline.datasets.tfds.publications import PUBLICATIONS
from tests.helpers.benchmark_labels import QUAD, WORD, make_synthtext
from tests.helpers.paths import ROOT

# Of TFDS with protobuf 6, which is the one that Apache Beam takes.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.mark.parametrize("file_format", [None, "tfrecord"])
def test_tfds_finds_the_builder_by_name(folder, tmp_path, scene_text, file_format):
    import tensorflow_datasets as tfds

    (folder / "ch4_training_images/img_3.jpg").write_bytes((folder / "ch4_training_images/img_5.jpg").read_bytes())
    arguments = {"data_dir": tmp_path / "tfds", "file_format": file_format}
    builder = tfds.builder("scene_text/icdar2015", **{key: value for key, value in arguments.items() if value})
    assert isinstance(builder, scene_text.SceneText)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 10, "validation": 2}

    def load(split, **options):
        return tfds.load("scene_text/icdar2015", data_dir=tmp_path / "tfds", split=split, download=False, **options)

    examples = list(load("train"))
    names = [example["name"].numpy().decode() for example in examples]
    assert names == [open_dataset("icdar2015", folder, "train").name(index) for index in range(10)]
    assert examples[0]["image"].shape == (40, 50, 3)
    assert examples[0]["polygons"].shape == (4, None, 2)
    assert [example["name"].numpy().decode() for example in load("train[3:5]")] == names[3:5]
    raw = next(iter(load("train", decoders={"image": tfds.decode.SkipDecoding()})))
    assert raw["image"].numpy() == (folder / "ch4_training_images/img_2.jpg").read_bytes()
    only = next(iter(load("train", decoders=tfds.decode.PartialDecoding({"text": True}))))
    assert {key: value.numpy().tolist() for key, value in only.items()} == {
        "text": [b"a, b", b"###", "été".encode(), b"right"]
    }


def test_tfds_shuffles_and_shards(folder, tmp_path, scene_text):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = scene_text.prepare("icdar2015", folder, tmp_path / "tfds")

    def names(shuffle_files=False, **options):
        decoders = {"image": tfds.decode.SkipDecoding()}
        read_config = tfds.ReadConfig(**options)
        dataset = builder.as_dataset("train", decoders=decoders, read_config=read_config, shuffle_files=shuffle_files)
        return [example["name"].numpy() for example in dataset]

    shuffled = names(True, shuffle_seed=1)
    assert shuffled != names()
    assert sorted(shuffled) == sorted(names())
    halves = [names(input_context=tf.distribute.InputContext(2, half), try_autocache=False) for half in range(2)]
    assert sorted(halves[0] + halves[1]) == sorted(names())
    assert not set(halves[0]) & set(halves[1])
    with pytest.raises(ValueError, match=r"`add_tfds_id` \(=True\)"):
        names(add_tfds_id=True)


def test_a_data_source_does_not_start_tensorflow(folder, tmp_path, scene_text):
    builder = scene_text.prepare("icdar2015", folder, tmp_path / "tfds")
    program = f"""
import sys
import tensorflow_datasets as tfds
import input_pipeline.datasets.tfds.scene_text
from tests.helpers.paths import ROOT
source = tfds.data_source("scene_text/icdar2015", data_dir={builder.data_dir_root.as_posix()!r}, split="train")
print(len(source), source[8]["name"].decode(), source[8]["text"], source[8]["image"].shape)
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "10 img_10.jpg [b'word 10'] (40, 50, 3)"


def test_what_was_found_is_kept_and_said(folder, tmp_path, scene_text, monkeypatch):
    said = []
    monkeypatch.setattr(scene_text.logging, "warning", lambda text, *values: said.append(text % values))
    metadata = scene_text.prepare("icdar2015", folder, tmp_path / "tfds").info.metadata
    splits = {split: {**counts} for split, counts in metadata["splits"].items()}
    digests = [splits[split].pop("digest") for split in ("train", "validation")]
    assert splits == {
        "train": {"pictures": 10, "instances": 12, "ignored": 1, "unusable": 1, "problems": 2},
        "validation": {"pictures": 2, "instances": 1, "ignored": 0, "unusable": 0, "problems": 0},
    }
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert metadata["released"]["train"] == {"pictures": 1000, "instances": 11886, "ignored": 7418}
    problems = [
        f"no test pictures of ICDAR 2015 Incidental Scene Text in {folder}",
        "12 train pictures where the release has 1000",
        "13 train instances where the release has 11886",
        "1 train instances to ignore where the release has 7418",
    ]
    assert metadata["problems"] == problems
    ours = [line for line in said if line.startswith("scene_text/")]
    assert ours == [f"scene_text/icdar2015/1.3.0: {problem}" for problem in problems]
    # The digest is of what is in the files, wherever they lie.
    shutil.move(folder, tmp_path / "moved")
    moved = scene_text.prepare("icdar2015", tmp_path / "moved", tmp_path / "tfds").info.metadata["splits"]
    assert [moved[split]["digest"] for split in ("train", "validation")] == digests
    label = tmp_path / "moved/ch4_training_localization_transcription_gt/gt_img_5.txt"
    label.write_text(f"{WORD},WORD 5\n")
    changed = scene_text.prepare("icdar2015", tmp_path / "moved", tmp_path / "tfds").info.metadata["splits"]
    assert changed["train"]["digest"] != digests[0]
    assert changed["validation"]["digest"] == digests[1]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_described(name, tmp_path, scene_text):
    info = scene_text.SceneText(config=name, data_dir=tmp_path).info
    assert re.match(r"@(inproceedings|article)\{\w+,\n", info.citation)
    assert info.citation.count("{") == info.citation.count("}")
    assert re.search(r"year = \{20\d\d\}", info.citation)
    assert info.redistribution_info.license == PUBLICATIONS[name].terms
    assert "- Terms: " in info.description
    for number in PUBLICATIONS[name].instances.values():
        assert f"{number:,}" in info.description
    assert info.homepage.startswith("http")
    assert PUBLICATIONS.keys() == BENCHMARKS.keys()


def test_synthtext_without_beam(tmp_path, scene_text, monkeypatch):
    import tensorflow_datasets as tfds

    find = scene_text.importlib.util.find_spec
    monkeypatch.setattr(
        scene_text.importlib.util, "find_spec", lambda name, *rest: name != "apache_beam" and find(name, *rest)
    )
    builder = scene_text.SceneText(config="synthtext", data_dir=tmp_path / "tfds")
    data = make_synthtext(tmp_path / "data")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=data))
    assert builder.info.splits.total_num_examples == 4
    assert "input_pipeline.datasets.tfds.beam_shards" not in sys.modules


def tfds_build(*arguments):
    """The command `tfds`, which needs more than the builder does."""
    pytest.importorskip("apache_beam")
    pytest.importorskip("mlcroissant")
    folder = ROOT / "input_pipeline/datasets/tfds"
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_tfds_build(folder, tmp_path, scene_text):
    written = tfds_build("scene_text.py", "--config", "icdar2015", "--manual_dir", folder, "--data_dir", tmp_path / "a")
    assert "12 train pictures where the release has 1000" in written
    read = scene_text.SceneText(config="icdar2015", data_dir=tmp_path / "a").as_data_source("validation")
    assert [example["text"] for example in read] == [[], [b"word 11"]]


def test_beam_writes_what_one_process_writes(tmp_path, scene_text):
    import tensorflow_datasets as tfds

    decoders = {"image": tfds.decode.SkipDecoding()}
    count = 1500  # two pictures are validation
    names = [f"{index % 7}/picture_{index}.jpg" for index in range(count)]
    texts = [[f"word{index}"] for index in range(count)]
    make_synthtext(tmp_path / "data", names, [QUAD] * count, texts)
    (tmp_path / "data" / names[7]).unlink()
    tfds_build(
        *("scene_text/synthtext", "--imports=input_pipeline.datasets.tfds.scene_text", "--num_shards=3"),
        *("--manual_dir", tmp_path / "data", "--data_dir", tmp_path / "beam"),
        *("--beam_pipeline_options", "runner=FnApiRunner"),
    )
    beam = scene_text.SceneText(config="synthtext", data_dir=tmp_path / "beam")
    alone = scene_text.prepare("synthtext", tmp_path / "data", tmp_path / "alone")
    assert {split: info.shard_lengths for split, info in beam.info.splits.items()} == {
        "train": [499, 499, 500],
        "validation": [1, 1],
    }
    assert not list(beam.data_path.glob("*shards*"))
    for split in ("train", "validation"):
        ours, theirs = (
            [
                (example["name"].decode(), example["image"], example["text"], example["error"])
                for example in builder.as_data_source(split, decoders=decoders)
            ]
            for builder in (beam, alone)
        )
        assert ours == theirs
        reader = open_dataset("synthtext", tmp_path / "data", split)
        assert [name for name, *_ in ours] == [reader.name(index) for index in range(len(reader))]
    assert json.loads((beam.data_path / "metadata.json").read_text()) == json.loads(
        (alone.data_path / "metadata.json").read_text()
    )
