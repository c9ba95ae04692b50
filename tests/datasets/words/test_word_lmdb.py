"""Word crops in an LMDB of MJSynth's layout."""

import cv2
import numpy as np
import pytest

from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.images.decode import BadPicture
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.words.word_lmdb import WordLmdb
from input_pipeline.from_config import make_word_batches, open_split

lmdb = pytest.importorskip("lmdb")


def make(folder, texts, **changes) -> None:
    """A database of crops that are as bright as their number; `changes`: values by key, None to leave one out."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {"num-samples": str(len(texts)).encode()}
    for number, text in enumerate(texts, start=1):
        picture = np.full((20, 60 + number, 3), 10 * number, np.uint8)
        entries[f"image-{number:09}"] = cv2.imencode(".png", picture)[1].tobytes()
        entries[f"label-{number:09}"] = text.encode()
    with lmdb.open(str(folder), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for key, value in (entries | changes).items():
            if value is not None:
                transaction.put(key.encode(), value)


def test_databases_are_read_as_one(tmp_path):
    make(tmp_path / "MJ/MJ_train", [f"word{n}" for n in range(11)])
    make(tmp_path / "ST", ["café"])
    words = WordLmdb(tmp_path, "trainval")
    assert [words[i].texts for i in range(len(words))] == [*([f"word{n}"] for n in range(11)), ["café"]]
    assert words.name(11) == "ST-000000001"
    assert words[2].image.shape == (20, 63, 3)
    assert (words[2].image == 30).all()
    assert words[2].polygons[0].tolist() == [[0, 0], [63, 0], [63, 20], [0, 20]]
    validation = WordLmdb(tmp_path, "validation")
    assert [validation[i].texts for i in range(len(validation))] == [["word0"], ["word10"]]
    assert len(WordLmdb(tmp_path, "train")) == 10


def test_training_reads_a_database_and_lists_what_is_wrong_in_it(tmp_path):
    wrong = {"image-000000002": b"no picture", "image-000000003": None, "label-000000004": b"\xff\xfe"}
    make(tmp_path, ["one", "two", "three", "four", "five"], **wrong)
    config = recognition_config()
    config.data.update({"name": "word_lmdb", "dir": str(tmp_path), "train_split": "trainval"})
    config.train.batch_size = 16
    bad_samples = BadSamples(5, 1.0)
    batch, _ = next(make_word_batches(config, open_split(config, "train"), bad_samples, 0))
    assert batch["image"].shape == (16, 32, 160)
    listed = bad_samples.report()
    for reason in ("-000000002", "image-000000003 is missing", "the character set lacks: '\ufffd'"):
        assert reason in listed


def test_what_is_no_database_is_refused(tmp_path):
    make(tmp_path / "count", [], **{"num-samples": b"many"})
    with pytest.raises(ValueError, match=r"num-samples .* must be a number"):
        WordLmdb(tmp_path / "count")
    make(tmp_path / "empty", [], **{"num-samples": None})
    with pytest.raises(BadPicture, match="num-samples is missing"):
        WordLmdb(tmp_path / "empty")
    (tmp_path / "text").mkdir()
    (tmp_path / "text/data.mdb").write_text("no database")
    with pytest.raises(BadPicture, match="the LMDB cannot be read"):
        WordLmdb(tmp_path / "text")
