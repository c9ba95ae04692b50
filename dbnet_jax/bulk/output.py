"""The files of a job in its folder, on a disk or in a bucket: each is there whole, or not at all."""

import contextlib
import json
import os
import pathlib
import uuid
from typing import Any

from dbnet_jax.bulk.places import size_of
from dbnet_jax.bulk.rows import KEY
from dbnet_jax.files import naming
from dbnet_jax.paths import as_path, in_bucket

PLAN = "plan.json"
TRIES = "tries"
"""The folder with a file for each shard that a process is doing."""
PARTIAL = ".partial"
"""The suffix of files that are being written."""


def part_name(shard: int) -> str:
    """ "part-00017", the name of a shard's files without their suffix."""
    return f"part-{shard:05}"


def put(file: str, content: bytes, durable: bool = True) -> None:
    """Writes a file in one move; its folder must exist.

    Another process may be writing the same file: the machine of a shard may count as lost, and go on for a moment. So
    the file beside it has a name of its own. `files.write_atomically` has one name for it, as nothing clears up after
    the runs that use it, and does not wait for the disk.

    **Arguments:** `file`: its path or address; `content`; `durable`: whether it must outlive a loss of power.
    """
    if in_bucket(file):
        as_path(file).write_bytes(content)  # a bucket shows an object when it is whole
        return
    partial = pathlib.Path(f"{file}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        with naming(file):
            with open(partial, "wb") as stream:
                stream.write(content)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_part(output: str, shard: int, digest: str) -> dict[str, Any] | None:
    """What is known of a shard that is done: "pictures" and "unreadable", how many there are.

    **Returns:** None where a file of the shard is missing or damaged, or belongs to another shard.
    """
    import pyarrow
    import pyarrow.parquet

    part = f"{output}/{part_name(shard)}"
    try:
        with as_path(f"{part}.parquet").open("rb") as file:
            about = json.loads((pyarrow.parquet.read_metadata(file).metadata or {})[KEY])
        whole = about["digest"] == digest and about["json_bytes"] == size_of(f"{part}.jsonl")
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException):
        return None
    return about if whole else None


def has_begun(output: str) -> bool:
    """Whether a process has begun a shard of the job in this folder."""
    return any(True for folder in (output, f"{output}/{TRIES}") for _ in as_path(folder).glob("part-*"))


def clear(output: str) -> None:
    """Removes what is no result: what killed processes left of files that they were writing, and the notes of tries."""
    partial = () if in_bucket(output) else pathlib.Path(output).glob(f"*{PARTIAL}")
    for file in (*partial, *as_path(f"{output}/{TRIES}").glob("part-*.json*")):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none, or a person's file is in it; a bucket has no folders
        pathlib.Path(output, TRIES).rmdir()
