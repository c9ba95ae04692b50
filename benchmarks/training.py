"""Images a second of the whole training path, from files to updated weights, and what of it is not the network.

    python benchmarks/training.py --data=icdar2015 --dir=DIR --pixels=device --cache=device --dtype=bfloat16
    python benchmarks/training.py --width=16 --inner=64 --batch=4 --steps=10 --json=FILE

Made for an accelerator; a narrow model runs on a CPU. benchmarks/README.md says how to read the numbers.
"""

import argparse
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

from parts import measuring

# Before the folder of this file, which has the name of a package that it measures.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
from ml_collections import ConfigDict

from configs import icdar2015, quickstart
from dbnet_jax.config.checks import check_training
from dbnet_jax.optimizer import make_optimizer, poly_schedule
from dbnet_jax.sharding import data_mesh, to_global
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.training.log import FiniteCheck
from dbnet_jax.training.progress import StageTimer
from dbnet_jax.training.state import create_state
from dbnet_jax.training.step import make_train_step
from dbnet_jax.training.step_cost import MeasuredStep
from dbnet_jax.training.task import task_of
from input_pipeline.bad_samples import BadSamples
from input_pipeline.from_config import make_batches, open_split

CONFIGS = {"synthetic": quickstart, "icdar2015": icdar2015}
# The step compiles, and what was made ahead in the meantime is used up.
WARM_UP = 5


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    keep_memory()
    result = measuring.environment(("jax", "jaxlib", "flax"), measuring.accelerator())
    result |= {name: value for name, value in vars(options).items() if name != "json"}
    result |= measure(make_config(options), options.steps, options.repeats)
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(CONFIGS), default="synthetic")
    parser.add_argument("--dir", default="", help="the data set's folder; synthetic pictures need none")
    parser.add_argument("--pixels", choices=("host", "device"), default="device", help="who makes pixels and labels")
    parser.add_argument(
        "--cache", choices=("none", "host", "device"), default="none", help="where decoded pictures stay"
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--dcn", action="store_true", help="deformable convolution")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage; less is a narrow model")
    parser.add_argument("--inner", type=int, default=256, help="channels of the pyramid")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--crop", type=int, help="pixels a side (default: 640 of icdar2015, 256 of synthetic)")
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--steps", type=int, default=50, help="batches in one measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def make_config(options: argparse.Namespace) -> ConfigDict:
    """The experiment's config with what was asked for."""
    config = CONFIGS[options.data].get_config()
    model = {"backbone": options.backbone, "dcn": options.dcn, "width": options.width, "dtype": options.dtype}
    config.model.update(model | {"inner_channels": options.inner})
    config.data.update({"dir": options.dir, "pixels": options.pixels, "cache": options.cache})
    # The learning rate of a run that is under way, for weights that are random.
    config.train.update({"batch_size": options.batch, "optimizer": "sgd", "learning_rate": 1e-4})
    if options.crop:
        config.data.crop = (options.crop, options.crop)
    # Words are synthetic: as many pictures as a measurement sees are enough to store.
    config.data.train_pictures = min(config.data.train_pictures, options.batch * (options.steps + WARM_UP))
    check_training(config)
    return config


def measure(config: ConfigDict, steps: int, repeats: int) -> dict[str, Any]:
    """Seconds by stage of three loops, which take turns: the whole path, and the same step without parts of it."""
    mesh = data_mesh()
    dataset = open_split(config, "train")
    task = task_of(config)
    pictures = task.resident(config, dataset, mesh)
    step, ready_step = Training(config, rendering=True), Training(config, rendering=False)
    batches = make_batches(config, dataset, BadSamples(len(dataset), config.data.max_bad_share), first_step=0)
    one = to_global(mesh, next(batches)[0])
    render = task.prepare(config)
    ready = one if render is None else jax.jit(render)(one, pictures)
    loops: dict[str, Callable[[StageTimer], None]] = {
        "whole path": lambda timer: step(lambda: to_global(mesh, next(batches)[0]), pictures, timer),
        "same batch again": lambda timer: step(lambda: one, pictures, timer),
        "network alone": lambda timer: ready_step(lambda: ready, None, timer),
    }
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in loops}
    for repeat in range(repeats + 1):
        for name, loop in loops.items():
            timer = StageTimer()
            for _ in range(WARM_UP if repeat == 0 else steps):
                loop(timer)
            (step if name != "network alone" else ready_step).finish(timer)
            if repeat > 0:
                seconds[name].append(timer.take())
    cost = ready_step.cost
    return {
        "pictures": len(dataset),
        "cost": cost._asdict(),
        "cost_with_rendering": step.cost._asdict(),
        "seconds": seconds,
    }


class Training:
    """A run's state and compiled step, looked after as `dbnet_jax.train` does it."""

    def __init__(self, config: ConfigDict, *, rendering: bool):
        train, mesh, task = config.train, data_mesh(), task_of(config)
        model, schedule = task.model(config), poly_schedule(train.learning_rate, 10**6, train.power)
        optimizer = make_optimizer(schedule, momentum=train.momentum, weight_decay=train.weight_decay)
        self._state = create_state(model, optimizer, config.seed, average=False, mesh=mesh)
        prepare = task.prepare(config) if rendering else None
        self._step = MeasuredStep(make_train_step(task.loss(config, model), optimizer, mesh, prepare=prepare))
        self._check = FiniteCheck()

    def __call__(self, next_batch: Callable[[], dict[str, jax.Array]], pictures: Any, timer: StageTimer) -> None:
        """One step; the metrics of the one before it are looked at in the meantime."""
        with timer.stage("data"):
            batch = next_batch()
        with timer.stage("step"):
            self._state, metrics = self._step(self._state, batch, pictures)
            self._check.later(0, metrics, [])

    def finish(self, timer: StageTimer) -> None:
        """Waits for the last step."""
        with timer.stage("step"):
            self._check.now()

    @property
    def cost(self) -> Any:
        """What a step costs; known after the first."""
        return self._step.cost


def show(result: dict[str, Any]) -> None:
    """Prints images a second of each loop, and what the input and the rendering add to the network."""
    widths = f"width {result['width']}, {result['inner']} in the pyramid"
    name = f"{result['backbone']}{' dcn' if result['dcn'] else ''}"
    print(f"{name} ({widths}), {result['dtype']}, batches of {result['batch']}")
    print(f"{result['data']} ({result['pictures']} pictures), pixels={result['pixels']}, cache={result['cache']}")
    measuring.show_environment(result)
    images, cost = result["steps"] * result["batch"], result["cost"]
    totals = {name: [sum(stages.values()) for stages in turns] for name, turns in result["seconds"].items()}
    print(f"\n{'':<20}{'images/s (from–to)':>28}{'ms a step':>12}{'waits for data':>16}")
    for name, turns in result["seconds"].items():
        rates = [images / total for total in totals[name]]
        waiting = statistics.median(stages["data"] / sum(stages.values()) for stages in turns)
        spread = f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})"
        milliseconds = 1000 * statistics.median(totals[name]) / result["steps"]
        line = f"{name:<20}{spread:>28}{milliseconds:>12.1f}{waiting:>16.1%}"
        if cost["peak"]:
            line += f"   {cost['flops'] * 1000 / milliseconds / cost['peak']:.1%} of the peak"
        print(line)
    alone = statistics.median(totals["network alone"])
    for name in ("same batch again", "whole path"):
        print(f"{name} takes {statistics.median(totals[name]) / alone - 1:+.1%} of the time of the network alone")
    print(f"a step: {cost['flops'] / 1e9:.1f} GFLOP, {cost['bytes'] / 1e9:.2f} GB as compiled")


if __name__ == "__main__":
    main()
