"""The progress line, with a terminal and without, and the stage timer."""

import contextlib
import io
import math
import os

import pytest

from dbnet_jax.messages import duration
from dbnet_jax.training import progress
from dbnet_jax.training.progress import Progress, StageTimer


class Terminal(io.StringIO):
    """A terminal that remembers what was written and can tell what is seen."""

    def isatty(self):
        return True

    def seen(self):
        rows = []
        for written in self.getvalue().split("\n"):
            row: list[str] = []
            for part in written.split("\r"):
                row[: len(part)] = part
            rows.append("".join(row).rstrip())
        return rows


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def columns(monkeypatch):
    def set_columns(count):
        monkeypatch.setattr(progress, "_columns", lambda stream: count)

    set_columns(100)
    return set_columns


def test_a_terminal_shows_one_line_rewritten(columns):
    stream, clock = Terminal(), Clock()
    with Progress(200, stream=stream, clock=clock) as bar:
        assert stream.seen() == ["0/200  " + "╌" * 40 + "  starting"]
        for step in range(1, 101):
            bar.update(step, 2.0 - step / 100, 50.0)
            clock.now += 2.0
        (line,) = stream.seen()
        assert line == "100/200  " + "━" * 20 + "╌" * 20 + "  loss 1.0000  50.0 images/s  3:20 left"
        assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\n")
    bar.close()
    assert stream.getvalue().count("\n") == 1


def test_the_first_step_which_compiles_does_not_count_for_the_time_left(columns):
    stream, clock = Terminal(), Clock()
    bar = Progress(100, stream=stream, clock=clock)
    clock.now += 600
    bar.update(1, 1.0, 1.0)
    assert "--:-- left" in stream.seen()[-1]
    clock.now += 1
    bar.update(2, 1.0, 1.0)
    assert "1:38 left" in stream.seen()[-1]


def test_a_resumed_run_tells_the_pace_of_its_own_steps(columns):
    stream, clock = Terminal(), Clock()
    bar = Progress(1000, first_step=900, stream=stream, clock=clock)
    assert stream.seen()[0].startswith("900/1000  " + "━" * 36 + "╌" * 4)
    bar.update(910, 1.0, 1.0)
    clock.now += 20
    bar.update(920, 1.0, 1.0)
    assert "2:40 left" in stream.seen()[-1]


def test_a_shorter_line_leaves_nothing_of_a_longer_one(columns):
    stream = Terminal()
    bar = Progress(10, stream=stream, clock=Clock())
    bar.update(1, 123456.0, 123456.0)
    bar.update(2, 1.0, 1.0)
    assert stream.seen()[-1].endswith("loss 1.0000  1.0 images/s  0:00 left")


def test_messages_do_not_tear_the_bar(columns):
    stream = Terminal()
    bar = Progress(10, stream=stream, clock=Clock())
    bar.update(5, 1.0, 1.0)
    before = stream.seen()[-1]
    bar.message("saved")
    assert stream.seen() == ["saved", before]
    bar.close()
    bar.message("done")
    assert stream.seen() == ["saved", before, "done", ""]


@pytest.mark.parametrize("width", [0, 1, 2, 10, 30, 50, 60, 80, 300])
def test_no_terminal_is_too_narrow(columns, width):
    columns(width)
    stream = Terminal()
    bar = Progress(100000, stream=stream, clock=Clock())
    bar.update(99999, 12.5, 1234.5)
    for line in stream.seen():
        assert len(line) < max(width, 1)
    assert ("━" in stream.seen()[-1]) == (width >= 80)


def test_a_stream_that_knows_ascii_alone_gets_an_ascii_bar(columns):
    class Ascii(io.TextIOWrapper):
        def isatty(self):
            return True

    raw = io.BytesIO()
    stream = Ascii(raw, encoding="ascii")
    Progress(10, stream=stream, clock=Clock()).update(5, 1.0, 1.0)
    assert b"####----" in raw.getvalue()


def test_without_a_terminal_there_are_plain_lines_now_and_then(columns):
    stream, clock = io.StringIO(), Clock()
    with Progress(95, stream=stream, every=20, clock=clock) as bar:
        for step in range(1, 96):
            bar.update(step, 1.0, 8.0)
            clock.now += 1.0
        bar.message("evaluated")
    assert "\r" not in stream.getvalue()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [
        "0/95",
        "1/95",
        "21/95",
        "41/95",
        "61/95",
        "81/95",
        "95/95",
    ]
    assert lines[2] == "step 21/95 (22%)  loss 1.0000  8.0 images/s  1:14 left"
    assert lines[-2].endswith("0:00 left")
    assert lines[-1] == "evaluated"


@pytest.mark.parametrize("stream_type", [io.StringIO, Terminal])
def test_odd_numbers_do_not_raise(columns, stream_type):
    stream = stream_type()
    bar = Progress(0, stream=stream, clock=Clock())
    bar.update(0, math.nan, math.inf)
    bar.update(5, -math.inf, 0.0)
    assert "loss nan" in stream.getvalue()
    with pytest.raises(ValueError, match="`every`"):
        Progress(10, stream=stream, every=0)


def test_columns_of_what_is_no_terminal(tmp_path):
    assert progress._columns(io.StringIO()) == 80
    with (tmp_path / "log").open("w") as file:
        assert progress._columns(file) == 80
    if hasattr(os, "openpty"):
        first, second = os.openpty()
        with os.fdopen(first, "w"), os.fdopen(second, "w") as terminal:
            Progress(10, stream=terminal).update(1, 1.0, 1.0)
            assert progress._columns(terminal) > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (754, "12:34"),
        (11045, "3:04:05"),
        (2 * 86400 + 3 * 3600 + 240, "2d 03:04"),
        (math.nan, "--:--"),
        (math.inf, "--:--"),
        (-1, "--:--"),
    ],
)
def test_duration(seconds, text):
    assert duration(float(seconds)) == text


def test_stages_add_up_and_start_anew():
    clock = Clock()
    timer = StageTimer(clock)
    for _ in range(3):
        with timer.stage("data"):
            clock.now += 0.5
        with timer.stage("step"):
            clock.now += 2.0
    with contextlib.suppress(KeyError), timer.stage("evaluation"):
        clock.now += 4.0
        raise KeyError
    assert timer.take() == {"data": 1.5, "step": 6.0, "evaluation": 4.0}
    assert timer.take() == {}
