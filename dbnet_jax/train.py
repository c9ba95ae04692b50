"""Training, from a config and a folder to scored weights, in one story."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

from dbnet_jax.config.saved import changes_since, save_config
from dbnet_jax.messages import plural
from dbnet_jax.models.variables import Variables
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.sharding import data_mesh, gather, replicated, to_global
from dbnet_jax.training.checkpoint import CheckpointNotSaved, Checkpoints, has_checkpoint
from dbnet_jax.training.checkpoint_files import check_place
from dbnet_jax.training.lock import only_run_in
from dbnet_jax.training.log import FiniteCheck, TrainLog
from dbnet_jax.training.preemption import Preemption
from dbnet_jax.training.profiling import Profile
from dbnet_jax.training.state import TrainState, create_state
from dbnet_jax.training.step import make_train_step
from dbnet_jax.training.step_cost import MeasuredStep
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.run_folder import check_workdir
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples


def train_and_evaluate(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Trains what `config` describes, goes on where an earlier run in `workdir` stopped, and scores the best of it.

    **Arguments:**

    - `config`: an experiment; `dbnet_jax/config/defaults.py` documents every field.
    - `workdir`: a folder, or a path in a bucket, "gs://bucket/run". It takes `config.json`, `checkpoints/`,
        `metrics.jsonl`, `tensorboard/`, `evaluation.json` and `predictions/index.html`.

    **Returns:** what `evaluation.json` holds, see `Task.report`.

    **Raises:** FileNotFoundError when the data is not there; ValueError when the config cannot work or the workdir
    holds a run of another architecture; WorkdirInUse; FileExistsError when it contains files of a person;
    NonFiniteLoss; TooManyBadSamples; SystemExit after SIGTERM, all saved; CheckpointNotSaved; DamagedCheckpoint when
    no checkpoint of the run is whole.
    """
    check_place(workdir)
    task_of(config).check(config)
    config = task_of(config).complete(config)
    with only_run_in(workdir):
        check_workdir(workdir)
        return _train_and_evaluate(config, workdir)


def _train_and_evaluate(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    # ---------------------------------------------------------------- data
    task, train = task_of(config), config.train
    train_set, eval_set = task.open(config, "train"), task.open(config, "eval")
    evaluator = task.evaluator(config, eval_set)
    bad_samples = BadSamples(len(train_set), config.data.max_bad_share, needs_text=True)
    steps_per_epoch = max(1, train_set.pass_length // train.batch_size)
    total_steps = train.steps or max(1, round(train.epochs * steps_per_epoch))

    # ---------------------------------------------------------------- mesh
    mesh, local_mesh = data_mesh(), data_mesh(jax.local_devices())
    if train.batch_size % mesh.size:
        raise ValueError(
            f"`config.train.batch_size` (={train.batch_size}) must be a multiple of the {mesh.size} devices"
        )

    # ---------------------------------------------------------------- state
    model = task.model(config)
    schedule = make_schedule(train, total_steps, steps_per_epoch)
    initial = None if has_checkpoint(workdir) else initial_variables(config, model)
    state, train_step = make_state_and_step(config, model, schedule, mesh, initial)
    resident = task.resident(config, train_set, mesh)

    # ---------------------------------------------------------------- restore
    # 1. The newest checkpoint in the workdir, of this architecture or none: weights, optimiser and step.
    # 2. Otherwise the weights that config.init names: a whole network's, or a backbone's.
    # 3. All others are random, and follow from the seed.
    # The step is the position in the data too, so that a resumed run sees the batches that it would have seen.
    # config.json comes after: a run that does not fit its workdir leaves it as it was.
    with Checkpoints(workdir, train.keep_checkpoints, task.metric) as checkpoints:
        state = checkpoints.restore(state) or state
        first_step = int(state.step)
        changes = changes_since(config, workdir) if first_step else ""
        save_config(config, workdir)
        predictor = task.predictor(config, local_variables(state, local_mesh), local_mesh)

        # ------------------------------------------------------------ loop
        check, evaluation = FiniteCheck(), None
        batches = task.batches(config, train_set, bad_samples, first_step)
        with (
            TrainLog(workdir, first_step, total_steps, train.batch_size, every=max(1, train.log_every)) as log,
            Preemption(checkpoints.reached_preemption) as preemption,
            Profile(workdir, train.profile_steps, check.now, log.message) as profile,
        ):
            epoch = f"{plural(train_set.pass_length, 'picture')} an epoch to train on"
            log.message(f"{epoch}, {len(eval_set)} to score on; {plural(mesh.size, 'device')}")
            if changes:
                log.message(f"going on from step {first_step}, {changes}")
            # An evaluation that an earlier run was stopped in, or that failed there, is made up first.
            unscored = first_step > 0 and not checkpoints.is_scored(first_step)
            for step in range(first_step if unscored else first_step + 1, total_steps + 1):
                if step > first_step:
                    with profile.step(step):
                        with log.stage("data"), saved_if_it_fails(checkpoints, state, check, log):
                            batch, names = next(batches)
                        with log.stage("step"):
                            state, metrics = train_step(state, to_global(mesh, batch), resident)
                            check.later(step, metrics, names)
                    if step == first_step + 1:
                        log.message(str(train_step.cost))
                    log.step(step, check, lambda seen: schedule(seen // train.accumulate), train_step.cost)

                if step % steps_per_epoch == 0:
                    bad_samples.exchange(gather)
                    log.message(bad_samples.report())
                if is_due(step, train.picture_every):
                    with log.stage("picture"), saved_if_it_fails(checkpoints, state, check, log):
                        predictor = predictor.with_variables(local_variables(state, local_mesh))
                        log.picture(step, task.name, task.picture(predictor, eval_set))
                stopping = preemption.reached(step)
                if (step == total_steps or is_due(step, train.evaluate_every)) and not stopping:
                    check.now()
                    if jax.process_count() > 1:
                        # One that ends in the evaluation ends the others, and they save together or not at all.
                        checkpoints.save(state)
                    with log.stage("evaluation"), saved_if_it_fails(checkpoints, state, check, log):
                        predictor = predictor.with_variables(local_variables(state, local_mesh))
                        evaluation = evaluator.run(predictor, preemption.stop_here)
                    log.evaluation(step, evaluation)
                    checkpoints.save(state, evaluation.metrics[task.metric])
                elif stopping or is_due(step, train.checkpoint_every):
                    check.now()
                    with log.stage("checkpoint"):
                        log.flush()
                        checkpoints.save(state)
                if stopping:
                    with log.stage("checkpoint"):
                        checkpoints.wait()
                    log.message(f"told to stop: step {step} is saved, and the same command goes on from there")
                    raise SystemExit(preemption.exit_code)
            bad_samples.exchange(gather)
            log.message(bad_samples.report())

        # ------------------------------------------------------------ report
        variables, best_step = checkpoints.restore_variables(state.inference_variables(), config.predict.checkpoint)
    if evaluation is None or best_step != total_steps:
        predictor = predictor.with_variables(jax.device_put(variables, replicated(local_mesh)))
        evaluation = evaluator.run(predictor)
    return task.report(workdir, evaluation, predictor, eval_set)


def make_state_and_step(
    config: ConfigDict, model: nn.Module, schedule: optax.Schedule, mesh: Mesh, initial: Variables | None = None
) -> tuple[TrainState, MeasuredStep]:
    """A fresh state and the compiled step that `config` describes.

    **Arguments:** `model`: the task's; `schedule`: the learning rate by optimiser step; `initial`: variables, all or
    some, in the place of random ones.
    """
    task, train = task_of(config), config.train
    optimizer = make_optimizer(
        schedule,
        kind=train.optimizer,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        accumulate=train.accumulate,
    )
    average, example = train.ema_decay > 0, task.example(config)
    state = create_state(model, optimizer, config.seed, average=average, mesh=mesh, initial=initial, example=example)
    loss, prepare = task.loss(config, model), task.prepare(config)
    step = make_train_step(loss, optimizer, mesh, ema_decay=train.ema_decay, prepare=prepare)
    return state, MeasuredStep(step)


@contextlib.contextmanager
def saved_if_it_fails(checkpoints: Checkpoints, state: TrainState, check: FiniteCheck, log: TrainLog) -> Iterator[None]:
    """Saves what was learned so far when the data or an evaluation ends the run, or it is told to stop in one."""
    try:
        yield
    except (Exception, SystemExit) as error:
        # Many processes save together or not at all, and the others know nothing of what failed in this one. Before the
        # first step nothing is learned, and a checkpoint would keep the next run from reading `config.init`.
        if jax.process_count() == 1 and int(state.step) > 0:
            check.now()
            mended = " once the data is mended" if isinstance(error, TooManyBadSamples) else ""
            saved = f"step {int(state.step)} is saved, and the same command goes on from there{mended}"
            try:
                checkpoints.save(state)
                checkpoints.wait()
            except CheckpointNotSaved as failure:
                saved = str(failure)
            log.message(f"stopped: {saved}")
        raise


def make_schedule(train: ConfigDict, total_steps: int, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate of `config.train` by optimiser step, for a run of so many batches."""
    base, power, accumulate = train.learning_rate, train.power, train.accumulate
    if train.schedule == "step":
        return poly_schedule(base, max(1, total_steps // accumulate), power, train.warmup)
    # Counted in batches: an epoch need not be a whole number of optimiser steps.
    warmup = train.warmup * accumulate
    by_batch = poly_schedule(base, total_steps + steps_per_epoch, power, warmup, every=steps_per_epoch)
    return lambda step: by_batch(step * accumulate)


def is_due(step: int, every: int) -> bool:
    """Whether something that happens `every` steps, or never where that is 0, happens now."""
    return every > 0 and step % every == 0


def local_variables(state: TrainState, mesh: Mesh) -> dict[str, Any]:
    """A copy of the state's weights on this process's devices: they evaluate at their own pace, state is donated."""
    host = jax.tree.map(lambda array: np.asarray(array.addressable_data(0)), state.inference_variables())
    return jax.device_put(host, replicated(mesh))
