"""Checkpoints: the latest few and the best by a metric, written while training goes on. Orbax lives in this file only.

<workdir>/checkpoints/<step>/model      params and batch_stats
                             average    the same of the moving average, where the run keeps one
                             training   the optimiser's state and the step
"""

import logging
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from dbnet_jax.messages import check_choice
from dbnet_jax.models.variables import Shapes, Variables, differences, listed
from dbnet_jax.training.state import TrainState


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or "orbax" not in record.pathname


# Orbax narrates every save through absl's logger; a run's own lines would drown in it.
logging.getLogger("absl").addFilter(_is_news)


def has_checkpoint(workdir: str | os.PathLike[str]) -> bool:
    """Whether a run in `workdir` has saved something; looks only, and makes no folder."""
    return any(path.name.isdigit() for path in (pathlib.Path(workdir) / "checkpoints").glob("*"))


class Checkpoints:
    """The checkpoints of a run; a context manager that ends when all that it started is saved.

    **Arguments:**

    - `workdir`: the run's folder.
    - `keep`: how many of the latest checkpoints stay; the best one stays beside them.
    - `metric`: the number by which a checkpoint is the best; larger is better.
    """

    def __init__(self, workdir: str | os.PathLike[str], keep: int = 2, metric: str = "hmean"):
        self._metric = metric
        self._folder = pathlib.Path(workdir).resolve() / "checkpoints"
        best = policies.BestN(get_metric_fn=self._score, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
            best_fn=self._score,
            enable_async_checkpointing=True,
        )
        # Told what each item is, also a process that only reads knows their shapes before it restores.
        registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
        for item in ("model", "average", "training"):
            registry.add(item, ocp.args.PyTreeSave, ocp.PyTreeCheckpointHandler(type_handler_registry=_saved_types()))
            registry.add(item, ocp.args.StandardRestore, ocp.StandardCheckpointHandler())
        self._manager = ocp.CheckpointManager(self._folder, options=options, handler_registry=registry)

    def _score(self, metrics: Any) -> float:
        return float(metrics[self._metric])

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Starts to save the state under its step; the state may be donated once this returns.

        What is saved already is not saved again, unless it gets its score now.

        **Arguments:** `state`; `score`, the metric, where the state has been evaluated.
        """
        step = int(state.step)
        if step == self._manager.latest_step():
            if score is None or self.is_scored(step):
                return
            # Orbax adds no score to a checkpoint. Meanwhile the one before it is there, where `keep` is not 1.
            self._manager.wait_until_finished()
            self._manager.delete(step)
        items = {"model": state.variables, "training": {"opt_state": state.opt_state, "step": state.step}}
        if state.average is not None:
            items["average"] = state.average
        saves = {name: ocp.args.PyTreeSave(item) for name, item in items.items()}
        metrics = None if score is None else {self._metric: score}
        self._manager.save(step, args=ocp.args.Composite(**saves), metrics=metrics, force=True)

    def is_scored(self, step: int) -> bool:
        """Whether the checkpoint of `step` has been evaluated."""
        return bool(self._manager.metrics(step))

    def save_variables(self, variables: Variables, step: int = 0) -> None:
        """Saves variables alone, to detect with or to start other runs from; no run goes on from them.

        **Arguments:** `variables`, `params` and `batch_stats`; `step`, that they are saved under.
        """
        saves = {"model": ocp.args.PyTreeSave(variables)}
        self._manager.save(step, args=ocp.args.Composite(**saves), force=True)

    def restore(self, state: TrainState) -> TrainState | None:
        """The latest checkpoint in the place of `state`, with its shapes and shardings; None when there is none.

        **Raises:** ValueError, naming every difference, when the checkpoint is of another architecture.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        items: dict[str, Any] = {
            "model": state.variables,
            "training": {"opt_state": state.opt_state, "step": state.step},
        }
        if state.average is not None:
            items["average"] = state.average
        restored = self._restore(step, items)
        training = restored["training"]
        return state.replace(
            step=training["step"],
            variables=restored["model"],
            opt_state=training["opt_state"],
            average=restored.get("average"),
        )

    def restore_variables(self, like: Variables, which: str = "best") -> tuple[Variables, int]:
        """The variables to detect with, the moving average where the run kept one.

        **Arguments:**

        - `like`: variables (or their shapes) of the model that they are for.
        - `which`: "best" by the metric, or "latest"; a run that has not been evaluated gives its latest.

        **Returns:** the variables on the default device, and the step that they are from.

        **Raises:** FileNotFoundError when there is no checkpoint; ValueError when `which` is unknown or the
        checkpoint is of another architecture.
        """
        check_choice("config.predict.checkpoint", which, ("best", "latest"))
        self._manager.wait_until_finished()
        step = self._manager.best_step() if which == "best" else None
        step = self._manager.latest_step() if step is None else step
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self._folder}: train first, or name another `workdir`")
        item = "average" if (self._folder / str(step) / "average").exists() else "model"
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=device), like)
        return self._restore(step, {item: like})[item], step

    def _restore(self, step: int, items: dict[str, Any]) -> Any:
        metadata = self._manager.item_metadata(step)
        if "training" in items and metadata.get("training") is None:
            raise ValueError(
                f"{self._folder} holds converted weights, which no run can go on from: start one in another workdir, "
                f"with `config.init.checkpoint` = {str(self._folder.parent)!r}"
            )
        wrong = [line for name, item in items.items() for line in _differences(name, metadata.get(name), item)]
        if wrong:
            raise ValueError(
                f"the checkpoint of step {step} in {self._folder} is of another architecture than `config.model` "
                f"or `config.train` describes; take its own config.json or another workdir:{listed(wrong)}"
            )
        restores = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        return self._manager.restore(step, args=ocp.args.Composite(**restores))

    def reached_preemption(self, step: int) -> bool:
        """Whether some process of the run was told to stop; needs `jax.distributed`, and agrees on all of them."""
        return self._manager.reached_preemption(step)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.wait_until_finished()
        self._manager.close()


def _saved_types() -> Any:
    """How arrays are written: those of less than 8 MB on 8 devices by one device each.

    Left alone, Orbax has every device write its slice of each, for whose cutting a run's first save compiles a program
    a shape: 9 s for a ResNet-18.
    """
    arrays = ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=2**20)
    numpy_arrays, numbers = ocp.type_handlers.NumpyHandler(), ocp.type_handlers.ScalarHandler()
    return ocp.type_handlers.create_type_handler_registry(
        (jax.Array, arrays), (np.ndarray, numpy_arrays), (np.number, numbers), (int, numbers)
    )


def _differences(name: str, stored: Any, wanted: Any) -> list[str]:
    """How an item of a checkpoint differs from what is wanted, a line each."""
    if stored is None:
        return [f"{name}: not in the checkpoint"]
    found, want = (_shapes(name, tree) for tree in (getattr(stored, "tree", stored), wanted))
    return differences(found, want)


def _shapes(name: str, tree: Any) -> Shapes:
    """The shapes of any tree of arrays, by path; an optimiser's state is no nested dictionary."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return {f"{name}/{path}": tuple(leaf.shape) for path, (_, leaf) in zip(names, leaves, strict=True)}
