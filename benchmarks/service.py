"""How many pictures a second the HTTP service takes, against `Detector.detect_many` without a service.

    python benchmarks/service.py
    python benchmarks/service.py --dir=PHOTOS --clients 1 8 32 --repeats=5 --json=FILE
    python benchmarks/service.py --mixed=600

benchmarks/README.md says how to read the numbers.
"""

import argparse
import contextlib
import http.client
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from detection import picture_files, write_pictures
from parts import measuring
from parts.http_clients import load

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(ROOT))

PACKAGES = ("jax", "jaxlib", "fastapi", "uvicorn", "numpy", "opencv-python-headless")
BAD_EVERY = 20  # requests of the mixed load: 5 % are bad


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder, running_service(options.size) as (port, process):
        pictures = pathlib.Path(options.dir or folder)
        if not options.dir:
            write_pictures(pictures, options.pictures)
        contents = [file.read_bytes() for file in picture_files(pictures)[: options.pictures]]
        result: dict[str, Any] = measuring.environment(PACKAGES, measuring.accelerator())
        if options.mixed:
            result["mixed"] = mixed(port, process.pid, contents, options.mixed)
        else:
            result["turns"] = compare(port, contents, options)
    measuring.show_environment(result)
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="a folder of pictures (default: synthetic ones of 720×1280, as JPEG)")
    parser.add_argument("--pictures", type=int, default=32, help="how many; detect_many takes all of them in its turn")
    parser.add_argument("--size", type=int, default=736, help="the short side in the network")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="clients at a time")
    parser.add_argument("--seconds", type=float, default=15, help="of a turn of the clients")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each; the median is shown")
    parser.add_argument("--mixed", type=float, default=0, help="instead: seconds of a load with 5 %% bad requests")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


@contextlib.contextmanager
def running_service(size: int) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """The service in a process of its own: its port, when it is ready, and the process."""
    words = [sys.executable, "run.py", "--mode=serve", "--port=0", f"--config.predict.size={size}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r":(\d+)/", line)
            if not found:
                sys.exit("the service did not start")
            port = int(found[1])
            while status(port) != 200:
                time.sleep(0.5)
            yield port, process
        finally:
            process.terminate()


def status(port: int) -> int:
    """The status of the service's health."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def compare(port: int, pictures: Sequence[bytes], options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """The turns of `detect_many` and of the clients, which alternate."""
    from dbnet_jax import Detector, keep_memory

    keep_memory()
    detector = Detector.from_pretrained(size=options.size)
    list(detector.detect_many(pictures))  # compiles
    load(port, pictures, 2, 1)
    turns: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.repeats):
        begun = time.perf_counter()
        list(detector.detect_many(pictures))
        rate = len(pictures) / (time.perf_counter() - begun)
        turns.setdefault("detect_many", []).append({"rate": rate})
        for clients in options.clients:
            tally, seconds = load(port, pictures, clients, options.seconds)
            if set(tally.good) != {"200"}:
                sys.exit(f"{clients} clients: answers {dict(tally.good)}, all must be 200")
            turn = {"rate": len(tally.seconds) / seconds, "share": len(tally.seconds) / seconds / rate}
            turns.setdefault(f"{clients} clients", []).append(turn | tally.latency())
    return turns


def mixed(port: int, pid: int, pictures: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Eight clients, every twentieth request bad: the answers, and the memory of the service over time."""
    load(port, pictures, 8, min(20, seconds / 4))
    memory: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(seconds / 12):
            memory.append(resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    tally, took = load(port, pictures, 8, seconds, lambda number: number % BAD_EVERY == BAD_EVERY - 1)
    done.set()
    watcher.join()
    answers = {"good": dict(tally.good), "bad": dict(sorted(tally.bad.items()))}
    return {**answers, "seconds": took, "rate": len(tally.seconds) / took, **tally.latency(), "megabytes": memory}


def resident(pid: int) -> float:
    """The memory of a process in megabytes."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def show(result: dict[str, Any]) -> None:
    """Prints the medians of the turns, or the answers of the mixed load."""
    for name, turns in result.get("turns", {}).items():
        middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        print(f"{name:12}", " ".join(f"{key} {value:.2f}" for key, value in middle.items()))
    for name, value in result.get("mixed", {}).items():
        print(f"{name}: {[round(one) for one in value] if name == 'megabytes' else value}")


if __name__ == "__main__":
    main()
