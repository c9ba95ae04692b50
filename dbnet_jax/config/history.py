"""A run that goes on with another config than it had: said when it happens, and kept for the card of its weights."""

import os
import pathlib
import re

import jax
from ml_collections import ConfigDict

from dbnet_jax.config.saved import changed_fields, config_from_json, without_paths
from dbnet_jax.pages.evaluation import write_json

_FILE = re.compile(r"config_until_(\d+)\.json")


def keep_earlier_config(config: ConfigDict, workdir: str | os.PathLike[str], step: int) -> str:
    """Keeps the config in the workdir, with which the run came to `step`, where it goes on with another.

    It becomes `<workdir>/config_until_<step>.json`, before `config.json` is written anew.

    **Returns:** what changed, in words; "" where nothing did that training knows of, and of a run that starts.

    **Raises:** ValueError when `config.json` is none.
    """
    folder = pathlib.Path(workdir)
    if step == 0 or not (folder / "config.json").is_file():
        return ""
    earlier = config_from_json((folder / "config.json").read_text())
    changes = _differences(config, earlier, "was")
    kept = folder / f"config_until_{step}.json"
    # Its first successor trained nothing if there is one already.
    if changes and jax.process_index() == 0 and not kept.exists():
        write_json(kept, earlier.to_dict())
    return ", ".join(changes)


def history(config: ConfigDict, workdir: str | os.PathLike[str], step: int) -> list[str]:
    """What a run had before `step` that its config does not say, without the folders of a machine: a sentence each."""
    found = [(int(match[1]), file) for file in pathlib.Path(workdir).iterdir() if (match := _FILE.fullmatch(file.name))]
    sentences = []
    for until, file in sorted(found):
        if until < step:
            earlier = without_paths(config_from_json(file.read_text()))
            changes = _differences(earlier, without_paths(config), "then")
            sentences.append(f"Until batch {until} the run had {', '.join(changes)}.")
    return sentences


def _differences(config: ConfigDict, other: ConfigDict, word: str) -> list[str]:
    values = changed_fields(other, config)
    return [
        f"{field}={value!r} ({word} {values[field]!r})"
        for field, value in changed_fields(config, other).items()
        if not field.startswith(("predict.", "evaluate."))
    ]
