"""The worker thread and its queue."""

import threading

import pytest

pytest.importorskip("fastapi")

from dbnet_jax.serve.worker import GROUP, Full, Worker


class Calls:
    """A `run` that doubles numbers, fails at 13, and notes its calls. `gate` lets it go on."""

    def __init__(self):
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.groups = []

    def __call__(self, task, sources):
        self.groups.append((task, list(sources)))
        self.begun.set()
        assert self.gate.wait(20)
        for source in sources:
            if source == 13:
                raise RuntimeError("thirteen")
            yield 2 * source


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def worker(calls):
    worker = Worker(calls, 2 * GROUP)
    (first,) = worker.submit("first", [0])
    assert calls.begun.wait(20)
    yield worker
    calls.gate.set()
    worker.close()
    assert first.result(20) == 0


def test_waiting_pictures_of_one_task_share_a_call_in_their_order(worker, calls):
    a = worker.submit("a", range(3)) + worker.submit("a", [3])
    b = worker.submit("b", [4])
    c = worker.submit("a", [5])
    calls.gate.set()
    assert [one.result(20) for one in a + b + c] == [0, 2, 4, 6, 8, 10]
    assert calls.groups[1:] == [("a", [0, 1, 2, 3]), ("b", [4]), ("a", [5])]


def test_an_error_is_of_its_picture_alone(worker, calls):
    futures = worker.submit("a", [1, 13, 2, 3])
    calls.gate.set()
    assert [one.exception(20) is None for one in futures] == [True, False, True, True]
    assert [futures[place].result() for place in (0, 2, 3)] == [2, 4, 6]


def test_a_picture_without_result_is_an_error():
    worker = Worker(lambda task, sources: iter_nothing(), 4)
    (future,) = worker.submit("a", [1])
    assert isinstance(future.exception(20), RuntimeError)
    worker.close()


def iter_nothing():
    yield from ()


def test_the_queue_takes_all_pictures_or_none(worker, calls):
    worker.submit("a", range(GROUP))
    with pytest.raises(Full):
        worker.submit("a", range(GROUP + 1))
    assert worker.waiting == GROUP
    worker.submit("a", range(GROUP))
    with pytest.raises(Full):
        worker.check_room()


def test_a_cancelled_picture_makes_room_and_is_not_run(worker, calls):
    gone, kept = worker.submit("a", [1, 2])
    assert gone.cancel()
    worker.discard_cancelled()
    assert worker.waiting == 1
    calls.gate.set()
    assert kept.result(20) == 4
    assert calls.groups[1:] == [("a", [2])]
