"""Scores a run, or weights, on the evaluation split of a data set."""

import pathlib

import jax

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import config_of_weights, config_or_saved, workdir_or_weights
from dbnet_jax.commands.summary import print_evaluation
from dbnet_jax.pages.evaluation import check_report
from dbnet_jax.sharding import data_mesh
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.run_folder import restore_variables


def run(options: Options) -> None:
    """The command `evaluate`."""
    keep_memory()
    trained = workdir_or_weights(options)
    config = config_or_saved(options) if options.weights is None else config_of_weights(trained, options)
    by_weights = options.runs / "evaluations" / f"{pathlib.Path(trained).stem}-{config.data.name}"
    folder = options.output or options.workdir or str(by_weights)
    if folder != options.workdir:  # all results in a workdir are of runs
        check_report(folder)
    task = task_of(config)
    try:
        dataset = task.open(config, "eval")
    except FileNotFoundError as error:
        if options.config is not None or options.weights is None:
            raise
        hint = "--config=configs/NAME.py --config.data.dir=DIR names the data to score the weights on"
        raise FileNotFoundError(f"{error}\n{hint}") from error
    predictor = task.predictor(config, restore_variables(config, trained), data_mesh(jax.local_devices()))
    evaluation = task.evaluator(config, dataset, too_many_bad="raise").run(predictor)
    print_evaluation(task.report(folder, evaluation, predictor, dataset), folder)
