"""The inspection of a recogniser's data: what training would see, what it would skip, and where it would stop."""

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from dbnet_jax.commands.inspect import inspect_data
from dbnet_jax.config.recognition import recognition_config
from input_pipeline.bad_samples import BadSamples
from input_pipeline.from_config import make_word_batches, open_split
from tests.helpers.page import Page
from tests.helpers.problems import said


def word_list(folder, *words: tuple[int, str]) -> ConfigDict:
    """A config of crops 32 pixels high, each with a width and a text."""
    lines = []
    for number, (width, text) in enumerate(words):
        picture = np.random.default_rng(number).integers(0, 256, (32, width, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        lines.append(f"{number}.png\t{text}\n")
    (folder / "labels.txt").write_text("".join(lines), encoding="utf-8")
    config = recognition_config()
    config.data.update({"name": "word_list", "dir": str(folder), "train_split": "trainval", "eval_split": "trainval"})
    config.train.batch_size = 4
    return config


GOOD = [(60, "word"), (90, "Longer"), (40, "a1")]


def test_the_page_shows_the_crops_of_training_and_counts_the_texts(tmp_path):
    config = word_list(tmp_path, *GOOD * 10, (60, "café"), (200, "x" * 50), (16, "narrow"))
    found = inspect_data(config, tmp_path / "out", count=6)
    assert not found.stops
    summary = found.statistics.summary()
    assert summary["words"] == summary["words that were read"] == "32"
    assert summary["texts by their characters"] == "1 to 3: 10, 4 to 6: 21, more than 25: 1"
    assert summary["texts of more than 40 characters"] == "1"
    assert summary["texts longer than their feature columns"] == "2"
    assert summary["words that training skips"] == "2"
    assert summary["characters of the set without an example"].startswith("83 of 94: !")
    listed = "\n".join(said(found))
    for part in ("'café' is left out", "has 50 characters", "'narrow' needs 7 feature columns, and its crop has 4"):
        assert part in listed
    page = Page(tmp_path / "out/index.html")
    batch, names = next(make_word_batches(config, open_split(config, "train"), BadSamples(32, 1.0), 0))
    assert [name for name in names if name in page.words] == names
    shown = sorted((tmp_path / "out/pictures").glob("*.png"))
    assert len(shown) == len(page.references) == 6
    for row in range(4):
        crop = batch["image"][row, :, : batch["width"][row]]
        np.testing.assert_array_equal(cv2.imread(str(shown[row]), cv2.IMREAD_GRAYSCALE), crop)
    assert inspect_data(config, tmp_path / "out", count=0).statistics.total == 32
    assert not list((tmp_path / "out").glob("pictures/*"))


@pytest.mark.parametrize(
    ("words", "fields", "message"),
    [
        ([(16, "narrow"), (60, "word")], {}, "1 of 2 pictures cannot be used"),
        ([(16, "narrow")], {"max_bad_share": 1.0}, "none of the 1 words that were read can be used"),
        (GOOD, {"eval_split": "nothing"}, "nothing"),
    ],
)
def test_it_ends_with_status_1_where_training_would_stop(tmp_path, words, fields, message):
    config = word_list(tmp_path, *words)
    config.data.update(fields)
    found = inspect_data(config, tmp_path / "out", count=2)
    assert message in found.stops
    assert found.page.is_file()


def test_a_set_of_other_characters_ends_with_the_list_of_them(tmp_path, cli):
    word_list(tmp_path, (60, "שלום"))
    flags = (f"--config.data.dir={tmp_path}", "--config.data.name=word_list", "--config.data.train_split=trainval")
    with pytest.raises(ValueError, match=r"no word to read:\n0\.png: .* the character set lacks 'ולםש'"):
        cli("--mode=inspect", "--config=configs/crnn.py", *flags, f"--output={tmp_path / 'out'}")
