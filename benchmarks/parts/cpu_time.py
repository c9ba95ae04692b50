"""The processor time of a program and of all processes that it starts (Linux)."""

import os
import pathlib
import subprocess
import time


def run_and_count(words: list[str], environment: dict[str, str], folder: pathlib.Path) -> tuple[str, float]:
    """Runs a program. **Returns:** what it prints, and the processor seconds of its processes.

    The processes are looked at twice a second, because those of a cluster are not children of the program itself. So of
    each up to half a second is missing.
    """
    spent: dict[int, float] = {}
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None:
            _add(process.pid, spent)
            time.sleep(0.5)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return printed, sum(spent.values())


def _add(root: int, spent: dict[int, float]) -> None:
    """Updates the seconds of the processes below `root`, and of those that were below it before."""
    parents, seconds = {}, {}
    for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(file.parent.name)
        parents[pid] = int(fields[1])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    for pid in parents:
        above = pid
        while above in parents and above != root and above not in spent:
            above = parents[above]
        if above == root or above in spent:
            spent[pid] = seconds[pid]
