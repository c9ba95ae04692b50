"""A PyTorch checkpoint becomes a workdir, and a run starts from one."""

import json
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from configs import common
from dbnet_jax.commands.convert import configure, convert_checkpoint
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.detector import Detector
from dbnet_jax.models import create_model
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.recognition import Recognizer
from dbnet_jax.torch_weights import export_torch_weights, load_torch_weights
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.checkpoint import Checkpoints
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.run_folder import load_config, restore_variables
from tests.helpers import tiny_run as tiny
from tests.helpers import torch_crnn
from tests.helpers.command_line import call_run

SMALL = {"width": 4, "inner_channels": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A file of a whole detector, its model and its variables."""
    model = create_model("resnet18", **SMALL)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.uniform(0.1, 0.5, leaf.shape).astype(np.float32), variable_shapes(model))
    file = tmp_path_factory.mktemp("weights") / "official.safetensors"
    save_file({f"model.module.{k}": v for k, v in export_torch_weights(variables, model).items()}, file)
    return file, model, variables


def assert_same(a, b) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)  # which refuses trees of another structure


# ---------------------------------------------------------------- --mode=convert
def test_the_command_line_makes_a_workdir_that_evaluates(trained, tmp_path, monkeypatch, capsys):
    file, _, _ = trained
    # The config's model is another one: the weights decide.
    config = f"configs/quickstart.py:{tiny.FIELDS},width=16,dcn=True,scale_fusion=True"
    command = ("run.py", "--mode=convert", f"--input={file}", f"--workdir={tmp_path}", f"--config={config}")
    done = subprocess.run([sys.executable, *command], cwd=tiny.ROOT, capture_output=True, text=True, timeout=240)
    output = done.stdout + done.stderr
    for line in ("backbone: resnet18", "width: 4", "dcn: False", "normalization: official", "dead_arrays: 0"):
        assert line in output.splitlines(), output
    call_run("--mode=evaluate", f"--workdir={tmp_path}")
    assert "hmean" in capsys.readouterr().out
    assert json.loads((tmp_path / "evaluation.json").read_text())["images"] == 4


def converted(weights, workdir, config):
    """What `--mode=convert` does."""
    configure(config, weights)
    return convert_checkpoint(weights, workdir, config)


def test_the_checkpoint_holds_the_weights_and_the_config_their_model(trained, tmp_path):
    file, model, variables = trained
    config = common.get_config()
    config.predict.box_threshold = 0.55
    config.model.k = 30.0
    found = converted(file, tmp_path, config)
    assert found["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    saved = load_config(tmp_path)
    assert (saved.model.width, saved.model.inner_channels, saved.model.k) == (4, 8, 30.0)
    assert (saved.data.normalization, saved.model.binarization) == ("official", "differentiable")
    assert saved.predict.box_threshold == 0.55
    assert_same(restore_variables(saved, tmp_path), variables)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    maps = Detector.from_checkpoint(tmp_path, resize="none").detect_with_maps(image)[1]
    bgr = image[None, :, :, ::-1].astype(np.float32)
    pixels = (bgr - np.float32([122.67891434, 116.66876762, 104.00698793])) / 255
    wanted = jax.jit(model.apply)(variables, pixels)["probability_map"][0]
    np.testing.assert_allclose(maps["probability_map"], wanted, atol=1e-5)
    with pytest.raises(ValueError, match="holds checkpoints already"):
        converted(file, tmp_path, config)


def test_every_option_of_the_model_is_written_down(tmp_path):
    options = {"scale_fusion": True, "attention": "scale_spatial", "attention_channels": 8, "adaptive": False}
    model = create_model("deformable_resnet50", **SMALL, **options, dcn_offsets="official")
    weights = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), variable_shapes(model))
    state_dict = export_torch_weights(weights, model) | {"backbone.fc.bias": np.ones(1000, np.float32)}
    found = converted({"state_dict": state_dict}, tmp_path, common.get_config())
    assert found["dead_arrays"] == 1
    saved = load_config(tmp_path).model
    assert (saved.backbone, saved.dcn) == ("resnet50", True)
    assert (saved.dcn_offsets, saved.binarization) == ("official", "standard")
    assert (saved.scale_fusion, saved.attention, saved.attention_channels) == (True, "scale_spatial", 8)


def test_what_no_shape_tells_may_be_set_by_who_knows(tmp_path, monkeypatch):
    """Our own deformable ResNet-50 under official names: that its offsets are strided and its pixels RGB is lost."""
    model = create_model("deformable_resnet50", **SMALL)
    weights = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), variable_shapes(model))
    save_file(export_torch_weights(weights, model), tmp_path / "ours.safetensors")
    words = ("--mode=convert", f"--input={tmp_path / 'ours.safetensors'}", f"--workdir={tmp_path / 'run'}")
    with pytest.raises(ValueError, match="misshapen"):
        call_run(*words, "--config.model.width=8")
    call_run(*words, "--config.model.dcn_offsets=strided", "--config.data.normalization=imagenet")
    saved = load_config(tmp_path / "run")
    assert (saved.model.dcn_offsets, saved.data.normalization) == ("strided", "imagenet")


def test_what_cannot_be_converted_leaves_nothing(trained, tmp_path, monkeypatch):
    _, model, variables = trained
    backbone = export_torch_weights(variables, model, "torchvision")
    with pytest.raises(ValueError, match="a backbone alone"):
        converted(backbone, tmp_path / "run", common.get_config())
    torn = export_torch_weights(variables, model)
    del torn["decoder.in5.weight"]
    with pytest.raises(ValueError, match=r"missing: decoder\.in5\.weight"):
        converted(torn, tmp_path / "run", common.get_config())
    with pytest.raises(FileNotFoundError, match="`input`"):
        call_run("--mode=convert", "--input=nowhere.pth", f"--workdir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_no_run_goes_on_from_converted_weights(trained, tmp_path):
    converted(trained[0], tmp_path, tiny.config())
    with pytest.raises(ValueError, match=r"another workdir, with `config\.init\.checkpoint`"):
        train_and_evaluate(tiny.config("normalization=official"), tmp_path)


# ---------------------------------------------------------------- config.init
def test_a_new_run_takes_the_backbone_and_a_resumed_one_reads_nothing(trained, tmp_path, monkeypatch):
    file, _, variables = trained

    class Enough(Exception):
        pass

    def created(*args, initial, **options):
        raise Enough(initial)

    monkeypatch.setattr("dbnet_jax.train.create_state", created)
    with pytest.raises(Enough) as caught:
        train_and_evaluate(tiny.config(f"init.backbone={file}"), tmp_path)
    (initial,) = caught.value.args
    assert_same(initial["params"], {"backbone": variables["params"]["backbone"]})
    assert_same(initial["batch_stats"], {"backbone": variables["batch_stats"]["backbone"]})
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save_variables(variables, step=3)
    with pytest.raises(Enough) as caught:
        train_and_evaluate(tiny.config("init.backbone=gone.pth"), tmp_path)
    assert caught.value.args == (None,)


@pytest.mark.parametrize("whole", [True, False])
def test_the_given_weights_are_in_the_state_and_its_average_on_every_device(trained, whole):
    _, model, variables = trained
    given = variables if whole else {name: {"backbone": tree["backbone"]} for name, tree in variables.items()}
    optimizer, mesh = tiny.make_optimizer(tiny.poly_schedule(1.0, 1)), tiny.data_mesh()
    plain = tiny.create_state(model, optimizer, 0, average=False, mesh=mesh)
    state = tiny.create_state(model, optimizer, 0, average=True, mesh=mesh, initial=given)
    for found in (state.variables, state.average):
        for collection, modules in found.items():
            for name, tree in modules.items():
                assert_same(tree, (given if name in given[collection] else plain.variables)[collection][name])
    assert {leaf.sharding.num_devices for leaf in jax.tree.leaves(state)} == {8}


def test_all_weights_come_from_a_file_or_from_a_workdir(trained, tmp_path, caplog):
    file, model, variables = trained
    config = tiny.config(f"normalization=official,init.checkpoint={file}")
    assert_same(initial_variables(config, model), variables)
    converted(file, tmp_path, tiny.config())
    config.init.checkpoint = str(tmp_path)
    assert_same(initial_variables(config, model), variables)
    assert not caplog.text
    config.data.normalization = "imagenet"
    initial_variables(config, model)
    assert "used to `config.data.normalization` = 'official', not 'imagenet'" in caplog.text


@pytest.mark.parametrize(
    ("extra", "error", "text"),
    [
        ("init.backbone=gone.pth", FileNotFoundError, r"`config\.init\.backbone` \(='gone\.pth'\) does not exist"),
        ("init.checkpoint=gone", FileNotFoundError, r"`config\.init\.checkpoint` \(='gone'\) does not exist"),
        ("init.backbone=a.pth,init.checkpoint=b.pth", ValueError, r"both set"),
    ],
)
def test_a_start_that_is_not_there_fails_before_anything_is_compiled(tmp_path, monkeypatch, extra, error, text):
    monkeypatch.setattr("dbnet_jax.train.create_state", None)
    with pytest.raises(error, match=text):
        train_and_evaluate(tiny.config(extra), tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_the_weights_must_fit_the_config(trained):
    file, _, _ = trained
    config = tiny.config(f"init.checkpoint={file}")
    with pytest.raises(ValueError, match=r"(?s)`scale_fusion` = False.*missing: .*scale_fusion"):
        initial_variables(config, create_model("resnet18", **SMALL, scale_fusion=True, attention_channels=8))
    config = tiny.config(f"init.backbone={file}")
    with pytest.raises(ValueError, match=r"(?s)`width` = 4; this one has 8.*misshapen: "):
        initial_variables(config, create_model("resnet18", width=8))


# ---------------------------------------------------------------- a CRNN
def crnn_file(folder, classes: int):
    """A PyTorch CRNN of so many classes, whose last layer is that of `torch_crnn` with more rows."""
    arrays = torch_crnn.state_dict()
    for name in ("rnn.1.embedding.weight", "rnn.1.embedding.bias"):
        arrays[name] = np.resize(arrays[name], (classes, *arrays[name].shape[1:]))
    save_file({f"module.{name}": array for name, array in arrays.items()}, folder / "crnn.safetensors")
    return folder / "crnn.safetensors"


def test_a_crnn_becomes_a_recogniser(tmp_path, cli):
    file = crnn_file(tmp_path, 37)
    printed = cli("--mode=convert", f"--input={file}", f"--workdir={tmp_path / 'run'}").splitlines()
    assert {"characters: alphanumeric", f"hidden: {torch_crnn.HIDDEN}", "backbone: vgg"} <= set(printed)
    cli("--mode=export", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'mine.safetensors'}")
    recognizer = Recognizer.from_checkpoint(tmp_path / "mine.safetensors")
    assert recognizer.characters.characters == "0123456789abcdefghijklmnopqrstuvwxyz"
    saved = load_config(tmp_path / "mine.safetensors")
    model = task_of(saved).model(saved)
    exported = restore_variables(saved, tmp_path / "mine.safetensors")
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-3), exported, load_torch_weights(file, model))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "`config.model.characters` .='latin'. has 94 characters, and the weights write 40"),
        (("--config.model.characters=digits",), "has 10 characters, and the weights write 40"),
        (("--config=configs/quickstart.py",), "`config.task` .='detection'. must be 'recognition' for these weights"),
        (("--config.model.hidden=8",), "the weights do not fit the model"),
    ],
)
def test_a_crnn_that_does_not_fit_leaves_nothing(tmp_path, cli, flags, message):
    (tmp_path / "40.txt").write_text("".join(map(chr, range(0x3B1, 0x3B1 + 40))))
    fitting = (f"--config.model.characters={tmp_path / '40.txt'}",) if "hidden" in str(flags) else ()
    with pytest.raises(ValueError, match=message):
        cli("--mode=convert", f"--input={crnn_file(tmp_path, 41)}", f"--workdir={tmp_path / 'run'}", *flags, *fitting)
    assert not (tmp_path / "run").exists()


def test_a_detector_is_refused_with_a_recognisers_config(trained, tmp_path, cli):
    with pytest.raises(ValueError, match="must be 'detection' for these weights"):
        cli("--mode=convert", f"--input={trained[0]}", f"--workdir={tmp_path / 'run'}", "--config=configs/crnn.py")


def test_a_run_starts_from_a_crnn(tmp_path):
    config = recognition_config()
    config.model.update({"backbone": "vgg", "hidden": torch_crnn.HIDDEN, "characters": "digits"})
    config.init.checkpoint = str(crnn_file(tmp_path, 11))
    model = task_of(config).model(config)
    assert_same(initial_variables(config, model), load_torch_weights(torch_crnn.state_dict(), model))
    config.init.checkpoint = "small-word"
    with pytest.raises(ValueError, match=r"`config.init.checkpoint` .='small-word'. is for detection"):
        initial_variables(config, model)
    config.init.update({"checkpoint": "", "backbone": "small-word"})
    with pytest.raises(ValueError, match=r"`config.init.backbone` .='small-word'. is for detectors"):
        initial_variables(config, model)
