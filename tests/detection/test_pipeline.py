"""Stages side by side: what comes out and in which order, which batches are made, what is held, and how it ends."""

import itertools
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from dbnet_jax.detection import pipeline
from dbnet_jax.detection.pipeline import AHEAD, PATIENCE, ForNetwork, Stages, in_flight, overlapped

# Nothing here takes so long unless it never ends.
SOON = 20


class Item(NamedTuple):
    """A picture that is known by its number, and how large it is."""

    number: int
    side: int = 32


class Recorder:
    """Stages that note what they were given. A picture is full of its number, which must come out of the network.

    `read`, `forward` and `finish` are called with the number, or the numbers, before the stage does its work.
    """

    def __init__(
        self,
        read: Callable[[int], object] = lambda number: None,
        forward: Callable[[list[int]], object] = lambda numbers: None,
        finish: Callable[[int], object] = lambda number: None,
    ):
        self.stages = Stages(self._read, self._forward, self._finish)
        self._hooks = (read, forward, finish)
        self.was_read: list[int] = []
        self.batches: list[list[int]] = []
        self.pixels: list[weakref.ref] = []

    def _read(self, item: Item) -> ForNetwork[Item] | ValueError:
        self.was_read.append(item.number)
        if isinstance(problem := self._hooks[0](item.number), ValueError):
            return problem
        pixels = np.full((item.side, item.side, 3), item.number % 256, np.uint8)
        self.pixels.append(weakref.ref(pixels))
        return ForNetwork(pixels, item)

    def _forward(self, images: np.ndarray) -> dict[str, Any]:
        numbers = [int(image[0, 0, 0]) for image in images]
        self.batches.append(numbers)
        wrapped = self._hooks[1](numbers)
        values = images[..., 0].astype(np.float32)
        return {"map": wrapped(values) if callable(wrapped) else values}

    def _finish(self, outputs: dict[str, np.ndarray], item: Item) -> int:
        self._hooks[2](item.number)
        assert outputs["map"].shape == (item.side, item.side)
        assert (outputs["map"] == item.number % 256).all()
        return item.number


class Arriving:
    """The output of a device: NumPy gets it when it has arrived."""

    def __init__(self, values: np.ndarray, arrive: Callable[[], object]):
        self._values, self._arrive = values, arrive

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        self._arrive()
        return self._values


@pytest.fixture(autouse=True)
def nothing_left_running(monkeypatch) -> Iterator[None]:
    """Four threads of each kind on every machine; none of them outlives its test."""
    monkeypatch.setattr(pipeline, "THREADS", 4)
    before = set(threading.enumerate())
    yield
    # Ctrl-C may come while Python starts a thread: it is listed then, and never runs.
    assert {thread for thread in threading.enumerate() if thread.ident is not None} <= before


def items(sides: Sequence[int]) -> list[Item]:
    return [Item(number, side) for number, side in enumerate(sides)]


def soon(event: threading.Event) -> None:
    assert event.wait(SOON)


# What comes out
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 8, 100])
def test_every_picture_comes_out_once_in_order_through_a_batch_of_its_shape(batch_size, count):
    rng = np.random.default_rng(count)
    recorder = Recorder()
    sources = items(rng.choice([32, 64, 96], count, p=[0.7, 0.2, 0.1]).tolist())
    assert list(overlapped(iter(sources), recorder.stages, batch_size=batch_size)) == list(range(count))
    assert sorted(recorder.was_read) == list(range(count))
    assert {number for batch in recorder.batches for number in batch} == set(range(count))
    assert {len(batch) for batch in recorder.batches} <= {1, batch_size}


@pytest.mark.parametrize("result", [(1, 2), (np.zeros((32, 32, 3), np.uint8), Item(1)), Item(1), None])
def test_a_picture_that_needs_no_network_may_have_any_result(result):
    usual = Recorder().stages
    stages = Stages(lambda item: result if item.number % 2 else usual.read(item), usual.forward, usual.finish)
    found = list(overlapped(items([32] * 6), stages, batch_size=2))
    assert found[::2] == [0, 2, 4]
    assert all(one is result for one in found[1::2])


def test_a_later_picture_that_is_ready_first_waits_for_its_turn():
    ready = threading.Event()
    recorder = Recorder(finish=lambda number: ready.set() if number == 3 else soon(ready) if number == 0 else None)
    assert list(overlapped(items([32] * 6), recorder.stages, batch_size=1)) == list(range(6))


def test_pictures_that_cannot_be_read_keep_their_places():
    recorder = Recorder(read=lambda number: ValueError(f"no picture {number}") if number in (0, 4, 9) else None)
    found = list(overlapped(items([32] * 10), recorder.stages, batch_size=4))
    assert [str(one) if isinstance(one, ValueError) else one for one in found] == [
        *("no picture 0", 1, 2, 3, "no picture 4", 5, 6, 7, 8, "no picture 9")
    ]
    assert recorder.batches == [[1, 2, 3, 5], [6, 7, 8, 8]]


# Batches
def expected_batches(sides: Sequence[int], batch_size: int, least: int) -> list[list[int]]:
    """The rule: full, or the first of them saw `PATIENCE` batches' pictures come after it, or the end."""
    waiting: list[list[int]] = []
    batches = []
    for number, side in enumerate(sides):
        group = next((group for group in waiting if sides[group[0]] == side), None)
        if group is None:
            group = []
            waiting.append(group)
        group.append(number)
        for group in list(waiting):
            if len(group) == batch_size or number - group[0] >= PATIENCE * batch_size:
                waiting.remove(group)
                batches.append(group)
    sizes = [batch_size if len(group) > 1 else least for group in batches + waiting]
    return [group + group[-1:] * (size - len(group)) for group, size in zip(batches + waiting, sizes, strict=True)]


@pytest.mark.parametrize(("batch_size", "least"), [(1, 1), (2, 1), (3, 1), (4, 4), (8, 2)])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_batches_depend_on_the_order_of_the_pictures_and_not_on_how_long_anything_takes(
    batch_size, least, threads, monkeypatch
):
    monkeypatch.setattr(pipeline, "THREADS", threads)
    rng = np.random.default_rng(batch_size)
    sides = rng.choice([32, 64, 96, 128], 150, p=[0.6, 0.37, 0.02, 0.01]).tolist()
    pauses = np.random.default_rng(threads).choice([0, 0, 0, 1e-3], (2, 150))
    recorder = Recorder(
        read=lambda number: time.sleep(pauses[0, number]), finish=lambda number: time.sleep(pauses[1, number])
    )
    found = list(overlapped(items(sides), recorder.stages, batch_size=batch_size, least=least))
    assert found == list(range(150))
    assert recorder.batches == expected_batches(sides, batch_size, least)


# Side by side
def test_the_next_batch_is_sent_before_the_one_before_it_has_arrived_and_no_third():
    second, arrived, waiting = threading.Event(), itertools.count(1), []

    def forward(numbers: list[int]) -> Callable[[np.ndarray], Arriving]:
        if numbers[0] == 1:
            second.set()
        waiting.append(numbers[0] + 1 - len(done))
        return lambda values: Arriving(values, lambda: (soon(second), done.append(next(arrived))))

    done: list[int] = []
    assert list(overlapped(items([32] * 30), Recorder(forward=forward).stages, batch_size=1)) == list(range(30))
    assert max(waiting) == AHEAD == 2


def test_pictures_are_read_and_finished_while_the_network_has_others():
    read, finished = threading.Event(), threading.Event()

    def arrive(number: int) -> None:
        if number == 3:
            soon(read)
            soon(finished)

    recorder = Recorder(
        read=lambda number: read.set() if number == 6 else None,
        forward=lambda numbers: lambda values: Arriving(values, lambda: arrive(numbers[0])),
        finish=lambda number: finished.set() if number == 2 else None,
    )
    assert list(overlapped(items([32] * 10), recorder.stages, batch_size=1)) == list(range(10))


@pytest.mark.parametrize("batch_size", [1, 4])
def test_few_pictures_are_held_however_many_there_are(batch_size):
    taken = itertools.count()
    sources = (Item(number % 256, 32 if number % 50 else 64) for number in iter(lambda: next(taken), 1000))
    recorder = Recorder()
    most = 0
    for handed_out, _ in enumerate(overlapped(sources, recorder.stages, batch_size=batch_size), 1):
        begun = len(recorder.was_read)
        assert begun - handed_out < in_flight(batch_size)
        most = max(most, sum(reference() is not None for reference in recorder.pixels))
    assert handed_out == 1000
    # What waits for its result is held, but not the pixels of what has been through the network.
    assert most <= in_flight(batch_size)
    assert not [reference for reference in recorder.pixels if reference() is not None]


# How it ends
class Broken(Exception):
    """Not what any stage expects."""


def fail_at(number: int, error: type[Exception]) -> Callable[[Any], None]:
    def fail(given: Any) -> None:
        if number in (given if isinstance(given, list) else [given]):
            raise error(f"at {number}")

    return fail


@pytest.mark.parametrize("stage", ["read", "forward", "finish"])
@pytest.mark.parametrize("error", [Broken, ValueError])
def test_an_error_surfaces_in_its_place_and_everything_stops(stage, error):
    recorder = Recorder(**{stage: fail_at(13, error)})
    found = overlapped(items([32] * 100), recorder.stages, batch_size=2)
    handed_out: list[int] = []
    with pytest.raises(error, match="at 13"):
        handed_out.extend(found)
    # A batch that fails has two pictures.
    assert handed_out == list(range(12 if stage == "forward" else 13))
    assert len(recorder.was_read) <= 13 + in_flight(2)
    assert list(found) == []


def test_an_error_on_the_device_surfaces_in_its_place():
    def forward(numbers: list[int]) -> Callable[[np.ndarray], Arriving]:
        return lambda values: Arriving(values, lambda: fail_at(13, Broken)(numbers))

    found = overlapped(items([32] * 100), Recorder(forward=forward).stages, batch_size=2)
    assert list(itertools.islice(found, 12)) == list(range(12))
    with pytest.raises(Broken, match="at 13"):
        next(found)


def test_an_error_of_the_source_stops_everything():
    def sources() -> Iterator[Item]:
        yield from items([32] * 5)
        raise Broken("no more")

    with pytest.raises(Broken, match="no more"):
        list(overlapped(sources(), Recorder().stages, batch_size=1))


def test_who_asks_no_more_leaves_nothing_running():
    slow = threading.Event()
    recorder = Recorder(read=lambda number: soon(slow) if number >= 4 else None)
    found = overlapped(items([32] * 1000), recorder.stages, batch_size=1)
    assert list(itertools.islice(found, 3)) == [0, 1, 2]
    threading.Timer(0.05, slow.set).start()
    found.close()
    # What had begun, a picture a thread, was waited for; none of those that were to come began.
    assert slow.is_set()
    assert len(recorder.was_read) <= 4 + 4 < in_flight(1)
    unused = overlapped(items([32]), recorder.stages, batch_size=1)
    del unused


@pytest.fixture
def interruptible():
    """Python's own answer to Ctrl-C, which a run in a shell's background does not have."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_nothing_running():
    main = threading.main_thread()
    assert threading.current_thread() is main
    recorder = Recorder(finish=lambda number: signal.pthread_kill(main.ident, signal.SIGINT) if number == 5 else None)
    with pytest.raises(KeyboardInterrupt):
        list(overlapped(items([32] * 1000), recorder.stages, batch_size=1))
    assert len(recorder.was_read) <= 6 + in_flight(1)
