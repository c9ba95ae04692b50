"""The parts that all pages share: templates, rows of the header, names of pictures, the list of problems."""

import math
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from dbnet_jax.files import write_atomically
from dbnet_jax.messages import Problem, count_problems, duration

PAGE = "index.html"
"""The file of a page, in its folder."""
MOST_LISTED = 200
"""Problems that a page lists."""
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
_LABELS = {"seconds": "time", "images": "pictures"}  # names in a summary that the page replaces


class Row(NamedTuple):
    """One number or fact of a page's header, as text."""

    name: str
    value: str
    is_code: bool = False


class LegendItem(NamedTuple):
    """One entry of the legend: a dot in the colour of a kind, a colour scale that ends at `end`, or words alone."""

    words: str
    kind: str = ""
    colors: str = ""
    end: str = ""


def render(template: str, **values: object) -> Markup:
    """The template of this name with its values; text is escaped, `Markup` is not."""
    return Markup(_TEMPLATES.get_template(template).render(values))


def write_page(folder: Path, template: str, **values: object) -> Path:
    """Writes `<folder>/index.html` in one move and returns its path."""
    page = folder / PAGE
    write_atomically(page, render(template, **values) + "\n")
    return page


def command_line() -> str:
    """The command line of this process, as a person types it."""
    # Python puts the whole path of a console script into its first word.
    program = Path(sys.argv[0])
    start = [program.name] if program.is_file() and program.suffix != ".py" else ["python", sys.argv[0]]
    return shlex.join([*start, *sys.argv[1:]])


def row(name: str, value: object) -> Row:
    """A value as the header shows it.

    None and numbers that are not finite become a dash, and other floats get three decimals. "seconds" becomes a
    duration, and "command" is shown as code.
    """
    label = _LABELS.get(name, name.replace("_", " "))
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Row(label, "–")
    if name == "seconds" and isinstance(value, int | float):
        return Row(label, duration(float(value)))
    return Row(label, f"{value:.3f}" if isinstance(value, float) else str(value), name == "command")


def file_stem(index: int, picture: str) -> str:
    """The stem of the files that show one picture: its number, and the letters and digits of its name."""
    return f"{index:05}-{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(picture).stem).strip('-')[:60] or 'picture'}"


def problem_list(headline: str, problems: Sequence[Problem], file: str | os.PathLike[str] = "") -> Markup:
    """The first `MOST_LISTED` problems as HTML.

    **Arguments:**

    - `headline`: opens and closes the list.
    - `problems`: nothing is shown where there are none.
    - `file`: a file beside the page that contains all problems; "" for none.
    """
    if not problems:
        return Markup()
    more = count_problems(problems[MOST_LISTED:])
    shown = [str(problem).strip() for problem in problems[:MOST_LISTED]]
    return render("problems.html", headline=headline, problems=shown, more=more, file=os.fspath(file))
