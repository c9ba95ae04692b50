"""What the benchmarks share: the machine's name, programs that take turns, the JSON file."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


def environment(packages: tuple[str, ...], device: str | None = None) -> dict[str, Any]:
    """Where and when: the date, the machine and the versions. `device` is what computes, where it is not the CPU."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"device": device or processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def show_environment(result: Mapping[str, Any]) -> None:
    """Prints what `environment` found."""
    machine = result["machine"]
    print(f"{result['date']}: {machine['cores']} cores, {machine['device']}, Python {machine['python']}")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))


def processor() -> str:
    """The CPU's name."""
    linux = pathlib.Path("/proc/cpuinfo")
    lines = linux.read_text().splitlines() if linux.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def accelerator() -> str | None:
    """The name of JAX's first device; None when it is the CPU."""
    import jax

    return None if jax.default_backend() == "cpu" else jax.devices()[0].device_kind


def take_turns(programs: Mapping[Key, Callable[[], Any]], repeats: int) -> dict[Key, list[float]]:
    """The milliseconds of each program, once a repeat; they take turns, so that a busy moment hits all of them."""
    import jax

    milliseconds: dict[Key, list[float]] = {key: [] for key in programs}
    for repeat in range(repeats + 1):
        for key, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program())
            if repeat > 0:  # the first warms up
                milliseconds[key].append(1000 * (time.perf_counter() - start))
    return milliseconds


def write_json(result: Mapping[str, Any], path: str | None) -> None:
    """Writes the result where the command line named a file."""
    if path:
        pathlib.Path(path).write_text(json.dumps(result, indent=2) + "\n")
