"""Checkpoints: the latest few and the best by a metric, written while training goes on.

Orbax lives in this file and in `checkpoint_reading` only.

<workdir>/checkpoints/<step>/model      params and batch_stats
                             average    the same of the moving average, where the run keeps one
                             training   the optimiser's state and the step
                             metrics    the score, where the step has been evaluated
                             digests.json
"""

import contextlib
import logging as python_logging
import os
import pathlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from dbnet_jax.files import lacking_room
from dbnet_jax.messages import check_choice
from dbnet_jax.models.variables import Variables
from dbnet_jax.paths import as_path, in_bucket
from dbnet_jax.training import checkpoint_files as files
from dbnet_jax.training.checkpoint_mirror import CheckpointMirror
from dbnet_jax.training.checkpoint_reading import Found, Wanted, check_same_step, find_whole, reason
from dbnet_jax.training.state import TrainState

# Orbax narrates every save through absl's logger, and an error with its traceback before it raises it.
python_logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
# So do the tasks in which it writes, one by one. A path or a class of Orbax is in each message.
python_logging.getLogger("asyncio").addFilter(lambda record: "orbax" not in record.getMessage())


_FILES, _BYTES_BESIDE = 100, 1_000_000
"""Files of a checkpoint, and bytes beside its arrays: the names and shapes. Both with room to spare."""
_SETTLE_SECONDS = 0.5
"""Time for the threads of a failed save. One that is still writing when Python ends makes the process crash."""


class CheckpointNotSaved(OSError):
    """A checkpoint could not be written; the message contains its step and the reason."""


def has_checkpoint(workdir: str | os.PathLike[str]) -> bool:
    """Whether a run in `workdir` has saved something; looks only, and makes no folder."""
    return bool(files.saved_steps(as_path(workdir) / "checkpoints"))


class Checkpoints:
    """The checkpoints of a run; a context manager that ends when all that it started is saved.

    Each checkpoint is checked before it is used. Where one is damaged, the next one is used in its place, and two lines
    say so. `damaged` contains the reasons by step.

    **Arguments:**

    - `workdir`: the run's folder.
    - `keep`: how many of the latest checkpoints stay; the best one stays beside them.
    - `metric`: the number by which a checkpoint is the best; larger is better.
    """

    def __init__(self, workdir: str | os.PathLike[str], keep: int = 2, metric: str = "hmean"):
        self._metric, self._keep = metric, keep
        files.check_place(workdir)
        self._folder = as_path(workdir).resolve() / "checkpoints"
        self._mirror = CheckpointMirror(self._folder) if in_bucket(self._folder) else None
        self._pushes = ThreadPoolExecutor(1, "push")  # one after the other: two would remove each other's files
        self._pushed: Future[None] | None = None
        self._opened: ocp.CheckpointManager | None = None
        self._saving, self._failed = 0, False
        self.damaged: dict[int, str] = {}

    @property
    def _local(self) -> pathlib.Path:
        """The folder that Orbax reads."""
        return self._folder if self._mirror is None else self._mirror.folder

    @property
    def _written(self) -> pathlib.Path:
        """The folder that Orbax writes. Of many processes, each writes its part, and no disk has all of them."""
        return self._folder if jax.process_count() > 1 else self._local

    @property
    def _manager(self) -> ocp.CheckpointManager:
        """Writes the checkpoints. Who only reads does without: it makes folders, and a damaged checkpoint ends it."""
        if self._opened is None:
            if self._written != self._folder:
                self._fetch()
            best = policies.BestN(get_metric_fn=self._score, n=1, keep_checkpoints_without_metrics=False)
            options = ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(self._keep), best]),
                best_fn=self._score,
                cleanup_tmp_directories=True,  # of saves that were killed or failed
                enable_async_checkpointing=True,
                async_options=ocp.AsyncOptions(
                    post_finalization_callback=self._write_digests,
                    # Threads that wait for a folder, which a full disk does not take, keep the process for 300 s.
                    create_directories_asynchronously=False,
                ),
            )
            registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
            for item in ("model", "average", "training"):
                handler = ocp.PyTreeCheckpointHandler(type_handler_registry=_saved_types())
                registry.add(item, ocp.args.PyTreeSave, handler)
            self._opened = ocp.CheckpointManager(os.fspath(self._written), options=options, handler_registry=registry)
        return self._opened

    def _score(self, metrics: Any) -> float:
        return float(metrics[self._metric])

    def _write_digests(self) -> None:
        """Called when all files of a checkpoint are written, and before its folder gets its name."""
        # In a bucket its folder has its name from the beginning, and gets the mark of a complete one.
        suffix = "" if in_bucket(self._written) else f"{ocp.utils.TMP_DIR_SUFFIX}*"
        for folder in self._written.glob(f"{self._saving}{suffix}"):
            files.write_digests(folder)

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Starts to save the state under its step; the state may be donated once this returns.

        What is saved already is not saved again. It gets its score where it has none.

        **Arguments:** `state`; `score`, the metric, where the state has been evaluated.

        **Raises:** CheckpointNotSaved when this one cannot be started, or the one before it has failed.
        """
        step = int(state.step)
        if step == self._manager.latest_step():
            if score is not None:
                self._add_score(step, score)
            return
        items = {"model": state.variables, "training": {"opt_state": state.opt_state, "step": state.step}}
        if state.average is not None:
            items["average"] = state.average
        self._start(step, items, None if score is None else {self._metric: score})

    def save_variables(self, variables: Variables, step: int = 0) -> None:
        """Saves variables alone, to detect with or to start other runs from; no run goes on from them.

        **Arguments:** `variables`, `params` and `batch_stats`; `step`, that they are saved under.

        **Raises:** as `save`.
        """
        self._start(step, {"model": variables}, None)

    def _start(self, step: int, items: dict[str, Any], metrics: dict[str, float] | None) -> None:
        self.wait()
        self._saving = step
        self._check_room(items)
        saves = {name: ocp.args.PyTreeSave(item) for name, item in items.items()}
        try:
            self._manager.save(step, args=ocp.args.Composite(**saves), metrics=metrics, force=True)
        except Exception as error:
            raise self._not_saved(error) from error
        if self._written != self._folder:
            self._pushed = self._pushes.submit(self._push)

    def _fetch(self) -> None:
        if self._mirror is not None:
            self._mirror.fetch(anew=self._written == self._folder)

    def _push(self) -> None:
        """Copies what is saved to the bucket. Runs beside the training."""
        assert self._mirror is not None
        self._manager.wait_until_finished()
        self._mirror.push()

    def _check_room(self, items: dict[str, Any]) -> None:
        """**Raises:** CheckpointNotSaved on a full disk; Orbax may hang there, and its threads print their errors."""
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(items)) + _BYTES_BESIDE
        if lack := lacking_room(self._manager.directory, size, _FILES):
            raise CheckpointNotSaved(
                f"step {self._saving} is not saved in {self._folder}: {lack}. Make room, and start the same command "
                "again"
            )

    def _add_score(self, step: int, score: float) -> None:
        """Orbax adds no score to a checkpoint. The only one must not be deleted to be written anew."""
        self.wait()
        scored = self.is_scored(step)
        # Process 0 writes when all have looked: one that looked later would find the score, and not wait below.
        multihost_utils.sync_global_devices("every process has looked for the score")
        if scored:
            return
        if jax.process_index() == 0:
            for folder in {self._folder, self._written}:
                files.write_score(folder / str(step), self._metric, score)
        multihost_utils.sync_global_devices("the score is written")
        self._manager.reload()

    def wait(self) -> None:
        """Returns when all that was started is saved. **Raises:** CheckpointNotSaved where that failed."""
        if self._opened is None:
            return
        try:
            self._opened.wait_until_finished()
            if self._pushed is not None:
                self._pushed.result()
        except Exception as error:
            raise self._not_saved(error) from error

    def _not_saved(self, error: Exception) -> CheckpointNotSaved:
        self._failed = True
        time.sleep(_SETTLE_SECONDS)
        return CheckpointNotSaved(f"step {self._saving} is not saved in {self._folder}: {reason(error)}")

    def is_scored(self, step: int) -> bool:
        """Whether the checkpoint of `step` has been evaluated."""
        return files.read_score(self._written / str(step), self._metric) is not None

    def restore(self, state: TrainState) -> TrainState | None:
        """The latest checkpoint in the place of `state`, with its shapes and shardings; None when there is none.

        Damaged checkpoints are renamed, so that their steps can be saved again.

        **Raises:** ValueError, naming every difference, when the checkpoint is of another architecture;
        DamagedCheckpoint when all are damaged; OSError when the processes of a run read different steps.
        """
        items: dict[str, Any] = {
            "model": state.variables,
            "training": {"opt_state": state.opt_state, "step": state.step},
        }
        if state.average is not None:
            items["average"] = state.average
        found = self._find("latest", lambda _: items)
        if found is None:
            return None
        self._set_damaged_aside()
        training = found.items["training"]
        return state.replace(
            step=training["step"],
            variables=found.items["model"],
            opt_state=training["opt_state"],
            average=found.items.get("average"),
        )

    def _set_damaged_aside(self) -> None:
        multihost_utils.sync_global_devices("every process has looked at the checkpoints")
        if jax.process_index() == 0:
            for step in self.damaged:
                aside = files.set_aside(self._folder / str(step))
                logging.warning("%s is kept: remove it where nobody needs it", aside)
                if self._mirror is not None:
                    self._mirror.forget(step)
        multihost_utils.sync_global_devices("the damaged checkpoints are renamed")

    def restore_variables(self, like: Variables, which: str = "best") -> tuple[Variables, int]:
        """The variables to detect with, the moving average where the run kept one.

        **Arguments:**

        - `like`: variables (or their shapes) of the model that they are for.
        - `which`: "best" by the metric, or "latest"; a run that has not been evaluated gives its latest.

        **Returns:** the variables on the default device, and the step that they are from.

        **Raises:** FileNotFoundError when there is no checkpoint; ValueError when `which` is unknown or the
        checkpoint is of another architecture; DamagedCheckpoint when all are damaged.
        """
        check_choice("config.predict.checkpoint", which, ("best", "latest"))
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=device), like)
        found = self._find(which, lambda saved: {"average" if "average" in saved else "model": like})
        if found is None:
            raise FileNotFoundError(f"no checkpoint in {self._folder}: train first, or name another `workdir`")
        return next(iter(found.items.values())), found.step

    def _find(self, which: str, wanted: Wanted) -> Found | None:
        self.wait()
        self._fetch()
        try:
            found = find_whole(self._local, None if which == "latest" else self._metric, wanted)
        except ValueError as error:
            raise type(error)(str(error).replace(str(self._local), str(self._folder))) from error
        if found is not None:
            self.damaged = found.damaged
            for step, why in found.damaged.items():
                logging.warning("the checkpoint of step %d in %s is damaged: %s", step, self._folder, why)
            if found.damaged:
                logging.warning("the checkpoint of step %d is used", found.step)
        check_same_step(self._folder, None if found is None else found.step)
        return found

    def reached_preemption(self, step: int) -> bool:
        """Whether some process of the run was told to stop; needs `jax.distributed`, and agrees on all of them."""
        return self._manager.reached_preemption(step)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            self.wait()
        except CheckpointNotSaved as failure:
            if error is None:
                raise
            logging.error("%s", failure)  # beside the error that ends the run, and not in its place
        finally:
            if self._opened is not None:
                # Of a save that failed, it may raise the error once more.
                with contextlib.suppress(*([Exception] if self._failed else [])):
                    self._opened.close()
            if self._mirror is not None:
                self._pushes.shutdown()
                self._mirror.close()


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
