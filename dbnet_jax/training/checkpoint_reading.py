"""Reads the first checkpoint that is whole, in the order in which a run wants them."""

import contextlib
import math
import os
import pathlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
import tensorstore

from dbnet_jax.models.variables import Shapes, differences, listed
from dbnet_jax.sharding import gather
from dbnet_jax.training.checkpoint_files import (
    DamagedCheckpoint,
    check_files,
    has_digests,
    read_score,
    saved_items,
    saved_steps,
)

Wanted = Callable[[set[str]], dict[str, Any]]
"""From the names of the items in a checkpoint to those that are read, each as arrays or shapes with shardings."""


class Found(NamedTuple):
    """A checkpoint, and the damaged ones that would have come before it.

    - `step`, `items`: of the checkpoint that is whole.
    - `damaged`: what is wrong with the others, by step.
    """

    step: int
    items: dict[str, Any]
    damaged: dict[int, str]


def find_whole(folder: pathlib.Path, metric: str | None, wanted: Wanted) -> Found | None:
    """Reads the first checkpoint that is whole.

    **Arguments:**

    - `folder`: of the checkpoints.
    - `metric`: the best by this score comes first, and those without a score last; None: the latest comes first.
    - `wanted`: the items to read.

    **Returns:** None when there is no checkpoint.

    **Raises:** ValueError when the checkpoint is of another architecture; DamagedCheckpoint when all are damaged.
    """
    scores, damaged = {}, {}
    for step in saved_steps(folder):
        try:
            check_files(folder / str(step))
            score = read_score(folder / str(step), metric) if metric else None
            scores[step] = -math.inf if score is None else score
        except DamagedCheckpoint as error:
            damaged[step] = str(error)
    for step in sorted(scores, key=lambda step: scores[step], reverse=True):  # of equals, the latest stays first
        try:
            return Found(step, _read(folder / str(step), wanted), damaged)
        except DamagedCheckpoint as error:
            damaged[step] = str(error)
    if damaged:
        lines = [f"{folder / str(step)}: {why}" for step, why in sorted(damaged.items(), reverse=True)]
        raise DamagedCheckpoint(
            f"every checkpoint is damaged: bring one back from a copy, or train in another workdir{listed(lines)}"
        )
    return None


def check_same_step(folder: pathlib.Path, step: int | None) -> None:
    """Checks that all processes of a run read the same checkpoint; every process must call it.

    **Arguments:** `folder`: of the checkpoints; `step`: what this process read, None where it found no checkpoint.

    **Raises:** OSError where the steps differ: the states would too, and the processes would wait for each other.
    """
    steps = [row["step"] for row in gather([{"step": step}])]
    if len(set(steps)) > 1:
        read = ", ".join(f"process {index}: {'none' if one is None else one}" for index, one in enumerate(steps))
        raise OSError(
            f"the processes of this run read checkpoints of different steps in {folder} ({read}): every host must be "
            "able to read all of its files. Mend the file system of the hosts with the older step, and start all "
            "processes again with the same commands"
        )


def reason(error: Exception) -> str:
    """What an error of Orbax says, in one short line. Of an error of the system, its words are enough."""
    found = re.search(r"os_error_code='(\d+)'", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    lines = str(error).splitlines() or [type(error).__name__]
    return os.strerror(number) if number else f"{lines[0]:.240}"


def _read(folder: pathlib.Path, wanted: Wanted) -> dict[str, Any]:
    saved = saved_items(folder)
    items = wanted(saved)
    check_files(folder, items)
    if "training" in items and "training" not in saved:
        raise ValueError(
            f"{folder} holds converted weights, which no run can go on from: start one in another workdir, with "
            f"`config.init.checkpoint` = {str(folder.parent.parent)!r}"
        )
    registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
    for item in items:
        registry.add(item, ocp.args.StandardRestore, ocp.StandardCheckpointHandler())
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(handler_registry=registry)) as reader:
        with _unreadable_is_damaged(folder):
            if not has_digests(folder):
                _read_keys(folder, saved & items.keys())
            stored = reader.metadata(folder).item_metadata
            shapes = {item: _shapes(item, stored[item].tree) for item in items if stored.get(item) is not None}
        if lost := [item for item in items if item in saved and item not in shapes]:
            raise DamagedCheckpoint(f"{lost[0]} cannot be read")
        if wrong := [line for name, item in items.items() for line in _differences(name, shapes.get(name), item)]:
            raise ValueError(
                f"the checkpoint of step {folder.name} in {folder.parent} is of another architecture than "
                "`config.model` or `config.train` describes; take its own config.json or another workdir:"
                f"{listed(wrong)}"
            )
        restores = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        with _unreadable_is_damaged(folder):
            return dict(reader.restore(folder, args=ocp.args.Composite(**restores)).items())


def _read_keys(folder: pathlib.Path, items: Collection[str]) -> None:
    """Fails where a stored value cannot be read. Orbax fails there too, but its threads print a traceback each."""
    for item in items:
        base = {"driver": "file", "path": f"{folder / item}/"}
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
        for key in store.list().result():
            store.read(key).result()


@contextlib.contextmanager
def _unreadable_is_damaged(folder: pathlib.Path) -> Iterator[None]:
    """The files of a checkpoint of an earlier version have no digests: what Orbax cannot read is damaged."""
    try:
        yield
    except (MemoryError, PermissionError, jax.errors.JaxRuntimeError):
        raise  # of the machine, not of the files
    except Exception as error:
        if has_digests(folder):
            raise
        raise DamagedCheckpoint(f"it cannot be read: {reason(error)}") from error


def _differences(name: str, stored: Shapes | None, wanted: Any) -> list[str]:
    """How an item of a checkpoint differs from what is wanted, a line each."""
    return [f"{name}: not in the checkpoint"] if stored is None else differences(stored, _shapes(name, wanted))


def _shapes(name: str, tree: Any) -> Shapes:
    """The shapes of any tree of arrays, by path; an optimiser's state is no nested dictionary."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return {f"{name}/{path}": tuple(leaf.shape) for path, (_, leaf) in zip(names, leaves, strict=True)}
