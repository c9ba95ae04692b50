"""What is wrong with data, told: how much of it, the first of it on a terminal, and all of it as a list on a page."""

import re
from collections.abc import Sequence
from html import escape

from dbnet_jax.messages import plural

MOST_PRINTED = 20  # on a terminal
MOST_LISTED = 200  # on a page
_LONGEST = 240  # characters of a printed line: one may name hundreds of pictures
# What stands for the problems of a file that are not named one by one.
_MORE = re.compile(r"… and ([\d,]+) more")


def summary_line(skipped: int, problems: int) -> str:
    """For example "1 picture skipped, 2 problems in the data"."""
    return f"{plural(skipped, 'picture')} skipped, {plural(problems, 'problem')} in the data"


def count_problems(problems: Sequence[str]) -> int:
    """How many problems these lines tell: one "… and 80 more problems" tells eighty."""
    more = [_MORE.search(problem) for problem in problems]
    return sum(int(found[1].replace(",", "")) if found else 1 for found in more)


def in_short(problems: Sequence[str], rest: str = "") -> list[str]:
    """The first problems, long ones cut, and how many more there are; `rest` says where."""
    lines = [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 2]} …" for line in problems[:MOST_PRINTED]]
    more = count_problems(problems[MOST_PRINTED:])
    return [*lines, *([f"… and {more:,} more {rest}".rstrip()] if more else [])]


def problem_list(headline: str, problems: Sequence[str], file: str = "") -> str:
    """HTML: a headline that opens the list of the first problems; `file`, beside the page, holds all of them."""
    lines = [f"<li>{escape(problem.strip())}</li>" for problem in problems[:MOST_LISTED]]
    more = count_problems(problems[MOST_LISTED:])
    lines += [f"<li>… and {more:,} more</li>"] if more else []
    link = f' <a href="{escape(file)}">{escape(file)}</a>' if file else ""
    if not problems:
        return ""
    return f"<details open><summary>{escape(headline)}{link}</summary><ul>{''.join(lines)}</ul></details>"


# What a page must say for such a list in it.
PROBLEM_STYLE = """
details { margin-top: 1.3rem; }
summary { color: var(--soft); font-size: .86rem; cursor: pointer; }
summary a { color: inherit; }
details ul {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .8rem .95rem; margin-top: .5rem;
  max-height: 260px; overflow: auto; font: .8rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
details li { overflow-wrap: anywhere; flex-basis: 100%; }
"""
