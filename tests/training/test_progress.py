"""The progress bar on a terminal, plain lines elsewhere, and the stage timer."""

import contextlib
import io
import math

import pytest

from dbnet_jax.messages import duration
from dbnet_jax.training.progress import Progress, StageTimer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.TextIOWrapper):
    """A terminal that remembers what was written, and rows as a person sees them."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    def seen(self):
        self.flush()
        rows = []
        for written in self.buffer.getvalue().decode(self.encoding).split("\n"):
            row: list[str] = []
            for part in written.split("\r"):
                row[: len(part)] = part
            rows.append("".join(row).rstrip())
        return rows


def test_a_terminal_shows_a_bar_and_messages_above_it():
    stream, clock = Terminal(), Clock()
    with Progress(200, stream=stream, clock=clock) as bar:
        for step in range(1, 101):
            bar.update(step, 2.0 - step / 100, 50.0)
            clock.now += 2.0
        bar.message("saved")
        bar.close()
    message, line, rest = stream.seen()
    assert message == "saved"
    assert line.startswith("100/200  ████")
    assert line.endswith("  loss 1.0000  50.0 images/s  3:20 left")
    assert rest == ""


def test_a_terminal_that_knows_ascii_alone_gets_an_ascii_bar():
    stream = Terminal("ascii")
    with Progress(10, stream=stream) as bar:
        bar.update(5, 1.0, 1.0)
        assert "####" in stream.seen()[0]


def test_the_first_step_which_compiles_does_not_count_for_the_time_left():
    stream, clock = io.StringIO(), Clock()
    bar = Progress(1000, first_step=900, stream=stream, every=1, clock=clock)
    clock.now += 600
    bar.update(910, 1.0, 1.0)
    clock.now += 20
    bar.update(920, 1.0, 1.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "step 900/1000 (90%)  starting"
    assert lines[1].endswith("--:-- left")
    assert lines[2].endswith("2:40 left")


def test_without_a_terminal_there_are_plain_lines_now_and_then():
    stream, clock = io.StringIO(), Clock()
    with Progress(95, stream=stream, every=20, clock=clock) as bar:
        for step in range(1, 96):
            bar.update(step, 1.0, 8.0)
            clock.now += 1.0
        bar.message("evaluated")
    assert "\r" not in stream.getvalue()
    *lines, last = stream.getvalue().splitlines()
    steps = ["0/95", "1/95", "21/95", "41/95", "61/95", "81/95", "95/95"]
    assert [line.split()[1] for line in lines] == steps
    assert lines[2] == "step 21/95 (22%)  loss 1.0000  8.0 images/s  1:14 left"
    assert lines[-1].endswith("0:00 left")
    assert last == "evaluated"


@pytest.mark.parametrize("stream_type", [io.StringIO, Terminal])
def test_odd_numbers_do_not_raise(stream_type):
    with Progress(0, stream=stream_type()) as bar:
        bar.update(0, math.nan, math.inf)
        bar.update(5, -math.inf, 0.0)
    with pytest.raises(ValueError, match="`every`"):
        Progress(10, stream=stream_type(), every=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (11045, "3:04:05"), (2 * 86400 + 3 * 3600 + 240, "2d 03:04")]
    + [(odd, "--:--") for odd in (math.nan, math.inf, -1)],
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
