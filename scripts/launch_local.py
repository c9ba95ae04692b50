#!/usr/bin/env python3
"""Runs a command as several processes on this machine, as if each were a host of one run.

    python scripts/launch_local.py 4 python run.py --config=configs/quickstart.py --workdir=runs/four

Process I gets the flags `--coordinator=127.0.0.1:PORT --num_processes=4 --process_id=I`. When a process fails, all
start again, and the run resumes from its last checkpoint. SIGTERM or Ctrl-C makes all processes save and end.
"""

import argparse
import signal
import socket
import subprocess
import sys
import time

SECONDS_TO_END = 60  # for the processes beside one that failed; then they are killed


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def say(text: str) -> None:
    print(f"launch: {text}", file=sys.stderr, flush=True)


class Group:
    """The processes of one attempt."""

    def __init__(self, command: list[str], count: int):
        common = [*command, f"--coordinator=127.0.0.1:{free_port()}", f"--num_processes={count}"]
        # In sessions of their own, so that Ctrl-C reaches them once, through `stop`.
        self.processes = [
            subprocess.Popen([*common, f"--process_id={index}"], start_new_session=True) for index in range(count)
        ]
        say(f"processes {' '.join(str(process.pid) for process in self.processes)}")

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()

    def wait(self) -> int:
        """0 when all processes succeed, or the status of the first one that fails."""
        failed, deadline = 0, float("inf")
        # All are asked each time: a process has its status once it was asked.
        while None in [process.poll() for process in self.processes]:
            codes = [process.returncode for process in self.processes if process.returncode]
            if codes and not failed:
                failed, deadline = codes[0], time.monotonic() + SECONDS_TO_END
            if time.monotonic() > deadline:
                for process in self.processes:
                    process.kill()
            time.sleep(0.1)
        return failed or next((process.returncode for process in self.processes if process.returncode), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many processes")
    parser.add_argument("--restarts", type=int, default=20, help="the most restarts (20)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command that each process runs")
    options = parser.parse_args()
    if options.count < 1 or not options.command:
        parser.error("a number of processes, 1 or more, and a command are needed")
    told, group = False, None

    def stop(number: int, frame: object) -> None:
        nonlocal told
        told = True
        if group is not None:
            group.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for left in range(options.restarts, -1, -1):
        group = Group(options.command, options.count)
        if told:  # while the processes were started
            group.stop()
        code = group.wait()
        if not code or told or not left:
            # A shell adds 128 to the number of the signal that ended a process.
            sys.exit(128 - code if code < 0 else code)
        say(f"a process ended with status {code}: all start again")


if __name__ == "__main__":
    main()
