"""The plan of a job: its shards, each with its pictures. A restart must have the same plan."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dbnet_jax.bulk.listing import Entry
from dbnet_jax.bulk.output import PLAN, has_begun, part_name, put
from dbnet_jax.messages import plural
from dbnet_jax.paths import as_path

_FORMAT = 2
_MOST_LISTED = 3


class Shard(NamedTuple):
    """Some pictures of a job, whose results are one Parquet file and one file of JSON lines.

    - `number`: from 0; `digest`: of the pictures and of the job's options; `entries`: the pictures.
    """

    number: int
    digest: str
    entries: list[Entry]


class Plan(NamedTuple):
    """What a job does. `options`: all that decides the results, as plain values with texts as keys."""

    options: Mapping[str, Any]
    shards: list[Shard]


class PlanChanged(ValueError):
    """The folder of results belongs to a job with other pictures or options."""


def make_plan(entries: Sequence[Entry], size: int, options: Mapping[str, Any]) -> Plan:
    """Cuts the pictures into shards of `size` pictures, in their order."""
    options = json.loads(json.dumps({**options, "shard_size": size}))  # as a plan that was saved
    shards = []
    for number, start in enumerate(range(0, len(entries), size)):
        part = list(entries[start : start + size])
        content = json.dumps([_FORMAT, options, [_identity(entry) for entry in part]], sort_keys=True)
        shards.append(Shard(number, hashlib.sha256(content.encode()).hexdigest(), part))
    return Plan(options, shards)


def open_plan(output: str, plan: Plan) -> None:
    """Saves the plan in the folder of results, or checks it against the plan that is there.

    A plan of which no shard has begun is replaced: its job ended at once, for example by a wrong option.

    **Raises:** PlanChanged, with what has changed; FileExistsError if the folder has results without a plan.
    """
    if not as_path(f"{output}/{PLAN}").exists():
        if any(as_path(f"{output}/{part_name(0)}{suffix}").exists() for suffix in (".parquet", ".jsonl")):
            raise FileExistsError(
                f"`output` (={output!r}) contains {part_name(0)} and no {PLAN}: move it, or choose another folder"
            )
        _save(output, plan)
        return
    saved = _load(output)
    changes = _changed_options(saved.options, plan.options) or _changed_pictures(saved, plan)
    if changes and not has_begun(output):
        _save(output, plan)
    elif changes:
        raise PlanChanged(
            f"`output` (={output!r}) belongs to a job with other {changes}. Choose another --output for this job, or "
            f"start it as it was; the plan is {PLAN}"
        )


def _save(output: str, plan: Plan) -> None:
    saved = {"format": _FORMAT, "options": plan.options, "shards": [shard.entries for shard in plan.shards]}
    put(f"{output}/{PLAN}", (json.dumps(saved) + "\n").encode())


def _load(output: str) -> Plan:
    try:
        saved = json.loads(as_path(f"{output}/{PLAN}").read_text())
        if saved["format"] != _FORMAT:
            raise ValueError(f"its format is {saved['format']!r}")
        shards = [[Entry(*entry) for entry in entries] for entries in saved["shards"]]
        return Plan(saved["options"], [Shard(number, "", entries) for number, entries in enumerate(shards)])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`output` (={output!r}) contains a {PLAN} that is no plan of a job, or is damaged ({error}): "
            "choose another folder"
        ) from error


def _identity(entry: Entry) -> list[object]:
    """What must stay. The folder of the pictures may move."""
    return [entry.name, entry.inside, entry.size, entry.archive_size]


def _changed_options(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*saved, *now}) if saved.get(name) != now.get(name)]
    # All fields of what is not in one of the two jobs have changed too.
    names = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
    if not names:
        return ""
    return "options: " + ", ".join(
        f"{name} was {_short(saved.get(name))}, now {_short(now.get(name))}" for name in names
    )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:36]} …"


def _changed_pictures(saved: Plan, now: Plan) -> str:
    before, after = (
        {entry.name: _identity(entry) for shard in plan.shards for entry in shard.entries} for plan in (saved, now)
    )
    kinds = {
        "new": [name for name in after if name not in before],
        "gone": [name for name in before if name not in after],
        "changed": [name for name in after if name in before and before[name] != after[name]],
    }
    words = [
        f"{len(names):,} {kind} ({', '.join(names[:_MOST_LISTED])}{', …' * (len(names) > _MOST_LISTED)})"
        for kind, names in kinds.items()
        if names
    ]
    return f"pictures, of {plural(len(before), 'picture')}: {', '.join(words)}" if words else ""
