"""Training, from a config and a folder to a scored detector, in one story."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from dbnet_jax.config.checks import check_training
from dbnet_jax.config.saved import changes_since, save_config
from dbnet_jax.detector import Detector
from dbnet_jax.evaluation.evaluator import Evaluator
from dbnet_jax.messages import plural
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.pages.evaluation import training_picture, write_report
from dbnet_jax.sharding import data_mesh, replicated, to_global
from dbnet_jax.training.checkpoint import Checkpoints, has_checkpoint
from dbnet_jax.training.device_pixels import make_renderer
from dbnet_jax.training.log import FiniteCheck, TrainLog
from dbnet_jax.training.preemption import Preemption
from dbnet_jax.training.state import TrainState, create_state
from dbnet_jax.training.step import Render, make_train_step
from dbnet_jax.training.step_cost import MeasuredStep
from dbnet_jax.weights.initial import initial_variables
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples
from input_pipeline.datasets.sample import pass_length
from input_pipeline.datasets.wrappers.on_device import StoredDataset
from input_pipeline.from_config import make_batches, open_split


def train_and_evaluate(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Trains what `config` describes, goes on where an earlier run in `workdir` stopped, and scores the best of it.

    **Arguments:**

    - `config`: an experiment; `dbnet_jax/default_config.py` documents every field.
    - `workdir`: takes `config.json`, `checkpoints/`, `metrics.jsonl`, `tensorboard/`, `evaluation.json` and
        `predictions/index.html`.

    **Returns:** what `evaluation.json` holds, see `write_report`.

    **Raises:** FileNotFoundError when the data is not there; ValueError when the config cannot work or the workdir
    holds a run of another architecture; NonFiniteLoss; TooManyBadSamples; SystemExit after SIGTERM, all saved.
    """
    # ---------------------------------------------------------------- data
    if "://" in os.fspath(workdir):
        raise ValueError(f"`workdir` (={os.fspath(workdir)!r}) must be a folder: mount the bucket, and name the mount")
    check_training(config)
    train_set, eval_set = open_split(config, "train"), open_split(config, "eval")
    evaluator = Evaluator(eval_set, config.evaluate.protocol)
    bad_samples = BadSamples(len(train_set), config.data.max_bad_share)
    steps_per_epoch = max(1, pass_length(train_set) // config.train.batch_size)
    total_steps = config.train.steps or max(1, round(config.train.epochs * steps_per_epoch))

    # ---------------------------------------------------------------- mesh
    mesh, local_mesh = data_mesh(), data_mesh(jax.local_devices())
    if config.train.batch_size % mesh.size:
        raise ValueError(
            f"`config.train.batch_size` (={config.train.batch_size}) must be a multiple of the {mesh.size} devices"
        )

    # ---------------------------------------------------------------- state
    model = model_from_config(config)
    train, accumulate = config.train, config.train.accumulate
    schedule = make_schedule(train, total_steps, steps_per_epoch)
    optimizer = optimizer_of(train, schedule)
    initial = None if has_checkpoint(workdir) else initial_variables(config, model)
    state = create_state(model, optimizer, config.seed, average=train.ema_decay > 0, mesh=mesh, initial=initial)
    train_step = MeasuredStep(
        make_train_step(
            model,
            optimizer,
            mesh,
            normalization=config.data.normalization,
            loss_options=dict(config.loss),
            ema_decay=train.ema_decay,
            render=renderer_of(config),
        )
    )
    # What each step takes beside its batch: with a renderer, the pictures that stay on the device, if any.
    stored = to_device(train_set.pictures, mesh) if isinstance(train_set, StoredDataset) else None
    pictures = (stored,) if config.data.pixels == "device" else ()

    # ---------------------------------------------------------------- restore
    # 1. The newest checkpoint in the workdir, of this architecture or none: weights, optimiser and step.
    # 2. Otherwise the weights that config.init names: a whole detector's, or a backbone's.
    # 3. All others are random, and follow from the seed.
    # The step is the position in the data too, so that a resumed run sees the batches that it would have seen.
    # config.json comes after: a run that does not fit its workdir leaves it as it was.
    with Checkpoints(workdir, train.keep_checkpoints) as checkpoints:
        state = checkpoints.restore(state) or state
        first_step = int(state.step)
        changes = changes_since(config, workdir) if first_step else ""
        save_config(config, workdir)
        detector = Detector(config, local_variables(state, local_mesh), mesh=local_mesh)

        # ------------------------------------------------------------ loop
        check, evaluation = FiniteCheck(), None
        batches = make_batches(config, train_set, bad_samples, first_step)
        with (
            TrainLog(workdir, first_step, total_steps, train.batch_size, every=max(1, train.log_every)) as log,
            Preemption(checkpoints.reached_preemption) as preemption,
        ):
            epoch = f"{plural(pass_length(train_set), 'picture')} an epoch to train on"
            log.message(f"{epoch}, {len(eval_set)} to score on; {plural(mesh.size, 'device')}")
            if changes:
                log.message(f"going on from step {first_step} with another config than before: {changes}")
            # An evaluation that an earlier run was stopped in, or that failed there, is made up first.
            unscored = first_step > 0 and not checkpoints.is_scored(first_step)
            for step in range(first_step if unscored else first_step + 1, total_steps + 1):
                if step > first_step:
                    with log.stage("data"), saved_if_it_fails(checkpoints, state, check, log):
                        batch, names = next(batches)
                    with log.stage("step"):
                        state, metrics = train_step(state, to_global(mesh, batch), *pictures)
                        check.later(step, metrics, names)
                    if step == first_step + 1:
                        log.message(str(train_step.cost))
                    log.step(step, check, lambda batches_seen: schedule(batches_seen // accumulate), train_step.cost)

                if step % steps_per_epoch == 0:
                    log.message(bad_samples.report())
                if due(step, train.picture_every):
                    with log.stage("picture"), saved_if_it_fails(checkpoints, state, check, log):
                        detector = detector.with_variables(local_variables(state, local_mesh))
                        log.picture(step, "detection", training_picture(detector, eval_set))
                stopping = preemption.reached(step)
                if (step == total_steps or due(step, train.evaluate_every)) and not stopping:
                    check.now()
                    with log.stage("evaluation"), saved_if_it_fails(checkpoints, state, check, log):
                        detector = detector.with_variables(local_variables(state, local_mesh))
                        evaluation = evaluator.run(detector, preemption.stop_here)
                    log.evaluation(step, evaluation)
                    checkpoints.save(state, evaluation.scores.hmean)
                elif stopping or due(step, train.checkpoint_every):
                    check.now()
                    with log.stage("checkpoint"):
                        checkpoints.save(state)
                if stopping:
                    log.message(f"told to stop: step {step} is saved, and the same command goes on from there")
                    raise SystemExit(preemption.exit_code)
            log.message(bad_samples.report())

        # ------------------------------------------------------------ report
        variables, best_step = checkpoints.restore_variables(state.inference_variables(), config.predict.checkpoint)
    if evaluation is None or best_step != total_steps:
        detector = detector.with_variables(jax.device_put(variables, replicated(local_mesh)))
        evaluation = evaluator.run(detector)
    return write_report(workdir, evaluation, detector, eval_set)


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
            checkpoints.save(state)
            mended = " once the data is mended" if isinstance(error, TooManyBadSamples) else ""
            log.message(f"stopped: step {int(state.step)} is saved, and the same command goes on from there{mended}")
        raise


def renderer_of(config: ConfigDict) -> Render | None:
    """What makes the pixels on the device; None where the host makes them."""
    data = config.data
    return make_renderer(tuple(data.crop), data.threshold_min, data.threshold_max) if data.pixels == "device" else None


def to_device(pictures: np.ndarray, mesh: Mesh) -> jax.Array:
    """Pictures on every device of the mesh."""
    return jax.make_array_from_process_local_data(replicated(mesh), pictures, pictures.shape)


def optimizer_of(train: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The optimiser of `config.train`."""
    return make_optimizer(
        schedule,
        kind=train.optimizer,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        accumulate=train.accumulate,
    )


def make_schedule(train: ConfigDict, total_steps: int, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate of `config.train` by optimiser step, for a run of so many batches."""
    base, power, accumulate = train.learning_rate, train.power, train.accumulate
    if train.schedule == "step":
        return poly_schedule(base, max(1, total_steps // accumulate), power, train.warmup)
    # Counted in batches: an epoch need not be a whole number of optimiser steps.
    warmup = train.warmup * accumulate
    by_batch = poly_schedule(base, total_steps + steps_per_epoch, power, warmup, every=steps_per_epoch)
    return lambda step: by_batch(step * accumulate)


def due(step: int, every: int) -> bool:
    """Whether something that happens `every` steps, or never where that is 0, happens now."""
    return every > 0 and step % every == 0


def local_variables(state: TrainState, mesh: Mesh) -> dict[str, Any]:
    """A copy of the state's weights on this process's devices: they evaluate at their own pace, state is donated."""
    host = jax.tree.map(lambda array: np.asarray(array.addressable_data(0)), state.inference_variables())
    return jax.device_put(host, replicated(mesh))
