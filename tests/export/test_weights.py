"""A run's weights as one file: what may change on the way, what the card tells, and what is refused unwritten."""

import importlib.metadata
import pathlib
import re
import subprocess

import pytest

from dbnet_jax.config.fields import apply_arg
from dbnet_jax.detector import Detector
from dbnet_jax.export.weights import code_version, export_run, read_words
from dbnet_jax.weights.file import load_weights
from dbnet_jax.weights.run_folder import load_config
from tests.helpers import tiny_run as tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    return tiny.make_run(tmp_path_factory.mktemp("runs") / "tiny")


# What changes on the way
def test_the_fields_of_the_prediction_become_those_of_the_file(run, tmp_path):
    file = tmp_path / "x.safetensors"
    words = "shape=polygon,predict.size=1152,threshold=0.4,box_threshold=0.68,follow_exif=True,resize=long"
    export_run(run, file, apply_arg(load_config(run), f"{words},unclip_ratio=2", {}))
    predict = Detector.from_checkpoint(file).config.predict
    assert (predict.shape, predict.size, predict.threshold, predict.box_threshold) == ("polygon", 1152, 0.4, 0.68)
    assert (predict.follow_exif, predict.resize, predict.unclip_ratio) == (True, "long", 2.0)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "data.name=icdar2015,normalization=official,eval_split=trainval",
            r"not the run's in data\.eval_split, data\.name, data\.normalization: only fields of `config\.predict`",
        ),
        ("seed=7", "not the run's in seed:"),
        ("width=8", r"not the run's in model\.width:"),
        ("normalization=foo", r"not the run's in data\.normalization:"),
        ("shape=circle", r"`config\.predict\.shape` \(='circle'\)"),
        ("resize=sideways", r"`config\.predict\.resize` \(='sideways'\)"),
        ("checkpoint=second", r"`config\.predict\.checkpoint` \(='second'\)"),
        ("predict.size=-1", r"`config\.predict\.size` \(=-1\)"),
    ],
)
def test_what_would_make_the_file_or_its_card_untrue_is_refused(run, tmp_path, words, text):
    with pytest.raises(ValueError, match=text):
        export_run(run, tmp_path / "new" / "x.safetensors", apply_arg(load_config(run), words, {}))
    assert list(tmp_path.iterdir()) == []


def test_a_map_that_the_network_does_not_have(tmp_path):
    folder = tiny.make_run(tmp_path / "run", "binarization=standard")
    with pytest.raises(ValueError, match=r"`config\.predict\.map` \(='binary'\) needs"):
        export_run(folder, tmp_path / "x.safetensors", apply_arg(load_config(folder), "map=binary", {}))
    assert not (tmp_path / "x.safetensors").exists()


# What is there already
def test_notes_of_the_cards_name_are_not_lost(run, tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    with pytest.raises(
        FileExistsError, match=r"notes\.safetensors'\): its card would replace .*notes\.md.*another name"
    ):
        export_run(run, tmp_path / "notes.safetensors", load_config(run))
    assert notes.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [notes]


def test_a_file_and_its_card_are_written_again(run, tmp_path):
    for limits in ("one", "two"):
        exported = export_run(run, tmp_path / "x.safetensors", load_config(run), {"limits": limits})
        assert limits in exported.card.read_text()
    assert load_weights(exported.file).card.limits == "two"
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.safetensors'\) is a folder"):
        export_run(run, tmp_path / "folder.safetensors", load_config(run))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.safetensors", "x.md", "x.safetensors"]


# The card
@pytest.mark.parametrize(
    ("words", "text"),
    [("resize=none", "pictures keep their size;"), ("resize=long,predict.size=96", "the rule 'long', size 96; box")],
)
def test_the_card_tells_the_size_of_the_pictures_and_of_the_file(run, tmp_path, words, text):
    # So many characters that the header shows in the first decimal.
    card = {"limits": "x" * 300_000}
    exported = export_run(run, tmp_path / "x.safetensors", apply_arg(load_config(run), words, {}), card)
    told = exported.card.read_text()
    assert text in told
    assert f" parameters, {exported.file.stat().st_size / 1e6:.1f} MB\n" in told


def test_converted_weights_were_not_trained_by_the_config(run, tmp_path):
    card = load_weights(export_run(run, tmp_path / "x.safetensors", load_config(run)).file).card
    assert card.command == ""
    assert "converted" in card.data


def test_a_card_that_is_none(tmp_path):
    (tmp_path / "card.json").write_text('{"limits": 3}')
    with pytest.raises(ValueError, match=r"`card` \(=.*card\.json'\).*'limits' \(=3\) must be of type str"):
        read_words(tmp_path / "card.json")
    for content in (b"[]", b"[1, 2]", b'"x"', b'{"limits": "\xff"}', b"[" * 100_000):
        (tmp_path / "card.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"`card` \(=.*card\.json'\) must be a JSON object .*, in UTF-8: "):
            read_words(tmp_path / "card.json")
    with pytest.raises(FileNotFoundError, match=r"`card` \(=.*gone\.json'\) is not there"):
        read_words(tmp_path / "gone.json")
    with pytest.raises(FileNotFoundError, match=r"`card` \(=.*\) is a folder, not a file"):
        read_words(tmp_path)


def test_the_code_is_named_by_its_commit_only_in_its_own_checkout(tmp_path, monkeypatch):
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "export.py").write_text("")
    monkeypatch.setattr("dbnet_jax.export.weights.__file__", str(tmp_path / "export.py"))
    assert re.fullmatch(r"dbnet_jax \d[\w.+]*", code_version())
    git("add", "export.py")
    git("commit", "-q", "-m", "x")
    assert re.fullmatch(r"[0-9a-f]{7,40}", code_version())
    (tmp_path / "export.py").write_text("changed")
    assert re.fullmatch(r"[0-9a-f]{7,40}-dirty", code_version())


def test_code_that_is_neither_installed_nor_in_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr("dbnet_jax.export.weights.__file__", str(tmp_path / "export.py"))

    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing)
    assert code_version() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # and without git
    assert code_version() == "unknown"
