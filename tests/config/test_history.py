"""A run that goes on with another config: what is said, and what the card of its weights tells."""

import pytest

from dbnet_jax.config.history import history, keep_earlier_config
from dbnet_jax.export.weights import export_run
from dbnet_jax.pages.evaluation import save_config
from dbnet_jax.weights.file import load_weights
from tests.helpers import tiny_run as tiny


def test_the_same_config_is_no_news(tmp_path):
    config = tiny.config("data.name=icdar2015,data.dir=/home/me/icdar2015")
    assert keep_earlier_config(config, tmp_path, 0) == ""
    save_config(config, tmp_path)
    # As a new run, whose config is not of training yet; nor does training know of how pictures are looked at.
    assert keep_earlier_config(tiny.config("seed=9"), tmp_path, 0) == ""
    for same in (config, tiny.config("data.name=icdar2015,data.dir=/home/me/icdar2015,box_threshold=0.5")):
        assert keep_earlier_config(same, tmp_path, 4) == ""
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_another_one_is_said_and_kept_without_folders(tmp_path):
    for step, name in ((0, "first"), (4, "second"), (4, "never_trained"), (6, "third")):
        config = tiny.config(f"data.name=icdar2015,data.dir=/home/me/{name}")
        changes = keep_earlier_config(config, tmp_path, step)
        save_config(config, tmp_path)
    assert changes == "data.dir='/home/me/third' (was '/home/me/never_trained')"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "config.json",
        "config_until_4.json",
        "config_until_6.json",
    ]
    first = "Until batch 4 the run had data.dir='first' (then 'third')."
    assert history(config, tmp_path, 5) == [first]
    assert history(config, tmp_path, 9)[0] == first
    # Weights of a step from before the change.
    assert history(config, tmp_path, 4) == []


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_config_is_an_error(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        keep_earlier_config(tiny.config(), tmp_path, 1)


def test_the_card_tells(tmp_path):
    run = tiny.make_run(tmp_path / "run", step=7)
    keep_earlier_config(tiny.config("seed=5"), run, 3)
    save_config(tiny.config("seed=5"), run)
    export_run(run, tmp_path / "x.safetensors", tiny.config("seed=5"))
    assert "Until batch 3 the run had seed=0 (then 5)." in load_weights(tmp_path / "x.safetensors").card.data
