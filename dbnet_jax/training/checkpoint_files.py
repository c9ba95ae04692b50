"""The files of one checkpoint, without Orbax: which items it has, its score, its digests and its damage.

<workdir>/checkpoints/<step>/digests.json       SHA-256 of every file of the items
                             metrics/metrics    the score, where the step has been evaluated

Checkpoints of earlier versions have no digests.json. They load without the check.
"""

import hashlib
import json
import math
import os
import pathlib
import re
from collections.abc import Collection

from dbnet_jax.files import write_json
from dbnet_jax.paths import as_path, in_bucket

_DIGESTS = "digests.json"
_METRICS = "metrics/metrics"  # Orbax's own place
_HANDLERS = "_CHECKPOINT_METADATA"  # Orbax's list of the items
MARKS = (_DIGESTS, "commit_success.txt")
"""Files of which a complete checkpoint in a bucket has one. On a disk, a folder gets its name when it is complete."""


class DamagedCheckpoint(ValueError):
    """A file of a checkpoint is missing, or has other bytes than were saved."""


def check_place(workdir: str | os.PathLike[str]) -> None:
    """**Raises:** ValueError where no checkpoint can be in `workdir`; BucketError as `as_path`."""
    if in_bucket(workdir) and not os.fspath(workdir).startswith("gs://"):
        raise ValueError(
            f"`workdir` (={os.fspath(workdir)!r}) must be a folder or in a gs:// bucket: Orbax saves no checkpoint in "
            "other buckets. Train in a folder, and copy it there afterwards, for example by `aws s3 sync`; "
            "docs/buckets.md has other ways"
        )
    as_path(workdir)


def saved_steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints in a folder, damaged ones too; the newest first.

    In a bucket, a step without one of `MARKS` is one whose save was killed, and is no checkpoint.
    """
    steps = [path for path in folder.glob("*") if re.fullmatch("0|[1-9][0-9]*", path.name)]
    complete = [path for path in steps if not in_bucket(path) or any((path / mark).is_file() for mark in MARKS)]
    return sorted((int(path.name) for path in complete), reverse=True)


def saved_at(folder: pathlib.Path) -> float:
    """When a checkpoint was complete, in seconds since 1970."""
    return (folder / _DIGESTS if in_bucket(folder) else folder).stat().st_mtime


def write_digests(folder: pathlib.Path) -> None:
    """Writes the digests of all files of the items into the folder of their checkpoint."""
    files = sorted(path for path in folder.rglob("*") if path.parent != folder and path.is_file())
    write_json(folder / _DIGESTS, {path.relative_to(folder).as_posix(): _digest(path) for path in files})


def has_digests(folder: pathlib.Path) -> bool:
    """Whether the checkpoint in this folder was saved with digests."""
    return (folder / _DIGESTS).exists()


def saved_items(folder: pathlib.Path) -> set[str]:
    """The names of the items that were saved: "model", "average", "training". **Raises:** DamagedCheckpoint."""
    digests = _read_object(folder / _DIGESTS)
    if digests is not None:
        return {name.partition("/")[0] for name in digests} - {"metrics"}
    handlers = (_read_object(folder / _HANDLERS) or {}).get("item_handlers")
    if isinstance(handlers, dict):
        return set(handlers) - {"metrics"}
    return {path.name for path in folder.glob("*") if path.is_dir()} - {"metrics"}


def check_files(folder: pathlib.Path, items: Collection[str] = ()) -> None:
    """Checks that no file of the items and of the score is missing or has other bytes than were saved.

    **Arguments:** `folder`, of the checkpoint; `items`: others may be damaged or gone.

    **Raises:** DamagedCheckpoint with the file and what is wrong with it.
    """
    if not folder.is_dir():
        raise DamagedCheckpoint("it is not a folder")
    saved = saved_items(folder)
    if not saved:
        raise DamagedCheckpoint("it has no weights")
    if missing := [item for item in items if item in saved and not (folder / item).is_dir()]:
        raise DamagedCheckpoint(f"{missing[0]} is missing")
    for name, digest in (_read_object(folder / _DIGESTS) or {}).items():
        if name.partition("/")[0] not in ("metrics", *items):
            continue
        if not (folder / name).is_file():
            raise DamagedCheckpoint(f"{name} is missing")
        if _digest(folder / name) != digest:
            raise DamagedCheckpoint(f"{name} has other bytes than were saved")
    read_score(folder)


def read_score(folder: pathlib.Path, metric: str | None = None) -> float | None:
    """The score of a checkpoint; None where it has none, or no number.

    **Arguments:** `folder`, of the checkpoint; `metric`: the name of the score.

    **Raises:** DamagedCheckpoint when it cannot be read.
    """
    score = (_read_object(folder / _METRICS) or {}).get(metric, math.nan)
    if not isinstance(score, int | float):
        raise DamagedCheckpoint(f"{_METRICS} has the score {score!r:.60}")
    return None if math.isnan(score) else float(score)


def write_score(folder: pathlib.Path, metric: str, score: float) -> None:
    """Adds its score to a checkpoint that was saved without one."""
    file = folder / _METRICS
    file.parent.mkdir(exist_ok=True)
    write_json(file, {metric: score})
    if digests := _read_object(folder / _DIGESTS):
        write_json(folder / _DIGESTS, digests | {_METRICS: _digest(file)})


def set_aside(folder: pathlib.Path) -> pathlib.Path:
    """Renames the folder of a damaged checkpoint, so that its step can be saved again. Nothing is deleted."""
    aside, number = folder.with_name(f"{folder.name}.damaged"), 1
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}.damaged-{number}")
    return folder.rename(aside)


def set_aside_at(folder: pathlib.Path) -> float:
    """When the last damaged checkpoint of a folder was renamed, in seconds since 1970; 0 without one."""
    aside = list(folder.glob("*.damaged*"))
    if not aside:
        return 0.0
    # In a bucket, a rename writes all files anew. On a disk, it changes the folder around it.
    return max(map(saved_at, aside)) if in_bucket(folder) else folder.stat().st_mtime


def _digest(file: pathlib.Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except PermissionError:
        raise
    except OSError as error:
        raise DamagedCheckpoint(f"{file.name} cannot be read: {os.strerror(error.errno or 0)}") from error


def _read_object(file: pathlib.Path) -> dict | None:
    """The JSON object in a file; None where there is no file. **Raises:** DamagedCheckpoint."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{file.name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise DamagedCheckpoint(f"{file.name} holds no JSON object")
    return value
