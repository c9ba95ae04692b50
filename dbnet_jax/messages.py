"""Words for people: counts of things, durations, lists of problems."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Sequence

MOST_PRINTED = 20
"""Problems that a terminal shows."""
MOST_OF_A_KIND = 20
"""Problems of one kind that `Problems` lists."""
_LONGEST = 240  # characters of a printed line: one may name hundreds of pictures


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that is wrong with data.

    **Arguments:**

    - `where`: the picture, the file or the line, as in "gt_img_1.txt:3"; "" of a whole data set.
    - `what`: what is wrong, and what to do.
    - `count`: how many such problems this one stands for.
    """

    where: str
    what: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    @classmethod
    def at(cls, where: str, reason: object) -> "Problem":
        """A problem of `where`, from an error or a text that may begin with `where` itself."""
        return cls("" if str(reason).startswith(where) else where, str(reason))


class Problems:
    """Collects problems in the order in which they are found, each of them once.

    Problems may be of a kind. Of each kind the first `MOST_OF_A_KIND` are listed, and the others are counted.
    """

    def __init__(self) -> None:
        self._listed: dict[str, dict[Problem, None]] = {}
        self._more: dict[str, int] = {}

    def add(self, problem: Problem, kind: str = "") -> None:
        """Adds a problem; `kind` says what it has in common with others, and "" lists all of them."""
        listed = self._listed.setdefault(kind, {})
        if problem in listed:
            return
        if kind and len(listed) == MOST_OF_A_KIND:
            self._more[kind] = self._more.get(kind, 0) + problem.count
        else:
            listed[problem] = None

    def extend(self, problems: Iterable[Problem], kind: str = "") -> None:
        """Adds problems of one kind."""
        for problem in problems:
            self.add(problem, kind)

    def listed(self) -> list[Problem]:
        """The problems kind by kind, each kind with one that stands for the problems that are only counted."""
        found: list[Problem] = []
        for kind, listed in self._listed.items():
            found += listed
            if more := self._more.get(kind):
                found.append(Problem("", f"… and {more} more: {kind}", more))
        return found


def plural(count: int, thing: str, things: str = "") -> str:
    """ "1 picture", "2,000 pictures".

    **Arguments:**

    - `count`: how many.
    - `thing`: the singular; `things`: the plural, where an "s" does not make it.
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def count_problems(problems: Sequence[Problem]) -> int:
    """How many problems these stand for."""
    return sum(problem.count for problem in problems)


def summary_line(skipped: int, problems: int) -> str:
    """For example "1 picture skipped, 2 problems in the data"."""
    return f"{plural(skipped, 'picture')} skipped, {plural(problems, 'problem')} in the data"


def first_lines(problems: Sequence[Problem], rest: str = "") -> list[str]:
    """The first `MOST_PRINTED` problems as lines, long ones cut, and a line with the number of the others.

    **Arguments:** `problems`; `rest`: where the others are listed.
    """
    lines = [str(problem) for problem in problems[:MOST_PRINTED]]
    lines = [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 2]} …" for line in lines]
    more = count_problems(problems[MOST_PRINTED:])
    return [*lines, *([f"… and {more:,} more {rest}".rstrip()] if more else [])]


def duration(seconds: float) -> str:
    """Seconds as 0:07, 12:34, 3:04:05 or 2d 03:04; "--:--" for what is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return "--:--"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}:{minute:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """**Raises:** ValueError, which names the argument or the config field, when `value` is none of the choices."""
    if value not in choices:
        raise ValueError(f"`{name}` (={value!r}) must be one of {', '.join(map(repr, choices))}")


def check_least(name: str, value: float | int, least: int) -> None:
    """**Raises:** ValueError, which names the argument or the config field, when `value` is less than `least`."""
    if not value >= least:
        raise ValueError(f"`{name}` (={value}) must be {least} or more")
