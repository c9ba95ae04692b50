"""The scripts for clusters, with programs in the place of `gcloud`, `srun` and `scontrol` that record their calls."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import yaml

from dbnet_jax.commands.options import parse
from tests.helpers.paths import ROOT

SCRIPTS = ROOT / "scripts"


def run(
    folder: pathlib.Path, script: str, *words: str, programs: dict[str, str], **environment: str
) -> tuple[int, str]:
    """The status of a script, and the calls of `programs`, each a line; `$CALLS` and `$STATE` are files."""
    for name, body in programs.items():
        file = folder / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >> "$CALLS"\n{body}\n')
        file.chmod(0o755)
    calls = folder / "calls"
    files = {"CALLS": str(calls), "STATE": str(folder / "state"), "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(SCRIPTS / script), *words], env=os.environ | files | environment, timeout=30, capture_output=True
    )
    return done.returncode, calls.read_text()


GCLOUD = """case "$*" in
  *" describe "*)
    [[ ! -e $STATE.cut ]] || { rm "$STATE.cut"; echo "ERROR: connection lost" >&2; exit 1; }
    [[ -e $STATE ]] || { echo "ERROR: (describe) NOT_FOUND: no such resource" >&2; exit 1; }
    cat "$STATE" ;;
  *" create "*) echo ACTIVE > "$STATE" ;;
  *" delete "*) rm "$STATE" ;;
  *" ssh "*run.py*) [[ -e $STATE.taken ]] || { touch "$STATE.taken"; eval "$FIRST_END"; exit 1; } ;;
esac"""


@pytest.mark.parametrize(
    ("first_end", "between"),
    [
        ('echo SUSPENDED > "$STATE"', ["delete", "create"]),
        ('touch "$STATE.cut"', []),  # training and the next question fail, and the slice is there
    ],
)
def test_a_slice_that_is_taken_away_is_replaced_and_the_last_one_deleted(tmp_path, first_end, between):
    settings = {"TPU": "t", "ZONE": "z", "TYPE": "v6e-16", "RUNTIME": "r", "SOURCE": "s", "BUCKET": "gs://b"}
    settings["FIRST_END"] = first_end
    status, calls = run(
        tmp_path, "tpu_vm.sh", "--config.data.crop=(64, 64)", programs={"gcloud": GCLOUD, "sleep": ""}, **settings
    )
    words = [line.split()[4 if "tpu-vm" not in line else 3] for line in calls.splitlines() if line.startswith("gcloud")]
    # Each ssh installs, or trains.
    life = [word for word in words if word not in ("describe", "storage")]
    assert status == 0
    assert life == ["create", "tpu-vm", "tpu-vm", *between, "tpu-vm", "tpu-vm", "delete"]
    trainings = [line for line in calls.splitlines() if ".venv/bin/python run.py" in line]
    assert len(trainings) == 2
    given = trainings[0].split("run.py ")[1]
    assert given.startswith("--coordinator=auto --workdir=gs://b/t")
    assert given.endswith(r"--config.data.crop=\(64\,\ 64\)")


@pytest.mark.parametrize(
    ("status", "restarts", "requeued"), [(0, "0", False), (143, "0", True), (1, "19", True), (1, "20", False)]
)
def test_a_job_of_slurm_goes_back_into_the_queue_unless_it_is_done(tmp_path, status, restarts, requeued):
    programs = {"srun": f"exit {status}", "scontrol": ""}
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "12", "SLURM_RESTART_COUNT": restarts}
    code, calls = run(tmp_path, "slurm.sbatch", "--workdir=a b", programs=programs, **job)
    assert code == status
    assert "run.py --coordinator=auto --workdir=a b" in calls
    assert ("scontrol requeue 7" in calls) == requeued


def test_the_job_of_kubernetes_agrees_with_itself_and_has_flags_that_exist():
    service, job = yaml.safe_load_all((SCRIPTS / "kubernetes.yaml").read_text())
    name, spec = job["metadata"]["name"], job["spec"]
    pod = spec["template"]["spec"]
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    options = parse([word.replace("$(JOB_COMPLETION_INDEX)", "3") for word in pod["containers"][0]["args"]], ROOT)
    assert options.coordinator.startswith(f"{name}-0.{pod['subdomain']}:")
    assert spec["completions"] == spec["parallelism"] == options.num_processes == 4
    gpus = 4 * pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    (batch,) = (word for word in pod["containers"][0]["args"] if word.startswith("--config.train.batch_size="))
    assert int(batch.split("=")[1]) % gpus == 0


WORKER = """
import pathlib, signal, sys, time
folder, index = pathlib.Path(sys.argv[1]), sys.argv[-1][-1]
attempt = len(list(folder.glob(f"*.{index}")))
(folder / f"{attempt}.{index}").write_text(" ".join(sys.argv[2:]))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
if attempt == 0:
    sys.exit(7 if index == "1" else 0)
time.sleep(60)
"""


def launch(folder: pathlib.Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WORKER, str(folder)]
    return subprocess.Popen([sys.executable, str(SCRIPTS / "launch_local.py"), *flags, "2", *command])


def test_the_launcher_starts_all_again_after_a_failure_and_passes_sigterm_on(tmp_path):
    launcher = launch(tmp_path)
    for _ in range(600):
        if (tmp_path / "1.0").exists() and (tmp_path / "1.1").exists():
            break
        time.sleep(0.05)
    time.sleep(0.2)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=30) == 143
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.0", "0.1", "1.0", "1.1"]
    flags = [(tmp_path / name).read_text().split() for name in ("1.0", "1.1")]
    assert [flag[1:] for flag in flags] == [["--num_processes=2", f"--process_id={index}"] for index in (0, 1)]
    assert flags[0][0] == flags[1][0] != (tmp_path / "0.0").read_text().split()[0]  # another port


def test_the_launcher_gives_up_with_the_status_of_the_process_that_failed(tmp_path):
    assert launch(tmp_path, "--restarts=0").wait(timeout=30) == 7


# Process 1 fails at once. The other one works on for a while, or fails otherwise than the first.
UNEVEN = "import sys, time; sys.exit(7) if sys.argv[-1][-1] == '1' else (time.sleep(4), sys.exit(3))"


def test_the_launcher_sees_a_later_process_fail_and_kills_the_one_that_hangs(monkeypatch):
    spec = importlib.util.spec_from_file_location("launch_local", SCRIPTS / "launch_local.py")
    assert spec is not None
    assert spec.loader is not None
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    monkeypatch.setattr(launcher, "SECONDS_TO_END", 0.2)
    group = launcher.Group([sys.executable, "-S", "-c", UNEVEN], 2)
    assert group.wait() == 7
    assert [process.returncode for process in group.processes] == [-signal.SIGKILL, 7]
