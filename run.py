"""Train, score and run text detectors.

    python run.py --mode=inspect --config=configs/quickstart.py --output=out/
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart
    python run.py --mode=evaluate --workdir=runs/quickstart
    python run.py --mode=predict --workdir=runs/quickstart --input=photos/ --output=out/
    python run.py --mode=predict --input=photo.jpg
    python run.py --mode=export --workdir=runs/quickstart --output=quickstart.safetensors
    python run.py --mode=score --detections=submission.zip --truth=gt.zip --protocol=iou
    python run.py --mode=convert --input=official.pth --workdir=runs/official --config=configs/icdar2015.py

A config's fields are set as `--config.train.batch_size=32`; dbnet_jax/config/defaults.py documents each. `evaluate`
and `predict` take the config that the run left in its workdir, unless `--config` is given. `convert` makes such a
workdir of a PyTorch checkpoint, whose weights decide the model; `--config` says the rest, the data and the thresholds.
`export` makes one file of a workdir. Instead of a workdir, `--weights` names such a file or shipped weights: they
decide the model and the prediction, and `--config` says which data `evaluate` scores them on.
"""

import io
import os
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from dbnet_jax.config.command_line import parse_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "An experiment: configs/NAME.py[:variant,key=value…].")
WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder: checkpoints, metrics, results.")
MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate", "predict", "convert", "export", "inspect", "score"], "What to do."
)
WEIGHTS = flags.DEFINE_string(
    "weights", None, "predict, evaluate: shipped weights, by name, or a file of --mode=export; predict: or small-word."
)
CARD = flags.DEFINE_string("card", None, "export: a JSON file with more for the model card: limits, licences, scores….")
SET = flags.DEFINE_string(
    "set", None, "all but train: fields changed in the run's config, by export those of predict alone: key=value,…."
)
TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where in the code an error came from.")
INPUT = flags.DEFINE_string("input", None, "predict: a picture, or a folder of them. convert: a file.")
OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Where results go; by default in <workdir>, or in runs/detections/ and runs/evaluations/ beside run.py with "
    "--weights. score: nowhere unless given. export: the file, NAME.safetensors.",
)
COUNT = flags.DEFINE_integer("count", 24, "inspect: training examples to draw.", lower_bound=0)
DETECTIONS = flags.DEFINE_string("detections", None, "score: a folder, zip or detections.json of what was found.")
TRUTH = flags.DEFINE_string("truth", None, "score: a folder or zip of what is there.")
PROTOCOL = flags.DEFINE_string("protocol", "iou", "score: iou, deteval, pascal, icdar2013 or td500.")
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "Many hosts: host:port of process 0, or 'auto' where the cluster tells (Cloud TPU, Slurm).",
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Many hosts: how many processes; with host:port.")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "Many hosts: which one this is, from 0; with host:port.")
RUNS = pathlib.Path(__file__).resolve().parent / "runs"


def main(arguments: Sequence[str]) -> None:
    """Dispatches to the mode."""
    if len(arguments) > 1:
        hint = "a field is set as --config.section.field=value"
        if MODE.value == "predict":
            hint = "--input takes one picture, or a folder of them"
        raise app.UsageError(f"unknown arguments {arguments[1:]}: {hint}")
    logging.set_verbosity(logging.WARNING)
    for flag in (WORKDIR, WEIGHTS, CARD, INPUT, OUTPUT, DETECTIONS, TRUTH):
        if flag.value is not None:  # behind an equals sign shells leave ~ alone
            flags.FLAGS[flag.name].value = os.path.expanduser(flag.value)
    if OUTPUT.value is not None and MODE.value != "export" and os.path.isfile(OUTPUT.value):
        raise app.UsageError(f"--output={OUTPUT.value} is a file: a folder is needed, and is made where there is none")
    if COORDINATOR.value:
        import jax

        address = None if COORDINATOR.value == "auto" else COORDINATOR.value
        jax.distributed.initialize(address, num_processes=NUM_PROCESSES.value, process_id=PROCESS_ID.value)
    if WEIGHTS.value is not None and MODE.value not in ("evaluate", "predict"):
        raise app.UsageError(
            "--weights is for evaluate and predict; training starts from --config.init.checkpoint=FILE"
        )
    modes = (train, evaluate, predict, convert, export, inspect, score)
    {mode.__name__: mode for mode in modes}[MODE.value]()


def train() -> None:
    """Trains, or goes on with what is in the workdir, and scores the result."""
    from dbnet_jax.train import train_and_evaluate
    from dbnet_jax.training.cpu_memory import keep_memory

    if CONFIG.value is None:
        raise app.UsageError("--config is missing: for example configs/quickstart.py")
    if SET.value is not None:
        raise app.UsageError(
            "--set is for saved configs; to train, say --config=FILE:key=value or --config.section.key=value"
        )
    keep_memory()
    show(train_and_evaluate(CONFIG.value, workdir()), workdir())


def evaluate() -> None:
    """Scores the workdir's checkpoint, or weights, on the evaluation split."""
    import jax

    from dbnet_jax.detector import Detector
    from dbnet_jax.evaluation.evaluator import Evaluator
    from dbnet_jax.pages.evaluation import write_report
    from dbnet_jax.sharding import data_mesh
    from dbnet_jax.training.cpu_memory import keep_memory
    from dbnet_jax.weights.run_folder import restore_variables
    from input_pipeline.from_config import open_split

    keep_memory()
    trained = workdir_or_weights()
    config = config_or_saved() if WEIGHTS.value is None else config_of_weights(trained)
    try:
        dataset = open_split(config, "eval")
    except FileNotFoundError as error:
        if CONFIG.value is not None or WEIGHTS.value is None:
            raise
        hint = "--config=configs/NAME.py --config.data.dir=DIR says which data to score them on"
        raise FileNotFoundError(f"{error}\n{hint}") from error
    detector = Detector(config, restore_variables(config, trained), mesh=data_mesh(jax.local_devices()))
    evaluation = Evaluator(dataset, config.evaluate.protocol, too_many_bad="raise").run(detector)
    by_weights = f"evaluations/{pathlib.Path(trained).stem}-{config.data.name}"
    folder = OUTPUT.value or WORKDIR.value or str(RUNS / by_weights)
    show(write_report(folder, evaluation, detector, dataset), folder)


def predict() -> None:
    """Detects text in pictures and writes JSON, ICDAR text files and a page."""
    from dbnet_jax.commands.predict import predict_files
    from dbnet_jax.detector import Detector
    from dbnet_jax.training.cpu_memory import keep_memory
    from dbnet_jax.weights.run_folder import restore_variables
    from dbnet_jax.weights.shipped import DEFAULT

    if INPUT.value is None:
        raise app.UsageError("--input is missing: a picture, or a folder of pictures")
    trained = workdir_or_weights(default=DEFAULT)
    if WORKDIR.value is None and CONFIG.value is not None:
        raise app.UsageError("--config has no say in weights, which carry their own: --set=key=value changes fields")
    config = config_or_saved() if WORKDIR.value is not None else config_of_weights(trained)
    keep_memory()
    detector = Detector(config, restore_variables(config, trained))
    # Beside this file, and not where somebody stands, among the pictures perhaps.
    source = pathlib.Path(INPUT.value).resolve()
    by_input = RUNS / "detections" / (source.name if source.is_dir() else source.stem)
    folder = f"{WORKDIR.value}/detections" if WORKDIR.value else by_input
    found = predict_files(detector, INPUT.value, OUTPUT.value or folder)
    print(f"results: {found.page}")
    if not found.pictures:
        sys.exit(f"--input={INPUT.value}: nothing in it could be read as a picture")


def export() -> None:
    """Makes one file of a run's weights, its config and a model card."""
    from configs.common import apply_arg
    from dbnet_jax.export.weights import export_run, read_words
    from dbnet_jax.weights.run_folder import load_config

    if CONFIG.value is not None:
        raise app.UsageError("--config has no say in what a run learned: --set=key=value changes fields of its own")
    if OUTPUT.value is None:
        raise app.UsageError("--output is missing: the file, for example small-word.safetensors")
    words = {} if CARD.value is None else read_words(CARD.value)
    config = apply_arg(load_config(workdir()), SET.value, {})
    exported = export_run(workdir(), OUTPUT.value, config, words)
    for note in exported.notes:
        print(note)
    print(f"results: {exported.file} and its card, {exported.card}")


def inspect() -> None:
    """Draws what training would see, and measures its text."""
    from dbnet_jax.commands.inspect import inspect_data

    if CONFIG.value is None and WORKDIR.value is None:
        raise app.UsageError("--config is missing: the experiment to look at, for example configs/quickstart.py")
    if OUTPUT.value is None and WORKDIR.value is None:
        raise app.UsageError("--output is missing: a folder for the page (or --workdir: then <workdir>/inspection)")
    found = inspect_data(config_or_saved(), OUTPUT.value or f"{workdir()}/inspection", COUNT.value)
    print(found.report())
    print(f"results: {found.page}")
    if found.stops:
        sys.exit(f"training would stop: {found.stops}")


def score() -> None:
    """Scores detections in files, whoever made them."""
    from dbnet_jax.commands.score import PROBLEMS, score_files
    from dbnet_jax.messages import first_lines

    if DETECTIONS.value is None or TRUTH.value is None:
        missing = "--detections" if DETECTIONS.value is None else "--truth"
        raise app.UsageError(f"{missing} is missing: a folder or a zip archive of text files")
    found = score_files(DETECTIONS.value, TRUTH.value, protocol=PROTOCOL.value, output=OUTPUT.value)
    everything = f"in {OUTPUT.value}/{PROBLEMS}" if OUTPUT.value else "(--output=DIR writes them all)"
    for line in first_lines(found.problems, everything):
        print(line)
    print(in_one_line(found.summary))
    if found.page is not None:
        print(f"results: {found.page}")


def convert() -> None:
    """Makes a workdir of a PyTorch checkpoint."""
    from configs.common import apply_arg, get_config
    from dbnet_jax.commands.convert import configure, convert_checkpoint
    from dbnet_jax.torch_weights.files import read_state_dict

    if INPUT.value is None:
        raise app.UsageError("--input is missing: a PyTorch checkpoint, .pth or .safetensors")
    config = CONFIG.value if CONFIG.value is not None else get_config()
    folder, state_dict = workdir(), read_state_dict(INPUT.value)
    configure(config, state_dict)
    apply_arg(config, SET.value, {})
    found = {**config.model, "normalization": config.data.normalization}
    for name, value in {**found, **convert_checkpoint(state_dict, folder, config)}.items():
        print(f"{name}: {value}")
    print(f"results: {workdir()}, for --mode=evaluate and --mode=predict")


def workdir() -> str:
    """`--workdir`, which every mode needs."""
    if WORKDIR.value is None:
        raise app.UsageError("--workdir is missing: the run's folder, for example runs/quickstart")
    return WORKDIR.value


def workdir_or_weights(default: str | None = None) -> str:
    """The run's folder or the file of weights to detect with. **Raises:** UsageError when both or none are named."""
    from dbnet_jax.weights.shipped import find_weights

    if WORKDIR.value is not None and WEIGHTS.value is not None:
        raise app.UsageError("--workdir and --weights both name a detector; --output says where results go")
    if WORKDIR.value is not None and pathlib.Path(WORKDIR.value).is_file():
        raise app.UsageError(f"--workdir={WORKDIR.value} is a file: --weights takes it if --mode=export wrote it")
    if WORKDIR.value is not None:
        return WORKDIR.value
    weights = WEIGHTS.value or default
    if weights is None:
        raise app.UsageError("--workdir, a run's folder, or --weights, shipped weights or a file, is missing")
    return str(find_weights(weights))


def config_of_weights(file: str) -> ConfigDict:
    """The config in a file of weights, on the data of `--config` where it is given; with what `--set` changes."""
    from configs.common import apply_arg
    from dbnet_jax.config.command_line import refuse_fields_of_weights
    from dbnet_jax.weights.run_folder import load_config, on_data_of

    config = load_config(file, "weights")
    if CONFIG.value is not None:
        refuse_fields_of_weights(flags.FLAGS["config"], CONFIG.value)
        config = on_data_of(config, CONFIG.value)
    return apply_arg(config, SET.value, {})


def config_or_saved() -> ConfigDict:
    """`--config` where it is given, or what the run left in its workdir; with what `--set` changes."""
    from configs.common import apply_arg
    from dbnet_jax.weights.run_folder import load_config

    return apply_arg(CONFIG.value if CONFIG.value is not None else load_config(workdir()), SET.value, {})


def show(summary: dict[str, object], folder: str) -> None:
    """Prints what an evaluation found, what it left out, and where its page is."""
    from dbnet_jax.messages import Problem, first_lines

    messages = summary.get("messages", [])
    assert isinstance(messages, list)
    for line in first_lines([Problem("", message) for message in messages], f"in {folder}/evaluation.json"):
        print(line)
    print(in_one_line(summary))
    print(f"results: {folder}/predictions/index.html")


def in_one_line(summary: dict[str, object]) -> str:
    """The numbers and words of a summary; what has an inside of its own is in evaluation.json."""
    plain = {key: value for key, value in summary.items() if isinstance(value, int | float | str)}
    return "  ".join(
        f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in plain.items()
    )


def run_mode(arguments: Sequence[str]) -> None:
    """`main`, whose complaints about flags end the process without a list of all flags."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file may have a name that is no text, and is named all the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main(arguments)
    except app.UsageError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    try:
        app.run(run_mode, flags_parser=parse_flags)
    except KeyboardInterrupt:
        print(f"interrupted: --mode={MODE.value} is not done", file=sys.stderr)
        sys.exit(130)  # as a shell says of a command that Ctrl-C ended
    except (OSError, ValueError, FloatingPointError, ImportError) as error:
        if flags.FLAGS.is_parsed() and TRACEBACK.value:
            raise
        # The message says what to do; a traceback would bury it.
        sys.exit(f"{type(error).__name__}: {error}")
