"""Problems as lines: how many there are, and the first of them for a terminal."""

import re
from collections.abc import Sequence

MOST_PRINTED = 20  # on a terminal
_LONGEST = 240  # characters of a printed line: one may name hundreds of pictures
# What stands for the problems of a file that are not named one by one.
_MORE = re.compile(r"… and ([\d,]+) more")


def count_problems(problems: Sequence[str]) -> int:
    """How many problems these lines tell: one "… and 80 more problems" tells eighty."""
    more = [_MORE.search(problem) for problem in problems]
    return sum(int(found[1].replace(",", "")) if found else 1 for found in more)


def in_short(problems: Sequence[str], rest: str = "") -> list[str]:
    """The first problems, long ones cut, and how many more there are; `rest` says where."""
    lines = [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 2]} …" for line in problems[:MOST_PRINTED]]
    more = count_problems(problems[MOST_PRINTED:])
    return [*lines, *([f"… and {more:,} more {rest}".rstrip()] if more else [])]
