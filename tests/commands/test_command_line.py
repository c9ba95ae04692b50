"""What the command line says of weights, of fields and of pictures, and how it ends when that cannot be."""

import json
import pathlib

import cv2
import pytest
from absl import app

from dbnet_jax.commands import main
from dbnet_jax.commands.options import COMMANDS, FLAGS, parse
from dbnet_jax.commands.sources import config_of_weights, config_or_saved, find_detector
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.config.saved import save_config
from dbnet_jax.weights import shipped as pretrained
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import white_box

QUICKSTART = f"--config={tiny.ROOT}/configs/quickstart.py"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> pathlib.Path:
    """A folder with small-word alone, whose weights are zeros."""
    return tiny.save_zeros(tmp_path_factory.mktemp("weights") / "small-word.safetensors").parent


@pytest.fixture(autouse=True)
def shipped_alone(shipped, monkeypatch) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", shipped)


@pytest.fixture
def photo(tmp_path) -> pathlib.Path:
    (tmp_path / "set.1").mkdir()
    cv2.imwrite(str(tmp_path / "set.1/photo.png"), white_box((64, 64), 10, 10, 40, 40))
    return tmp_path / "set.1/photo.png"


# ---------------------------------------------------------------- what is read, and where results go
def test_folders_whose_names_hold_a_dot_have_results_of_their_own(cli, photo, tmp_path):
    (tmp_path / "set.2").mkdir()
    (tmp_path / "set.2/photo.png").write_bytes(photo.read_bytes())
    results = tmp_path / "runs/detections"
    for name, page in (("set.1", "set.1"), ("set.2", "set.2"), ("set.2/photo.png", "photo")):
        assert cli("--mode=predict", f"--input={tmp_path / name}") == f"results: {results / page}/index.html\n"


def test_pictures_named_one_by_one_have_one_page(cli, photo, tmp_path):
    (tmp_path / "set.2").mkdir()
    (tmp_path / "set.2/photo.png").write_bytes(photo.read_bytes())
    page = tmp_path / "runs/detections/set.1/index.html"
    pictures = (str(photo), "--weights=small-word", str(tmp_path / "set.2"))
    assert cli("predict", *pictures) == f"results: {page}\n"
    found = json.loads((page.parent / "detections.json").read_text())
    assert list(found["pictures"]) == ["set.1/photo.png", "set.2/photo.png"]


def test_a_tilde_behind_an_equals_sign_is_ones_home(cli, photo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    printed = cli("--mode=predict", "--input=~/set.1/photo.png", "--output=~/found")
    assert printed == f"results: {tmp_path}/found/index.html\n"


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (flag.commands.split()[0], flag.name)
        for flag in FLAGS
        if flag.metavar in ("DIR", "PATH") or flag.name in ("weights", "recognizer", "card")
    ],
)
def test_every_path_may_begin_with_a_tilde(command, flag, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = parse([command, f"--{flag}=~/runs/mine"], pathlib.Path())
    assert getattr(options, flag) == f"{tmp_path}/runs/mine"
    assert f"{tmp_path}/runs/mine" in options.paths()


def test_it_fails_when_no_picture_could_be_read_and_all_is_written(cli, photo, tmp_path, capsys):
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    with pytest.raises(SystemExit, match=r"notes\.txt: nothing in it could be read") as ended:
        cli("--mode=predict", f"--input={notes}")
    assert ended.value.code  # words, which end a process with 1
    page = tmp_path / "runs/detections/notes/index.html"
    assert capsys.readouterr().out.splitlines()[-1] == f"results: {page}"
    assert "No pictures" in page.read_text()
    # One that can be read is enough.
    notes.rename(photo.parent / "notes.png")
    assert "skipped: " in cli("--mode=predict", f"--input={photo.parent}")


def test_what_a_command_cannot_use_is_said_by_its_flag(cli, photo, tmp_path):
    for words, kind, named in [
        (["--mode=predict", f"--input={photo}", f"--output={photo}"], app.UsageError, "--output=.* is a file: a"),
        (["--config=configs/quickstrat.py"], FileNotFoundError, r"quickstrat\.py is not there; .*has quickstart\.py$"),
        (["--config=xyz.py:steps=3"], FileNotFoundError, r"xyz\.py is not there; .*configs has .*icdar2015\.py, "),
    ]:
        with pytest.raises(kind, match=named):
            cli(*words)
    with pytest.raises(FileNotFoundError, match=r"(?s)no test pictures of ICDAR.*--config=configs/NAME\.py --config"):
        cli("--mode=evaluate", "--weights=small-word", "--config.data.name=icdar2015", "--config.data.dir=nowhere")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h", "--traceback"]])
def test_without_a_command_it_lists_them(words, capsys):
    main.run(words, pathlib.Path())
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")] == list(COMMANDS)
    assert {path.stem for path in pathlib.Path(main.__file__).parent.glob("*.py")} > set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["predict", "--help"], {"config", "workdir", "weights", "input", "output", "formats"}),
        (["-h", "--mode=score"], {"detections", "truth", "protocol", "output"}),
        (["convert", "--input=x", "--nonsense", "-h"], {"config", "workdir", "input"}),
    ],
)
def test_a_command_prints_its_own_flags(cli, words, flags):
    printed = cli(*words)
    assert {line.split()[0].removeprefix("--") for line in printed.splitlines() if line.startswith("  --")} == {
        *flags,
        "mode",
        "traceback",
    }
    assert ("PICTURE" in printed) == (words[0] == "predict")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["predict", "--protocol=iou", "a.jpg"], "--protocol is for score; predict does not take it"),
        (["a.jpg", "--mode=predict", "--count", "3"], "--count is for inspect; predict does not take it"),
        (["evaluate", "--formats=json"], "--formats is for predict and read; evaluate does not take it"),
        (["train", "--input=x"], "--input is for predict, read, bulk and convert; train does not take it"),
        (["score", "--workdir=x"], "--workdir is for train, .*; score does not take it"),
        (["inspect", "--coordinator=auto"], "--coordinator is for train and evaluate; inspect"),
        (["train", "--weights=x"], "--weights is refused: training starts from --config.init.checkpoint"),
        (["convert", "--output=x"], "--output is refused: --workdir is the folder"),
        (["export", "--config=x"], "--config is refused: the run has its own"),
        (["score", "--config=x"], "--config is refused: score reads no config"),
        (["score", "--config.predict.size=3"], "--config is refused: score reads no config"),
        (["predict", "--mode=train"], "--mode=train contradicts the command predict"),
        (["--input=photos"], "command is missing: --input is for predict, read, bulk and convert; --mode=predict"),
        (
            ["--weights", "small-word"],
            "command is missing: --weights is for predict, read, bulk, evaluate, export and serve",
        ),
        (["--workdir=x"], r"command is missing: --mode=predict\|read\|train"),
        (["--config.train.steps=3"], r"command is missing: --mode=predict\|read\|train"),
    ],
)
def test_a_flag_of_another_command_is_refused(words, named):
    with pytest.raises(app.UsageError, match=named):
        parse(words, pathlib.Path())


def test_a_protocol_is_checked_before_anything_is_opened(cli):
    unknown = r"protocol` \(='IoU'\) must be one of 'iou'"
    data = ["--config.data.name=icdar2015", "--config.data.dir=nowhere", "--config.evaluate.protocol=IoU"]
    for words in (
        ["evaluate", "--weights=small-word", *data],
        ["train", QUICKSTART, *data, "--workdir=nowhere"],
        ["score", "--detections=nowhere", "--truth=nowhere", "--protocol=IoU"],
    ):
        with pytest.raises(ValueError, match=unknown):
            cli(*words)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["photo.jpg"], r"unknown argument 'photo\.jpg'; the commands are predict, read, train"),
        (["train", "--confg=x.py"], "unrecognized arguments: --confg=x.py"),
        (
            ["predict", "--config.predict.size", "960"],
            "--config.predict.size has no value: --config.predict.size=VALUE",
        ),
    ],
)
def test_a_word_that_is_no_flag_ends_the_process_with_its_name(words, named):
    with pytest.raises(SystemExit, match=named):
        main.run(words, pathlib.Path())


# ---------------------------------------------------------------- fields
def test_a_field_is_set_in_the_same_way_in_a_file_a_run_and_weights(shipped, tmp_path):
    save_config(tiny.config(), tmp_path)
    fields = ["--config.predict.size=None", "--config.unclip_ratio=2", "--config.predict.follow_exif=true"]
    fields += ["--config.predict.sizes=(512, 736)", "--config.data.dir=a, b=c"]
    options = parse(["evaluate", f"--workdir={tmp_path}", *fields], tmp_path)
    file = parse(["evaluate", *fields, f"--config={tiny.ROOT}/configs/quickstart.py"], tmp_path)
    weights = config_of_weights(str(shipped / "small-word.safetensors"), parse(["predict", *fields], tmp_path))
    for config in (config_or_saved(options), config_or_saved(file), weights):
        predict = config.predict
        assert (predict.size, predict.unclip_ratio, predict.follow_exif) == (None, 2.0, True)
        assert (predict.sizes, config.data.dir) == ((512, 736), "a, b=c")
    with pytest.raises(ValueError, match=r"`config.train.steps` \(=None\) must be of type int"):
        config_or_saved(parse(["evaluate", f"--workdir={tmp_path}", "--config.train.steps=None"], tmp_path))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([f"{QUICKSTART}:box_threshold=0.99"], "box_threshold=0.99 in --config .*--config.predict.box_threshold=0.99"),
        ([f"{QUICKSTART}:eval_pictures=3, predict.size = 640"], "predict.size=640 in --config is refused"),
        ([f"{QUICKSTART}:crop=(64,64),width=8"], "width=8 in --config is refused: the weights decide it$"),
        ([f"{QUICKSTART}:checkpoint=latest"], "checkpoint=latest in --config"),
        ([f"{QUICKSTART}:normalization=official"], "normalization=official in --config"),
        ([QUICKSTART, "--config.model.k=3"], r"--config.model.k is refused: the weights decide the model"),
        (["--config.width=8"], r"--config.model.width is refused"),
    ],
)
def test_a_field_that_weights_carry_is_never_ignored(cli, words, named):
    with pytest.raises(app.UsageError, match=named):
        cli("--mode=evaluate", "--weights=small-word", *words)


def test_fields_of_the_data_may_stand_behind_the_colon(cli, monkeypatch, tmp_path):
    detectors = []
    monkeypatch.setattr(
        "dbnet_jax.evaluation.evaluator.Evaluator.run", lambda self, detector: detectors.append(detector)
    )
    monkeypatch.setattr("dbnet_jax.pages.evaluation.write_report", lambda *_: {})
    config = f"{QUICKSTART}:eval_pictures=3,crop=(64,64),init.backbone=x,follow_exif=False,seed=3"
    cli("--mode=evaluate", "--weights=small-word", config, "--config.predict.box_threshold=0.3")
    (found,) = detectors
    assert (found.config.data.eval_pictures, found.config.predict.box_threshold) == (3, 0.3)
    assert found.config.predict.follow_exif is False


@pytest.mark.parametrize("field", ["box_threshold=7", "threshold=-1", "min_size=-5", "max_candidates=0", "size=0"])
def test_a_number_out_of_its_range_is_refused(cli, photo, field):
    with pytest.raises(ValueError, match=rf"`config.predict.{field.partition('=')[0]}` \(=.*\) must be"):
        cli("--mode=predict", f"--input={photo}", f"--config.predict.{field}")


# ---------------------------------------------------------------- weights
def test_what_is_no_file_of_weights_is_named_by_its_flag(cli, photo, tmp_path, shipped):
    (tmp_path / "notes.txt").write_text("no weights")
    (tmp_path / "model.pth").write_bytes(b"PK")
    whole = (shipped / "small-word.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    for weights, kind, named in [
        (tmp_path / "notes.txt", ValueError, "is no .safetensors file that --mode=export wrote"),
        (tmp_path / "model.pth", ValueError, "--mode=convert"),
        (tmp_path / "cut.safetensors", ValueError, "is no whole .safetensors file"),
        (tmp_path / "run", ValueError, "is a folder: --workdir"),
        (tmp_path / "gone", FileNotFoundError, "is not there"),
        (tmp_path / "gone.safetensors", FileNotFoundError, "is not there"),
        ("small_word", ValueError, r"must be one of the shipped weights \['small-word'\]; is it small-word"),
    ]:
        with pytest.raises(kind, match=rf"^`weights` \(='{weights}'\) .*{named}"):
            cli("--mode=predict", f"--input={photo}", f"--weights={weights}")


def test_a_folder_beside_that_has_a_run_or_a_name_of_shipped_weights(cli, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("quickstart", "small-word"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=r"`weights` \(='quickstart'\) is a folder: --workdir"):
        cli("--mode=predict", f"--input={photo}", "--weights=quickstart")
    assert "results: " in cli("--mode=predict", f"--input={photo}", "--weights=small-word")


@pytest.mark.parametrize("command", ["predict", "read", "serve", "bulk"])
def test_each_command_that_finds_text_takes_a_run_or_weights(command, shipped, tmp_path):
    save_config(tiny.config(), tmp_path / "run")
    save_config(recognition_config(), tmp_path / "crnn")

    def found(*flags: str) -> tuple[int, int | None, str]:
        config, trained = find_detector(parse([command, *flags, "--config.predict.size=96"], tmp_path))
        return config.model.width, config.predict.size, trained

    assert found(f"--workdir={tmp_path / 'run'}") == (4, 96, str(tmp_path / "run"))
    assert found() == found("--weights=small-word") == (4, 96, str(shipped / "small-word.safetensors"))
    for flags, named in (
        ([f"--workdir={tmp_path / 'run'}", "--weights=small-word"], "--workdir and --weights both name a detector"),
        ([f"--workdir={tmp_path / 'crnn'}"], "crnn is refused: it is for recognition; --recognizer takes it"),
    ):
        with pytest.raises(app.UsageError, match=named):
            found(*flags)
    with pytest.raises(ValueError, match="is a folder: --workdir takes that of a run"):
        found(f"--weights={tmp_path / 'run'}")


@pytest.mark.parametrize("name", ["weights", "weights.v2"])
def test_a_file_of_weights_has_any_name(cli, photo, tmp_path, shipped, name):
    (tmp_path / name).write_bytes((shipped / "small-word.safetensors").read_bytes())
    assert "results: " in cli("--mode=predict", f"--input={photo}", f"--weights={tmp_path / name}")
