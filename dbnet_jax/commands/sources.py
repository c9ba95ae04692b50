"""The run or the weights that the flags name, and the config that they make."""

from absl.app import UsageError
from ml_collections import ConfigDict

from dbnet_jax.commands.options import Options
from dbnet_jax.config.defaults import default_config
from dbnet_jax.config.fields import find_field, read_config, set_field, split_arg
from dbnet_jax.paths import as_path
from dbnet_jax.recognition.recognizer import Recognizer
from dbnet_jax.weights.run_folder import load_config, restore_variables, with_data_of
from dbnet_jax.weights.shipped import DEFAULT, find_weights


def workdir(options: Options) -> str:
    """`--workdir`. **Raises:** UsageError when it is missing."""
    if options.workdir is None:
        raise UsageError("--workdir is missing: the run's folder, for example runs/quickstart")
    return options.workdir


def workdir_or_weights(options: Options, default: str | None = None) -> str:
    """The run's folder, or the file of weights. **Raises:** UsageError when the flags name both, or none."""
    if options.workdir is not None and options.weights is not None:
        raise UsageError("--workdir and --weights both name a detector; --output names the folder for results")
    if options.workdir is not None and as_path(options.workdir).is_file():
        raise UsageError(f"--workdir={options.workdir} is a file: --weights takes a file that --mode=export wrote")
    if options.workdir is not None:
        return options.workdir
    weights = options.weights or default
    if weights is None:
        raise UsageError("--workdir (a run's folder) or --weights (shipped weights, or a file) is missing")
    return str(find_weights(weights))


def set_fields(config: ConfigDict, options: Options) -> ConfigDict:
    """Sets the fields that the command line sets. **Raises:** ValueError, which names the field."""
    for key, text in options.fields:
        set_field(config, key, text)
    return config


def config_or_saved(options: Options) -> ConfigDict:
    """`--config`, or without it the config of the run in the workdir, with the fields of the command line."""
    return set_fields(read_config(options.config) if options.config else load_config(workdir(options)), options)


def config_of_weights(file: str, options: Options) -> ConfigDict:
    """The config of a weights file, on the data of `--config` where it is given, with the fields of the command line.

    **Raises:** UsageError when the command line sets a field of the model, which the weights decide; or sets another
    field of the weights behind the name of the config file.
    """
    config = load_config(file, "weights")
    for key, text in split_arg(options.config.partition(":")[2])[1] if options.config else []:
        field = find_field(config, key)
        theirs = field == "data.normalization" or field.startswith(("model.", "predict."))
        if theirs and field != "predict.follow_exif":  # the labels of the data decide it
            hint = "" if field.startswith("model.") else f"; --config.{field}={text} sets it all the same"
            raise UsageError(f"{key}={text} in --config is refused: the weights decide it{hint}")
    for key, _ in options.fields:
        if (field := find_field(config, key)).startswith("model."):
            raise UsageError(f"--config.{field} is refused: the weights decide the model")
    if options.config:
        config = with_data_of(config, read_config(options.config))
    return set_fields(config, options)


def find_detector(options: Options) -> tuple[ConfigDict, str]:
    """The detector that `--workdir` or `--weights` names; shipped weights without both.

    **Returns:** its config, with the fields of the command line, and the run's folder or the file of weights.

    **Raises:** UsageError when it is for another task; otherwise as `workdir_or_weights` and `config_of_weights`.
    """
    trained = workdir_or_weights(options, DEFAULT)
    flag = "weights" if options.workdir is None else "workdir"
    if options.config is None:
        _check_task(load_config(trained, flag), f"--{flag}={getattr(options, flag)}", "detection")
    config = config_of_weights(trained, options) if options.workdir is None else config_or_saved(options)
    return config, trained


def _check_task(config: ConfigDict, flag: str, task: str) -> None:
    """**Raises:** UsageError when the network that a flag names is for another task."""
    if config.task != task:
        other = {"detection": "--weights or --workdir", "recognition": "--recognizer"}.get(config.task, "another flag")
        raise UsageError(f"{flag} is refused: it is for {config.task}; {other} takes it")


def load_recognizer(name: str, options: Options) -> Recognizer:
    """The recogniser that `--recognizer` names.

    Fields of the command line that a recogniser alone has, such as `config.predict.lexicon`, are set here and taken out
    of `options.fields`: the others are the detector's. `config.predict.backend` is set for both, but
    an attention decoder stays in XLA: no other back end runs it.

    **Arguments:** `name`: the folder of a run, a file of weights, or the name of shipped ones; `options`.

    **Raises:** UsageError when it is for another task; ValueError when a field has no such value; otherwise as
    `find_weights`.
    """
    source = name if as_path(name).is_dir() else str(find_weights(name, "recognizer"))
    config = load_config(source, "recognizer")
    _check_task(config, f"--recognizer={name}", "recognition")
    own = set(config.predict) - set(default_config().predict)
    shared = {"backend"} if config.model.decoder == "ctc" else set()
    for key, text in options.fields:
        if key.removeprefix("predict.") in own | shared:
            set_field(config, key, text)
    options.fields = [(key, text) for key, text in options.fields if key.removeprefix("predict.") not in own]
    return Recognizer(config, restore_variables(config, source))
