"""Trains a detector, or continues a run, and scores the result."""

from absl.app import UsageError

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import set_fields, workdir
from dbnet_jax.commands.summary import print_evaluation
from dbnet_jax.config.fields import read_config
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.cpu_memory import keep_memory


def run(options: Options) -> None:
    """The command `train`."""
    if options.config is None:
        raise UsageError("--config is missing: the experiment to train, for example configs/quickstart.py")
    config = set_fields(read_config(options.config), options)
    keep_memory()
    print_evaluation(train_and_evaluate(config, workdir(options)), workdir(options))
