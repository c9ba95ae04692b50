"""A page's list of what is wrong with the data."""

from collections.abc import Sequence
from html import escape

from dbnet_jax.messages import Problem, count_problems

MOST_LISTED = 200  # on a page


def problem_list(headline: str, problems: Sequence[Problem], file: str = "") -> str:
    """HTML: a headline that opens the list of the first problems; `file`, beside the page, contains all of them."""
    lines = [f"<li>{escape(str(problem))}</li>" for problem in problems[:MOST_LISTED]]
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
