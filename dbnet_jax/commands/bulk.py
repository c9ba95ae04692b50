"""Detection or reading over very many pictures, in shards: Parquet and JSON lines, and a restart that goes on."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence

import jax
from absl.app import UsageError
from tqdm import tqdm

from dbnet_jax.bulk.engines import ENGINES, check_packages, ray_cluster, run_here, run_on_ray
from dbnet_jax.bulk.listing import Entry, list_pictures
from dbnet_jax.bulk.models import Network, TextModels
from dbnet_jax.bulk.output import clear, read_part
from dbnet_jax.bulk.plan import Plan, make_plan, open_plan
from dbnet_jax.bulk.shards import Done, ShardWorker
from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import find_detector, load_recognizer
from dbnet_jax.messages import Problem, check_choice, check_least, first_lines, plural
from dbnet_jax.paths import as_path, in_bucket
from dbnet_jax.training.lock import only_run_in
from dbnet_jax.weights.run_folder import restore_variables


def run(options: Options) -> None:
    """The command `bulk`."""
    if not options.inputs or options.output is None:
        missing = "output is missing: the folder for the results" if options.inputs else "input is missing: pictures"
        raise UsageError(f"--{missing}")
    # A variable of the shell that is not set: an empty path would be the current folder.
    for name, paths in (("input", options.inputs), ("output", [options.output])):
        if "" in paths:
            raise UsageError(f"--{name}= is empty: give a path, and check the variable that it comes from")
    check_choice("engine", options.engine, ENGINES)
    check_least("shard_size", options.shard_size, 1)
    if options.workers is not None:
        check_least("workers", options.workers, 1)
    check_packages(options.engine)
    output = options.output if in_bucket(options.output) else os.path.abspath(options.output)
    entries = list_pictures(options.inputs, output, options.columns)
    unlisted = [Problem(entry.name, entry.problem) for entry in entries if entry.problem]
    print("".join(f"{line}\n" for line in first_lines(unlisted, "in the column error")), end="", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        if options.engine == "ray":
            jax.config.update("jax_platforms", "cpu")  # this process only gives out work: accelerators are the workers'
            stack.enter_context(ray_cluster())
        stack.enter_context(_sigterm_as_ctrl_c())  # after Ray, which has a handler of its own
        done = _run(options, entries, output)
    pictures, unreadable = sum(one.pictures for one in done), sum(one.unreadable for one in done)
    print(f"{plural(pictures, 'picture')}, {unreadable:,} of them unreadable (column error)\nresults: {output}")
    if pictures == unreadable:
        sys.exit(f"--input={' '.join(options.inputs)}: nothing in it could be read as a picture")


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM, which comes before a machine is taken away, ends the command as Ctrl-C does: no death at a shard."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: Options, entries: Sequence[Entry], output: str) -> list[Done]:
    """Does the job, or what is left of it. **Returns:** all of its shards."""
    models = _models(options)
    plan = make_plan(entries, options.shard_size, {**models.options(), "columns": options.columns})
    as_path(output).mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext() if in_bucket(output) else only_run_in(output, "output"):
        open_plan(output, plan)
        done = _do(plan, ShardWorker(models, output, options.columns), options)
        clear(output)
    return done


def _models(options: Options) -> TextModels:
    recognizer = None
    if options.recognizer is not None:
        loaded = load_recognizer(options.recognizer, options)
        recognizer = Network.of(loaded.config, loaded.variables)
    config, trained = find_detector(options)
    return TextModels(Network.of(config, restore_variables(config, trained)), recognizer)


def _do(plan: Plan, worker: ShardWorker, options: Options) -> list[Done]:
    """Does the shards that are not done yet. **Returns:** all of them."""
    done: list[Done] = []
    for shard in plan.shards:
        if (about := read_part(worker.output, shard.number, shard.digest)) is not None:
            done.append(Done(shard.number, about["pictures"], about["unreadable"]))
    finished = {one.shard for one in done}
    todo = [shard for shard in plan.shards if shard.number not in finished]
    if done:
        print(f"{len(done):,} of {plural(len(plan.shards), 'shard')} are done already", file=sys.stderr)
    running: Iterator[Done] = (
        iter(())
        if not todo
        else run_here(worker, todo)
        if options.engine == "local"
        else run_on_ray(worker, todo, options.workers)
    )
    total = sum(len(shard.entries) for shard in plan.shards)
    before = sum(one.pictures for one in done)
    with tqdm(total=total, initial=before, unit="picture", disable=None, dynamic_ncols=True) as bar:
        for one in running:
            done.append(one)
            bar.update(one.pictures)
    return done
