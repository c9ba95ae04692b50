"""A run's weights become one file, with a card that says where they come from."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from dbnet_jax.config.saved import changed_fields, config_from_json, without_paths
from dbnet_jax.paths import as_path
from dbnet_jax.training.checkpoint_files import saved_at, set_aside_at
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.file import Weights, save_weights
from dbnet_jax.weights.model_card import CardScore, ModelCard
from dbnet_jax.weights.run_folder import load_config, restore_checkpoint

_CONVERTED = "Weights that were converted from a PyTorch file."


class Exported(NamedTuple):
    """What an export left: the weights, the card to read, and what to know about it, a line each."""

    file: pathlib.Path
    card: pathlib.Path
    notes: list[str]


def export_run(
    workdir: str | os.PathLike[str],
    output: str | os.PathLike[str],
    config: ConfigDict,
    words: Mapping[str, Any] | None = None,
) -> Exported:
    """Writes the weights of a run in one file: of the checkpoint that `config.predict.checkpoint` names, averaged ones
    where the run kept an average.

    **Arguments:**

    - `workdir`: the run's folder.
    - `output`: the file, NAME.safetensors; its card is NAME.md beside it.
    - `config`: the run's, maybe with other fields of `predict`, and of no other section: they become the file's.
    - `words`: fields of `ModelCard` in the place of what the run tells; `scores` come to those of the run.

    **Raises:** FileNotFoundError when there is no run or no checkpoint; ValueError when `config` is not the run's, or
    none to detect with, and as `restore_checkpoint` and `ModelCard.from_dict`; otherwise as `save_weights`.
    """
    output = as_path(output)
    (config, variables, card), notes = run_weights(workdir, output.stem, config, words or {})
    return Exported(output, save_weights(output, variables, config, card), notes)


def run_weights(
    workdir: str | os.PathLike[str], name: str, config: ConfigDict, words: Mapping[str, Any]
) -> tuple[Weights, list[str]]:
    """The weights of a run with a card of this name, and notes on the card.

    **Arguments:** otherwise those of `export_run`.

    **Raises:** as `export_run`, except for the errors of writing.
    """
    saved = load_config(workdir)
    _check_changes(config, saved)
    shown = without_paths(saved)
    variables, step, damaged = restore_checkpoint(config, workdir)
    scores, notes = _measured(as_path(workdir), config, step, damaged)
    trained = step > 0  # `--mode=convert` makes checkpoint 0
    card = ModelCard(
        name=name,
        data=_data(shown) if trained else _CONVERTED,
        command=_command(shown, name) if trained else "",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        commit=code_version(),
        scores=scores,
    )
    return Weights(config, variables, card.extended(words)), notes


def read_words(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Fields of a card from a JSON file. **Raises:** FileNotFoundError; ValueError when it holds none."""
    path, named = as_path(path), f"`card` (={os.fspath(path)!r})"
    if not path.is_file():
        raise FileNotFoundError(f"{named} is {'a folder, not a file' if path.is_dir() else 'not there'}")
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(words, dict):
            raise ValueError(f"it holds {words!r:.60}")
        ModelCard.from_dict({"name": ""} | words)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{named} must be a JSON object with fields of a card, in UTF-8: {error}") from error
    return words


def code_version() -> str:
    """The commit of the checkout that this file belongs to, "-dirty" with changes; else the installed package's
    version; "unknown" of a copy that is neither."""
    folder, name = pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).name
    # Installed below somebody else's checkout it is not of theirs.
    for command in (["ls-files", "--error-unmatch", name], ["describe", "--always", "--dirty", "--exclude=*"]):
        try:
            done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return _version()
    return done.stdout.strip()


def _version() -> str:
    try:
        return f"dbnet_jax {importlib.metadata.version('dbnet_jax')}"
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _check_changes(config: ConfigDict, saved: ConfigDict) -> None:
    """Refuses what would make the file or its card untrue, or a file that no detector can be made of."""
    if others := [field for field in changed_fields(config, saved) if not field.startswith("predict.")]:
        raise ValueError(
            f"`config` is not the run's in {', '.join(others)}: only fields of `config.predict` change with an export"
        )
    task_of(config).check_predict(config)


def _measured(
    workdir: pathlib.Path, config: ConfigDict, step: int, damaged: bool
) -> tuple[tuple[CardScore, ...], list[str]]:
    """What the run's evaluation.json says of these weights with these fields, and why where it says nothing."""
    file = workdir / "evaluation.json"
    again = f"`python run.py --mode=evaluate --workdir={workdir}` measures them"
    if not file.is_file():
        return (), [f"the card has no scores, {file} is not there: {again}"]
    checkpoints, now = workdir / "checkpoints", config.predict.to_dict()
    written = file.stat().st_mtime
    if damaged or written < set_aside_at(checkpoints):
        return (), [f"the card has no scores: {file} may be of a damaged checkpoint; remove that one, then {again}"]
    try:
        fields, score = _evaluation(file, config)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return (), [f"the card has no scores: {file} is damaged ({type(error).__name__}: {error}); {again}"]
    # Neither of these two changes a score: pictures to score are read by their data set.
    if fields | {name: now[name] for name in ("follow_exif", "batch_size")} != now:
        return (), [f"the card has no scores: {file} was measured with other fields of `config.predict`; {again}"]
    if written < saved_at(checkpoints / str(step)):
        return (), [f"the card has no scores: {file} is older than the checkpoint of step {step}; {again}"]
    return (score,), []


def _evaluation(file: pathlib.Path, config: ConfigDict) -> tuple[dict[str, Any], CardScore]:
    """The fields of `predict` that an evaluation was made with, and its scores. Files of earlier versions lack them."""
    found = json.loads(file.read_text(encoding="utf-8"))
    measured = found.get("measured_with") or {"predict": {}, "data": "", "split": ""}
    metrics = {name: float(found[name]) for name in task_of(config).metrics}
    score = CardScore(f"{measured['data']}, {measured['split']}", found["protocol"], int(found["images"]), metrics)
    fields = config_from_json(json.dumps({"task": config.task, "predict": measured["predict"]})).predict.to_dict()
    return fields if measured["predict"] else {}, score


def _data(config: ConfigDict) -> str:
    data, init = config.data, config.init.checkpoint or config.init.backbone
    mixed = f", mixed with {data.mix}" if data.mix else ""
    return f"{data.name} ({data.train_split}){mixed}, from {f'the weights of {init}' if init else 'random weights'}."


def _command(config: ConfigDict, name: str) -> str:
    """A command that trains with this config, whatever its file is called now."""
    changed = changed_fields(config)
    fields = [f"--config.{field}={value}" for field, value in changed.items()]
    return shlex.join(["python", "run.py", "--config=configs/common.py", *fields, f"--workdir=runs/{name}"])
