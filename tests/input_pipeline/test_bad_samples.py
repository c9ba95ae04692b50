"""What several processes tell each other of bad data."""

import threading
from typing import Any

import pytest

from dbnet_jax.messages import Problem
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples


def exchange(*processes: BadSamples) -> None:
    """As `dbnet_jax.sharding.gather` brings the rows of all processes to each of them."""
    rows: list[list[dict[str, Any]]] = [[] for _ in processes]
    everyone = threading.Barrier(len(processes))

    def run(index: int) -> None:
        def gather(mine: list[dict[str, Any]]) -> list[dict[str, Any]]:
            rows[index] = mine
            everyone.wait()
            return [row for part in rows for row in part]

        processes[index].exchange(gather)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_every_process_lists_what_any_of_them_found_once():
    one, other, alone = processes = [BadSamples(20, 0.5) for _ in range(3)]
    doubt = Problem("gt.txt:3", "three numbers")
    for process in processes:
        process.add_problems([doubt])  # of the whole set, which each of them has opened
    one.add("a.jpg", "a.jpg: cannot be decoded")
    other.add("a.jpg", "a.jpg is not there on this host")
    other.add("b\udce4.jpg", "is cut off")
    exchange(one, other)
    for process in (one, other):
        lines = process.report().splitlines()
        assert lines[0] == "2 pictures skipped, 1 problem in the data:"
        assert len(lines) == 4
        assert sorted(line.split(":")[0].strip()[:1] for line in lines[1:]) == ["a", "b", "g"]
    assert alone.report().splitlines()[0] == "0 pictures skipped, 1 problem in the data:"
    other.add("c.jpg", "is empty")
    exchange(one, other)
    assert one.report().splitlines() == ["3 pictures skipped, 1 problem in the data:", "  c.jpg: is empty"]
    exchange(one, other)
    assert one.report() == ""


def test_the_limit_counts_the_pictures_of_all_processes():
    one, other = BadSamples(10, 0.2), BadSamples(10, 0.2)
    one.add("1", "bad", ("mlt", 10))
    other.add("2", "bad", ("mlt", 10))
    exchange(one, other)
    one.add("2", "bad", ("mlt", 10))  # it is counted already
    with pytest.raises(TooManyBadSamples, match="3 of 10 pictures of mlt cannot be used"):
        one.add("3", "bad", ("mlt", 10))
