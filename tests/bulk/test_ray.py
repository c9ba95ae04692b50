"""A job on a Ray cluster loses nothing when a process is killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from dbnet_jax.bulk.engines import _RayWorker, _resources
from dbnet_jax.bulk.listing import list_pictures
from dbnet_jax.bulk.plan import make_plan
from dbnet_jax.bulk.shards import ShardWorker
from tests.helpers.bulk import Widths, records, write_pictures
from tests.helpers.paths import ROOT

# In a process of its own: Ray's warnings are not ours, and it forks.
PROGRAM = """
import sys
from dbnet_jax.bulk.engines import ray_cluster, run_on_ray
from dbnet_jax.bulk.listing import list_pictures
from dbnet_jax.bulk.plan import make_plan
from dbnet_jax.bulk.shards import ShardWorker
from tests.helpers.bulk import Widths
photos, output, mark = sys.argv[1:]
if __name__ == "__main__":
    plan = make_plan(list_pictures([photos], ""), 2, {})
    with ray_cluster():
        done = run_on_ray(ShardWorker(Widths(deadly=(45,), mark=mark), output), plan.shards)
        print(sorted(done))
"""


def test_a_killed_process_loses_nothing(tmp_path):
    pytest.importorskip("ray.data")
    photos, output, mark = write_pictures(tmp_path / "photos", 8), tmp_path / "out", tmp_path / "killed"
    output.mkdir()
    # A cluster of its own, and no token of it in the home of a person.
    environment = os.environ | {"RAY_ADDRESS": "local", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", PROGRAM, str(photos), str(output), str(mark)]
    run = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=480, check=False)
    assert run.returncode == 0, run.stderr
    assert int(mark.read_text()) > 0  # the process that was killed
    shards = [f"Done(shard={shard}, pictures=2, unreadable=0)" for shard in range(4)]
    assert run.stdout.splitlines()[-1] == f"[{', '.join(shards)}]"
    lines = [line for part in sorted(pathlib.Path(output).glob("*.jsonl")) for line in part.read_text().splitlines()]
    expected = zip((f"{index:02}.png" for index in range(8)), records(range(40, 48)), strict=True)
    assert [json.loads(line) for line in lines] == [{"name": name, **record} for name, record in expected]


def test_sigterm_in_a_process_of_the_cluster_is_no_death_at_its_shard(tmp_path):
    pytest.importorskip("pyarrow")
    told, within, go_on = [], threading.Event(), threading.Event()

    def find(sources):
        within.set()
        assert go_on.wait(30)
        yield from Widths().load()(sources)

    (shard,) = make_plan(list_pictures([f"{write_pictures(tmp_path / 'photos', 2)}"], ""), 9, {}).shards
    before = signal.signal(signal.SIGTERM, lambda *_: told.append("Ray"))
    try:
        process = _RayWorker(ShardWorker(Widths(), str(tmp_path), _find=find))
        done: list[dict] = []
        # As Ray calls it: the main thread gets the signals.
        thread = threading.Thread(target=lambda: done.append(process({"shard": json.dumps(shard)})))
        thread.start()
        assert within.wait(30)
        assert os.listdir(tmp_path / "tries") == ["part-00000.json"]
        signal.raise_signal(signal.SIGTERM)
        assert (told, os.listdir(tmp_path / "tries")) == (["Ray"], [])
    finally:
        go_on.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)
    # The process is not ended within the shard here: the shard is done.
    assert done == [{"shard": 0, "pictures": 2, "unreadable": 0, "failure": ""}]
    assert os.listdir(tmp_path / "tries") == []


@pytest.mark.parametrize(
    ("machines", "workers", "count", "each"),
    [
        ([{"CPU": 8}], None, 1, {"num_cpus": 8}),
        ([{"CPU": 8}, {"CPU": 4}], None, 2, {"num_cpus": 4}),
        ([{"CPU": 2}], 2, 2, {"num_cpus": 1}),
        ([{"CPU": 1}], 3, 3, {"num_cpus": 1}),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 8, "GPU": 1}], None, 3, {"num_cpus": 1, "num_gpus": 1}),
        ([{"CPU": 8, "GPU": 1}], 2, 2, {"num_cpus": 1, "num_gpus": 0.5}),
        ([{"CPU": 8}, {"memory": 9}], None, 1, {"num_cpus": 8}),  # one that only coordinates
    ],
)
def test_a_machine_or_a_gpu_has_one_process(machines, workers, count, each):
    nodes = [{"Alive": True, "Resources": machine} for machine in machines]
    nodes.append({"Alive": False, "Resources": {"CPU": 99}})
    assert _resources(nodes, workers) == (count, each)
