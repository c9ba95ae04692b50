"""Runs the shards of a job: in this process, or in the processes of a Ray cluster."""

import contextlib
import importlib.util
import json
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dbnet_jax.bulk.listing import Entry
from dbnet_jax.bulk.plan import Shard
from dbnet_jax.bulk.shards import Done, ShardWorker

ENGINES = ("local", "ray")


class ShardFailed(OSError):
    """A shard ended with an error that no picture of it is to blame for."""


def check_packages(engine: str) -> None:
    """**Raises:** ImportError if a package that the engine needs is not installed."""
    needed = ("pyarrow",) if engine == "local" else ("pyarrow", "ray")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise ImportError(f"bulk needs the package {' and '.join(missing)}: pip install 'dbnet_jax[bulk]'")


def run_here(worker: ShardWorker, shards: Sequence[Shard]) -> Iterator[Done]:
    """Does the shards one after the other. **Raises:** as `ShardWorker.do`."""
    return map(worker.do, shards)


@contextlib.contextmanager
def ray_cluster() -> Iterator[None]:
    """Joins the Ray cluster of RAY_ADDRESS or of this machine, or starts one of this machine alone.

    It must be entered before JAX computes: Ray forks this process, and JAX has threads.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its maker
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it logs as errors what it mends
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def run_on_ray(worker: ShardWorker, shards: Sequence[Shard], workers: int | None = None) -> Iterator[Done]:
    """Does the shards in processes of the Ray cluster that this process has joined.

    Ray gives the shards of a lost process to another one. So every machine needs the folder of the results and the
    pictures under the same paths.

    **Arguments:** `worker`; `shards`; `workers`: how many processes. The default is one a GPU, or one a machine of a
    cluster without GPUs.

    **Returns:** an iterator over the shards that are done, in any order.

    **Raises:** ShardFailed.
    """
    import ray
    import ray.data

    count, each = _resources(ray.nodes(), workers)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # One block a shard. Texts as JSON: a file name may hold bytes that are no Unicode.
    rows = [{"shard": json.dumps(shard)} for shard in shards]
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _RayWorker,  # type: ignore[arg-type]
        fn_constructor_args=(worker,),
        # A second shard that waits in a process would wait in vain for the others, when they have none left.
        compute=ray.data.ActorPoolStrategy(size=min(count, len(rows)), max_tasks_in_flight_per_actor=1),
        **each,
    )
    for row in done.iter_rows():
        if row["failure"]:
            raise ShardFailed(f"{row['failure']}. The shards that are done stay: start the same command again to go on")
        yield Done(row["shard"], row["pictures"], row["unreadable"])


def _resources(nodes: Sequence[dict[str, Any]], workers: int | None) -> tuple[int, dict[str, Any]]:
    """How many processes there are, and the CPUs and GPUs that Ray keeps for each of them.

    One process uses all cores of a CPU, so that it is kept a whole machine.
    """
    machines = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU")]
    gpus = int(sum(machine.get("GPU", 0) for machine in machines))
    count = workers or gpus or len(machines)
    if gpus:
        return count, {"num_cpus": 1, "num_gpus": gpus / max(count, gpus)}
    # More processes than machines share the cores.
    shared = -(-count // max(1, len(machines)))
    return count, {"num_cpus": max(1, min(machine["CPU"] for machine in machines) // shared)}


@dataclass
class _RayWorker:
    """A process of the cluster. It returns an error as a value: Ray would take it for one of its own."""

    worker: ShardWorker

    def __post_init__(self) -> None:
        """Makes SIGTERM, which comes before a machine is taken away, no death at a shard. Ray ends the process."""
        before = signal.getsignal(signal.SIGTERM)

        def told(number: int, frame: FrameType | None) -> None:
            self.worker.leave()
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, told)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number, digest, entries = json.loads(row["shard"])
        try:
            done = self.worker.do(Shard(number, digest, [Entry(*entry) for entry in entries]))
        except Exception as error:
            return {"shard": number, "pictures": 0, "unreadable": 0, "failure": f"{type(error).__name__}: {error}"}
        return {**done._asdict(), "failure": ""}
