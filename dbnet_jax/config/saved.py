"""A config as JSON, in the folder of a run and in a weights file."""

import json
import math
import os
import pathlib
import re
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import jax
from ml_collections import ConfigDict

from dbnet_jax.config.fields import assign
from dbnet_jax.files import write_json
from dbnet_jax.paths import as_path
from dbnet_jax.training.task import get_task, task_of

FOLDERS = (
    "data.dir",
    "data.tfds_dir",
    "data.backgrounds",
    "data.layouts",
    "data.fonts",
    "data.vocabulary",
    "predict.lexicon",
    "predict.network",
    "init.backbone",
    "init.checkpoint",
)
"""Fields that name a folder or a file on the machine that trained, of all tasks."""

# Fields of earlier versions, with their names of today in the same section.
_RENAMED = {"data.render": "pixels"}
# Values that were defaults of earlier versions and would limit this one: they follow today's default.
_OUTDATED = {"predict.max_candidates": 1000}


def config_from_json(text: str) -> ConfigDict:
    """The config in a JSON text. Fields that it lacks have their defaults, and so have those of `_OUTDATED`.

    **Raises:** ValueError when the text is not a JSON object of finite numbers, and as `assign`.
    """
    try:
        sections = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error
    if not isinstance(sections, dict):
        raise ValueError(f"a JSON object is expected, not {type(sections).__name__}")
    config = get_task(str(sections.get("task", "detection"))).default_config()
    for name, section in sections.items():
        if not isinstance(config.get(name), ConfigDict):
            assign(config, name, section, name)
        elif isinstance(section, dict):
            for field, value in section.items():
                if f"{name}.{field}" in _OUTDATED and value == _OUTDATED[f"{name}.{field}"]:
                    continue
                today = str(_RENAMED.get(f"{name}.{field}", field))
                assign(config[name], today, value, f"{name}.{today}")
        else:
            raise ValueError(f"`config.{name}` (={section!r:.60}) must be an object with fields")
    return config


def read_config_json(file: pathlib.Path) -> ConfigDict:
    """The config of a run, from its `config.json`. **Raises:** ValueError with the file and the reason."""
    try:
        return config_from_json(file.read_text(encoding="utf-8"))
    except (ValueError, IsADirectoryError) as error:
        raise ValueError(
            f"{file} is damaged ({error}): bring back a copy, or give --config; the next training writes the file anew"
        ) from error


def save_config(config: ConfigDict, workdir: str | os.PathLike[str]) -> None:
    """Writes `<workdir>/config.json`, which `Detector.from_checkpoint` reads beside the weights."""
    if jax.process_index() == 0:
        folder = as_path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", config.to_dict())


def unknown_fields(config: ConfigDict) -> list[str]:
    """The fields of the sections `model` and `predict` that this version does not know."""
    known = task_of(config).default_config()
    return [f"{part}.{name}" for part in ("model", "predict") for name in config[part] if name not in known[part]]


def without_paths(config: ConfigDict) -> ConfigDict:
    """A copy to publish: folders and files of the machine keep only their last name, and there is no password."""
    config, known = config.copy_and_resolve_references(), task_of(config).default_config()
    with config.unlocked():
        if "password" in config.predict:
            config.predict.password = None
        for field in FOLDERS:
            section, name = field.split(".")
            if name in known[section] and config[section][name] != known[section][name]:
                config[section][name] = _last_name(config[section][name])
        for name in ("train_labels", "eval_labels"):  # most are relative to `data.dir`
            if any(kind(config.data[name]).is_absolute() for kind in (PurePosixPath, PureWindowsPath)):
                config.data[name] = _last_name(config.data[name])
        # "msra_td500=/data/td500*0.5@0.4": the numbers follow the folder.
        config.data.mix = re.sub(
            r"=([^,]*?)((?:\*[^*@/\\,]*)?(?:@[^*@/\\,]*)?)(?=,|$)",
            lambda found: f"={_last_name(found[1].strip())}{found[2]}",
            config.data.mix,
        )
    return config


def changed_fields(config: ConfigDict, known: ConfigDict | None = None) -> dict[str, Any]:
    """The fields of `config` that differ from `known`, or from the defaults: "data.crop" → the value in `config`."""
    known = task_of(config).default_config() if known is None else known
    changed = {name: config[name] for name in ("task", "seed") if config[name] != known[name]}
    for section, part in known.items():
        if isinstance(part, ConfigDict):
            values = config[section]
            changed |= {f"{section}.{name}": values[name] for name in part if values[name] != part[name]}
    return changed


def changes_since(config: ConfigDict, workdir: str | os.PathLike[str]) -> str:
    """How the config differs from that of the run in `workdir`, for its log.

    For example "with another config than before: train.learning_rate=0.001 (was 0.002)".

    Sections `predict` and `evaluate` do not change training, and do not count.

    **Returns:** "" when nothing changed; that the `config.json` of the run is damaged, where it is.
    """
    file = as_path(workdir) / "config.json"
    if not file.is_file():
        return ""
    try:
        earlier = config_from_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{file} is damaged ({error}) and is written anew"
    before = changed_fields(earlier, config)
    changes = ", ".join(
        f"{field}={value!r} (was {before[field]!r})"
        for field, value in changed_fields(config, earlier).items()
        if not field.startswith(("predict.", "evaluate."))
    )
    return changes and f"with another config than before: {changes}"


def _last_name(path: str) -> str:
    """The last name of a path. A run may come from another system."""
    return PurePath(path.replace("\\", "/")).name


def _finite(text: str) -> float:
    """A number of a JSON text. **Raises:** ValueError when it is not finite."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no finite number")
    return value
