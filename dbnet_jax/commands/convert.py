"""Makes the folder of a run of a PyTorch checkpoint, for evaluation, prediction, `Detector` and `Recognizer`."""

import os
from collections.abc import Mapping
from typing import Any

import jax
from absl.app import UsageError
from ml_collections import ConfigDict

from dbnet_jax.characters import load_characters
from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import set_fields, workdir
from dbnet_jax.config.defaults import default_config
from dbnet_jax.config.fields import read_config
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.config.saved import save_config
from dbnet_jax.torch_weights import load_torch_weights
from dbnet_jax.torch_weights.convert import describe
from dbnet_jax.torch_weights.crnn import describe_crnn, is_crnn
from dbnet_jax.torch_weights.files import PathOrStateDict, read_state_dict
from dbnet_jax.training.checkpoint import Checkpoints, has_checkpoint
from dbnet_jax.training.lock import only_run_in
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.run_folder import check_workdir

_CHARACTERS = {11: "digits", 37: "alphanumeric"}
"""The characters that CRNNs of so many classes have in general, in this order."""


def configure(config: ConfigDict, path_or_state_dict: PathOrStateDict) -> None:
    """Sets the section `model` of the config to the model of the weights.

    The names and shapes of the weights decide all fields but `k` and `dtype`. No shape shows the offsets and the
    normalization: official names are taken to mean the official ones. Set `model.dcn_offsets` and
    `data.normalization` afterwards where this is wrong.

    **Arguments:** `config`, changed in place; `path_or_state_dict`: as of `load_torch_weights`.

    **Raises:** ValueError when the weights are of no known model, of another task than the config, or of a backbone
    alone; FileNotFoundError, ImportError as `torch_weights.files.read_state_dict`.
    """
    state_dict = read_state_dict(path_or_state_dict)
    crnn = is_crnn(state_dict)
    if (task := "recognition" if crnn else "detection") != config.task:
        said = f"`config.task` (={config.task!r}) must be {task!r} for these weights"
        raise ValueError(f"{said}: --config names one for {task}, and may be left out")
    if crnn:
        _configure_crnn(config, state_dict)
        return
    options = describe(path_or_state_dict)
    if "inner_channels" not in options:
        raise ValueError(
            "the weights are those of a backbone alone, which detects nothing; `config.init.backbone` trains from them"
        )
    config.data.normalization = options.pop("normalization")
    config.model.binarization = "differentiable" if options.pop("adaptive") else "standard"
    for name, value in options.items():
        config.model[name] = value


def _configure_crnn(config: ConfigDict, state_dict: Mapping[str, object]) -> None:
    found = describe_crnn(state_dict)
    config.model.update({"backbone": "vgg", "decoder": "ctc", "hidden": found["hidden"]})
    config.model.characters = _CHARACTERS.get(found["classes"], config.model.characters)


def _check_characters(config: ConfigDict, state_dict: Mapping[str, object]) -> None:
    """**Raises:** ValueError when the character set has not as many characters as the weights."""
    wanted, have = describe_crnn(state_dict)["classes"] - 1, load_characters(config.model.characters).classes - 1
    if wanted != have:
        raise ValueError(
            f"`config.model.characters` (={config.model.characters!r}) has {have} characters, and the weights write "
            f"{wanted}: --config.model.characters=FILE names a text file of them, in the order of their training"
        )


def convert_checkpoint(
    path_or_state_dict: PathOrStateDict, workdir: str | os.PathLike[str], config: ConfigDict
) -> dict[str, int]:
    """Writes `<workdir>/config.json` and `<workdir>/checkpoints/0` from the weights of a PyTorch detector or CRNN.

    **Arguments:**

    - `path_or_state_dict`: as of `load_torch_weights`.
    - `workdir`: made if it does not exist.
    - `config`: of the model that the weights are of, see `configure`, and of all else (data, sizes, thresholds).

    **Returns:** "parameters" and "statistics", how many numbers; of a detector also "dead_arrays", how many arrays take
    no part in detection and were left out.

    **Raises:** ValueError when the workdir holds checkpoints already or the weights do not fit the config's model;
    WorkdirInUse; FileExistsError when it contains files of a person; FileNotFoundError, ImportError as
    `torch_weights.files.read_state_dict`.
    """
    _check_empty(workdir)
    check_workdir(workdir)
    state_dict = read_state_dict(path_or_state_dict)
    crnn = is_crnn(state_dict)
    if crnn:
        _check_characters(config, state_dict)
        config = task_of(config).complete(config)
    variables = load_torch_weights(state_dict, task_of(config).model(config))
    with only_run_in(workdir):
        _check_empty(workdir)  # a run may have begun meanwhile
        save_config(config, workdir)
        with Checkpoints(workdir) as checkpoints:
            checkpoints.save_variables(variables)
    counts = {"parameters": _count(variables["params"]), "statistics": _count(variables["batch_stats"])}
    # An LSTM's gates are one array there, and several here.
    return counts if crnn else counts | {"dead_arrays": len(state_dict) - len(jax.tree.leaves(variables))}


def _check_empty(workdir: str | os.PathLike[str]) -> None:
    if has_checkpoint(workdir):
        raise ValueError(f"`workdir` (={os.fspath(workdir)!r}) holds checkpoints already: name another one")


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def run(options: Options) -> None:
    """The command `convert`."""
    if options.input is None:
        raise UsageError("--input is missing: a PyTorch checkpoint, .pth or .safetensors")
    folder, state_dict = workdir(options), read_state_dict(options.input, "input")
    crnn = is_crnn(state_dict)
    default = recognition_config if crnn else default_config
    config = read_config(options.config) if options.config else default().lock()
    configure(config, state_dict)
    set_fields(config, options)
    found = dict(config.model) if crnn else {**config.model, "normalization": config.data.normalization}
    for name, value in {**found, **convert_checkpoint(state_dict, folder, config)}.items():
        print(f"{name}: {value}")
    user = f"--mode=read --recognizer={folder}" if crnn else "--mode=predict"
    print(f"results: {folder}, for --mode=evaluate, --mode=export and {user}")
