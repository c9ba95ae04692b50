"""What a command prints of scores."""

from collections.abc import Mapping
from typing import Any

from dbnet_jax.commands import hosts
from dbnet_jax.messages import Problem, first_lines


def print_evaluation(summary: Mapping[str, Any], folder: str) -> None:
    """Prints the first problems and the numbers of an evaluation, and its page. Process 0 prints for all."""
    if not hosts.speaks():
        return
    problems = [Problem("", message) for message in summary.get("messages", [])]
    for line in first_lines(problems, f"in {folder}/evaluation.json"):
        print(line)
    print(in_one_line(summary))
    print(f"results: {folder}/predictions/index.html")


def in_one_line(summary: Mapping[str, Any]) -> str:
    """The numbers and words of a summary. Its lists and tables are in evaluation.json."""
    plain = {key: value for key, value in summary.items() if isinstance(value, int | float | str)}
    return "  ".join(
        f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in plain.items()
    )
