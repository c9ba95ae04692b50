"""Scores a run, or weights, on the evaluation split of a data set."""

import pathlib

import jax
from absl.app import UsageError

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import config_of_weights, config_or_saved, load_recognizer, workdir_or_weights
from dbnet_jax.commands.summary import print_evaluation
from dbnet_jax.evaluation.end_to_end import check_texts, with_readings
from dbnet_jax.pages.evaluation import check_report
from dbnet_jax.reader import Reader
from dbnet_jax.sharding import data_mesh
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.run_folder import restore_variables


def run(options: Options) -> None:
    """The command `evaluate`."""
    keep_memory()
    recognizer = None if options.recognizer is None else load_recognizer(options.recognizer, options)
    trained = workdir_or_weights(options)
    config = config_or_saved(options) if options.weights is None else config_of_weights(trained, options)
    by_weights = options.runs / "evaluations" / f"{pathlib.Path(trained).stem}-{config.data.name}"
    folder = options.output or options.workdir or str(by_weights)
    if folder != options.workdir:  # all results in a workdir are of runs
        check_report(folder)
    task = task_of(config)
    if recognizer is not None and task.name != "detection":
        raise UsageError(f"--recognizer reads what a detector finds, and {trained} is for {task.name}: leave it out")
    try:
        dataset = task.open(config, "eval")
    except FileNotFoundError as error:
        if options.config is not None or options.weights is None:
            raise
        hint = "--config=configs/NAME.py --config.data.dir=DIR names the data to score the weights on"
        raise FileNotFoundError(f"{error}\n{hint}") from error
    if recognizer is not None:
        check_texts(dataset, f"--recognizer={options.recognizer}")
    predictor = task.predictor(config, restore_variables(config, trained), data_mesh(jax.local_devices()))
    evaluation = task.evaluator(config, dataset, too_many_bad="raise").run(predictor)
    if recognizer is not None:
        evaluation = with_readings(evaluation, dataset, Reader(predictor, recognizer).read_words, options.recognizer)
    print_evaluation(task.report(folder, evaluation, predictor, dataset), folder)
