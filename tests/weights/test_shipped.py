"""Shipped weights by name, a run exported to such a file, and the command line over both."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest
from absl import app
from safetensors import safe_open

from configs import small_word
from dbnet_jax.commands.options import parse
from dbnet_jax.commands.sources import config_or_saved
from dbnet_jax.config.fields import apply_arg
from dbnet_jax.config.saved import save_config, without_paths
from dbnet_jax.detector import Detector
from dbnet_jax.export.weights import _command, code_version, export_run
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.training.checkpoint import Checkpoints
from dbnet_jax.weights import shipped as pretrained
from dbnet_jax.weights.digest import KEY
from dbnet_jax.weights.file import load_weights
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.run_folder import load_config, with_data_of
from dbnet_jax.weights.shipped import find_weights, pretrained_names, pretrained_path
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import white_box

FIELDS = "ema_decay=0.9,checkpoint=best,mix=synthetic*2,crop=(64,96),data.tfds_dir=/data/tfds,unclip_ratio=1.7"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> pathlib.Path:
    """A run whose checkpoints are 1 everywhere at step 1, the better one, and 2 at step 2; averages are a tenth."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = tiny.config(FIELDS)
    save_config(config, folder)
    optimizer, mesh = tiny.make_optimizer(tiny.poly_schedule(1.0, 1)), tiny.data_mesh(jax.devices()[:1])
    state = tiny.create_state(model_from_config(config), optimizer, 0, average=True, mesh=mesh)
    with Checkpoints(folder) as checkpoints:
        for step, hmean in ((1, 0.9), (2, 0.8)):
            filled = jax.tree.map(lambda leaf, step=step: np.full_like(leaf, step), state.variables)
            tenth = jax.tree.map(lambda leaf: leaf / 10, filled)
            checkpoints.save(state.replace(step=np.int32(step), variables=filled, average=tenth), hmean)
    scores = {"precision": 0.5, "recall": 1.0, "hmean": 2 / 3, "protocol": "iou", "images": 4, "by_size": {}}
    scores["measured_with"] = {"data": "synthetic", "split": "test", "predict": config.predict.to_dict()}
    (folder / "evaluation.json").write_text(json.dumps(scores))
    return folder


@pytest.fixture(scope="module")
def exported(workdir) -> pathlib.Path:
    """The run's better weights."""
    return export_run(workdir, workdir.parent / "small-word.safetensors", load_config(workdir)).file


@pytest.fixture
def shipped(exported, tmp_path, monkeypatch) -> pathlib.Path:
    """A folder of shipped weights, the run's as small-word."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    shutil.copy(exported, tmp_path / "weights")
    return tmp_path / "weights"


# ---------------------------------------------------------------- names
def test_the_shipped_files_are_whole_light_and_tell_no_paths():
    files = list(pretrained.FOLDER.glob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) < 30e6
    for name in pretrained_names():
        with safe_open(pretrained_path(name), framework="numpy") as opened:
            assert KEY in opened.metadata()
        config, _, card = load_weights(pretrained_path(name))
        assert card.name == name
        assert card.scores
        assert card.licences
        assert card.limits
        assert f"# {name}" in pretrained_path(name).with_suffix(".md").read_text(encoding="utf-8")
        assert without_paths(config).to_dict() == config.to_dict()


def test_a_detector_by_its_name(shipped):
    assert pretrained_names() == ["small-word"]
    detector = Detector.from_pretrained("small-word", box_threshold=0.25)
    assert (detector.config.predict.box_threshold, detector.config.model.width) == (0.25, 4)
    assert Detector.from_pretrained().config.predict.box_threshold == 0.5
    with pytest.raises(ValueError, match=r"`sise` \(=1\) is no field"):
        Detector.from_pretrained(sise=1)


def test_an_unknown_name_is_answered_with_those_that_there_are(shipped):
    with pytest.raises(ValueError, match=r"'small_word'\) must be .* \['small-word'\]; is it small-word\?"):
        Detector.from_pretrained("small_word")
    with pytest.raises(ValueError, match=r"'resnet18'\) must be one of the shipped weights \['small-word'\]$"):
        Detector.from_pretrained("resnet18")


def test_a_detector_beside_configs_of_the_users_own(tmp_path):
    """Many projects have a package of this name, which their scripts find before any other."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/__init__.py").write_text("raise RuntimeError('of the user')")
    script = "from dbnet_jax import Detector; print(Detector.from_pretrained('small-word').config.data.granularity)"
    path = os.pathsep.join([str(tmp_path), str(tiny.ROOT)])
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert told.stdout == "word\n", told.stderr


def test_without_any_weights_it_says_what_is_missing(tmp_path, monkeypatch, cli):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "nothing")
    for call in (Detector.from_pretrained, lambda: cli("--mode=predict", f"--input={tmp_path}")):
        with pytest.raises(
            ValueError, match=r"'small-word'\): this copy of dbnet_jax has no trained weights.*quickstart"
        ):
            call()


def test_a_name_or_a_file(shipped, tmp_path):
    assert find_weights("small-word") == find_weights(shipped / "small-word.safetensors")
    for gone in ("small-word.safetensors", "weights/small-word", tmp_path / "x"):
        with pytest.raises(FileNotFoundError, match="is not there"):
            find_weights(gone)


def test_training_starts_from_shipped_weights_by_name(shipped):
    config = tiny.config("init.checkpoint=small-word")
    leaves = jax.tree.leaves(initial_variables(config, model_from_config(config)))
    assert {float(leaf.mean()) for leaf in leaves} == {np.float16(0.1), np.float32(0.1)}
    with pytest.raises(FileNotFoundError, match=r"`config.init.checkpoint` \(='small-wrd'\) does not exist"):
        initial_variables(tiny.config("init.checkpoint=small-wrd"), model_from_config(config))


# ---------------------------------------------------------------- export
@pytest.mark.parametrize(("fields", "value"), [("follow_exif=False", 0.1), ("checkpoint=latest", 0.2)])
def test_the_average_of_the_checkpoint_that_the_config_names(workdir, tmp_path, cli, fields, value):
    file = tmp_path / "x.safetensors"
    printed = cli("--mode=export", f"--workdir={workdir}", f"--output={file}", f"--config.predict.{fields}")
    assert f"results: {file} and its card, {tmp_path / 'x.md'}" in printed
    config, variables, card = load_weights(file)
    for leaf in jax.tree.leaves(variables):
        np.testing.assert_allclose(leaf, value, rtol=2**-11)
    assert str(config.predict[fields.partition("=")[0]]) == fields.partition("=")[2]
    # The run's scores are those of its own choice.
    assert ("has no scores" in printed) == ("checkpoint" in fields) == (not card.scores)


def test_the_card_tells_what_the_run_left(workdir, tmp_path, cli):
    words = {"licences": "our own", "scores": [{"data": "y", "protocol": "deteval", "images": 2}]}
    words["scores"][0] |= {"precision": 1, "recall": 0.5, "hmean": 0.667}
    (tmp_path / "card.json").write_text(json.dumps(words))
    cli(
        "--mode=export",
        f"--workdir={workdir}",
        f"--output={tmp_path / 'x.safetensors'}",
        f"--card={tmp_path}/card.json",
    )
    card = load_weights(tmp_path / "x.safetensors").card
    assert (card.name, card.licences) == ("x", "our own")
    assert card.data == "synthetic (train), mixed with synthetic*2, from random weights."
    first, second = card.scores
    assert (first.data, first.protocol, first.images, first.metrics["recall"]) == ("synthetic, test", "iou", 4, 1.0)
    assert (second.data, second.protocol, second.metrics["hmean"]) == ("y", "deteval", 0.667)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", card.date)
    assert card.commit == code_version()
    assert "/data" not in card.command


def test_the_cards_command_gives_the_same_config(exported, monkeypatch):
    config, _, card = load_weights(exported)
    assert_command_gives(config, card.command, monkeypatch)
    shipped = small_word.get_config("next")
    assert shipped.predict.size is None
    assert_command_gives(shipped, _command(shipped, "small-word"), monkeypatch)


def assert_command_gives(config, command, monkeypatch) -> None:
    python, script, *words, workdir = shlex.split(command)
    assert (python, script, workdir) == ("python", "run.py", "--workdir=runs/small-word")
    monkeypatch.chdir(tiny.ROOT)
    options = parse(words, pathlib.Path())
    assert config_or_saved(options).to_dict() == config.to_dict()


def test_scores_that_are_not_those_of_the_weights_are_left_out(workdir, tmp_path):
    workdir = shutil.copytree(workdir, tmp_path / "run")
    file, output = workdir / "evaluation.json", tmp_path / "x.safetensors"
    os.utime(file, (0, 0))
    assert "is older than the checkpoint of step 1" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    # A damaged file is no reason to export nothing.
    for content in ("[]", "[" * 100_000):
        file.write_text(content)
        assert "is damaged" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    file.unlink()
    assert "is not there" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    assert load_weights(output).card.scores == ()


def test_the_scores_of_a_damaged_checkpoint_are_not_those_of_the_one_that_is_used(workdir, tmp_path):
    workdir, output = shutil.copytree(workdir, tmp_path / "run"), tmp_path / "x.safetensors"
    assert export_run(workdir, output, load_config(workdir)).notes == []
    (workdir / "checkpoints/1/average/_METADATA").unlink()
    assert "may be of a damaged checkpoint" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    (workdir / "checkpoints/1").rename(workdir / "checkpoints/1.damaged")  # as training does
    assert "may be of a damaged checkpoint" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    assert load_weights(output).card.scores == ()


def test_scores_are_of_the_fields_and_the_data_that_they_were_measured_with(workdir, tmp_path):
    workdir = shutil.copytree(workdir, tmp_path / "run")
    file, output = workdir / "evaluation.json", tmp_path / "x.safetensors"
    config = apply_arg(load_config(workdir), "size=96", {})
    measured = {"data": "icdar2015", "split": "validation", "predict": config.predict.to_dict()}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"measured_with": measured}))
    assert "with other fields" in "".join(export_run(workdir, output, load_config(workdir)).notes)
    assert not load_weights(output).card.scores
    export_run(workdir, output, config)
    assert [score.data for score in load_weights(output).card.scores] == ["icdar2015, validation"]


# ---------------------------------------------------------------- predict and evaluate
@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "photo.png"), white_box((64, 96), 10, 10, 60, 40))
    return folder


def test_a_picture_and_no_other_flag(shipped, photos, tmp_path, cli, monkeypatch):
    monkeypatch.chdir(photos)
    assert cli("--mode=predict", "--input=photo.png") == f"results: {tmp_path}/runs/detections/photo/index.html\n"
    assert f"{tmp_path}/runs/detections/photos/index.html" in cli("--mode=predict", "--input=.")
    assert [path.name for path in photos.iterdir()] == ["photo.png"]
    found = json.loads((tmp_path / "runs/detections/photos/detections.json").read_text())
    assert list(found["pictures"]) == ["photo.png"]


def test_other_weights_by_name_or_file_and_another_folder(shipped, photos, tmp_path, cli):
    os.rename(shipped / "small-word.safetensors", shipped / "small-line.safetensors")
    for weights in ("small-line", shipped / "small-line.safetensors"):
        out = tmp_path / f"out {len(str(weights))}"
        cli("--mode=predict", f"--input={photos}", f"--weights={weights}", f"--output={out}")
        assert (out / "index.html").is_file()
    with pytest.raises(ValueError, match=r"\['small-line'\]; is it small-line\?"):
        cli("--mode=predict", f"--input={photos}")


def test_weights_are_scored_on_the_data_of_a_config(shipped, tmp_path, cli, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "dbnet_jax.evaluation.evaluator.Evaluator.run", lambda self, detector: seen.append((self, detector))
    )
    monkeypatch.setattr("dbnet_jax.pages.evaluation.write_report", lambda folder, *_: seen.append(folder) or {})
    words = ["--mode=evaluate", "--weights=small-word"]
    cli(*words, f"--config={tiny.ROOT}/configs/quickstart.py", "--config.data.eval_pictures=3", "--config.seed=5")
    (_, detector), folder = seen
    assert folder == str(tmp_path / "runs/evaluations/small-word-synthetic")
    config = detector.config
    # The data's are its own and what its labels follow, all that makes the detector is the weights'.
    assert (config.data.eval_pictures, config.seed, config.data.crop) == (3, 5, (256, 256))
    assert config.model.to_dict() == load_config(shipped / "small-word.safetensors").model.to_dict()
    assert config.predict.unclip_ratio == 1.7
    seen.clear()
    fields = ["--config.predict.unclip_ratio=1.8", "--config.data.normalization=official"]
    cli(*words, *fields, f"--output={tmp_path / 'o'}")
    assert (seen[0][1].config.predict.unclip_ratio, seen[1]) == (1.8, str(tmp_path / "o"))
    assert seen[0][1].config.data.eval_pictures == 4


def test_pixels_are_those_of_the_weights_and_their_orientation_that_of_the_labels():
    saved = tiny.config("normalization=official,follow_exif=True,box_threshold=0.4,resize=long")
    given = tiny.config("normalization=imagenet,follow_exif=False,box_threshold=0.6,protocol=deteval")
    config = with_data_of(saved, given)
    assert (config.data.normalization, config.predict.follow_exif) == ("official", False)
    assert (config.predict.box_threshold, config.predict.resize) == (0.4, "long")
    assert config.evaluate.protocol == "deteval"
    # Neither of the two is changed.
    assert (saved.predict.follow_exif, given.data.normalization) == (True, "imagenet")


def test_a_config_that_has_no_say_in_weights_is_refused(shipped, photos, cli, workdir):
    config = f"--config={tiny.ROOT}/configs/quickstart.py"
    for words, text in [
        (["--mode=predict", f"--input={photos}", config], "--config is refused: the weights"),
        (["--mode=evaluate", "--weights=small-word", f"--workdir={workdir}"], "both name a detector"),
        (["--mode=evaluate"], r"--workdir \(a run's folder\) or --weights"),
        (["--mode=train", "--weights=small-word", config], r"init\.checkpoint"),
        (["--mode=evaluate", f"--workdir={shipped / 'small-word.safetensors'}"], "--weights takes a file"),
        (["--mode=export", f"--workdir={workdir}"], "--output is missing"),
        (["--mode=export", f"--workdir={workdir}", "--output=x.safetensors", config], "--config is refused: the run"),
    ]:
        with pytest.raises(app.UsageError, match=text):
            cli(*words)
