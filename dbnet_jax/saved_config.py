"""A config as JSON, as a run and a file of weights carry it."""

import json
import re
from pathlib import PurePath
from typing import Any

from ml_collections import ConfigDict

from configs import common

FOLDERS = (
    "data.dir",
    "data.tfds_dir",
    "data.backgrounds",
    "data.layouts",
    "data.fonts",
    "init.backbone",
    "init.checkpoint",
)
"""Fields that name a folder or a file of the machine that trained."""


def config_from_json(text: str) -> ConfigDict:
    """The config that `text` holds; fields that are younger than it have their defaults.

    **Raises:** ValueError when it is not a JSON object.
    """
    sections = json.loads(text)
    if not isinstance(sections, dict):
        raise ValueError(f"a JSON object is expected, not {type(sections).__name__}")
    config = common.get_config()
    for name, section in sections.items():
        if isinstance(section, dict) and name in config:
            config[name] = ConfigDict({**config[name], **_tuples(section)})
        else:
            config[name] = _tuples(section)
    return config


def unknown_fields(config: ConfigDict) -> list[str]:
    """What a config says of the network and the prediction that this version does not know."""
    known = common.get_config()
    return [f"{part}.{name}" for part in ("model", "predict") for name in config[part] if name not in known[part]]


def without_paths(config: ConfigDict) -> ConfigDict:
    """A copy that may be published: of every folder and file on the machine that trained only the last name."""
    config, known = config.copy_and_resolve_references(), common.get_config()
    with config.unlocked():
        for field in FOLDERS:
            section, name = field.split(".")
            if config[section][name] != known[section][name]:
                config[section][name] = PurePath(config[section][name]).name
        for name in ("train_labels", "eval_labels"):  # relative to `data.dir`, as a rule
            if PurePath(config.data[name]).is_absolute():
                config.data[name] = PurePath(config.data[name]).name
        # "msra_td500=/data/td500*0.5@0.4": the numbers stand behind the folder.
        config.data.mix = re.sub(
            r"=([^,]*?)((?:\*[^*@/,]*)?(?:@[^*@/,]*)?)(?=,|$)",
            lambda found: f"={PurePath(found[1].strip()).name}{found[2]}",
            config.data.mix,
        )
    return config


def changed_fields(config: ConfigDict) -> dict[str, Any]:
    """The fields in which a config differs from configs/common.py, "data.crop" → its value."""
    known = common.get_config()
    changed = {"seed": config.seed} if config.seed != known.seed else {}
    for section, part in known.items():
        if isinstance(part, ConfigDict):
            values = config[section]
            changed |= {f"{section}.{name}": values[name] for name in part if values[name] != part[name]}
    return changed


def _tuples(section: Any) -> Any:
    """JSON knows no tuples."""
    if isinstance(section, dict):
        return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    return section
